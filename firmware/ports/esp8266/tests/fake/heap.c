/* umm_malloc's figures, over the host's allocator: the linker hands every malloc() of
 * firmware, port and lwIP to these (--wrap). */
#include <malloc.h>
#include <stdlib.h>

#include <umm_malloc/umm_malloc.h>

#define HEAP_SIZE 51000u /* what a minimal sketch has */

static size_t used, used_most, refused;

void *__real_malloc(size_t size);
void *__real_calloc(size_t count, size_t size);
void __real_free(void *block);
void *__wrap_malloc(size_t size);
void *__wrap_calloc(size_t count, size_t size);
void __wrap_free(void *block);

static void *count(void *block)
{
	used += malloc_usable_size(block);
	if (used > used_most)
		used_most = used;
	return block;
}

void *__wrap_malloc(size_t size)
{
	if (size <= HEAP_SIZE - used)
		return count(__real_malloc(size));
	refused++;
	return NULL;
}

void *__wrap_calloc(size_t items, size_t size)
{
	if (items * size <= HEAP_SIZE - used)
		return count(__real_calloc(items, size));
	refused++;
	return NULL;
}

void __wrap_free(void *block)
{
	if (block == NULL)
		return;
	used -= malloc_usable_size(block);
	__real_free(block);
}

size_t umm_free_heap_size_lw(void)
{
	return HEAP_SIZE - used;
}

size_t umm_max_block_size(void)
{
	return HEAP_SIZE - used;
}

int umm_fragmentation_metric(void)
{
	return 0;
}

size_t umm_get_oom_count(void)
{
	return refused;
}

size_t umm_free_heap_size_min(void)
{
	return HEAP_SIZE - used_most;
}

size_t umm_free_heap_size_min_reset(void)
{
	used_most = used;
	return HEAP_SIZE - used;
}
