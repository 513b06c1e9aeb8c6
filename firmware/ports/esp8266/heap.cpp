// The heap is the Arduino core's umm_malloc, which SDK, lwIP and firmware share, so its
// figures are the chip's. Needs UMM_STATS_FULL for the lowest figure.
#include <stdlib.h>

#include <Arduino.h>
#include <umm_malloc/umm_malloc.h>

extern "C" {
#include "heap.h"
}

// Bytes of a block that the caller cannot use.
#define HEADER 4u

// umm_malloc keeps one lowest figure, which heap_mark() starts again.
static size_t lowest_before_mark = SIZE_MAX;
// Of the firmware's own allocations; umm_malloc counts failures, but keeps no size.
static size_t last_failed;

void *heap_alloc(size_t size)
{
	return heap_alloc_for(size, nullptr);
}

// umm_malloc keeps the caller of the last failed allocation by itself, and no other.
void *heap_alloc_for(size_t size, const void *)
{
	void *block = size > 0 ? malloc(size) : nullptr;

	if (block == nullptr && size > 0)
		last_failed = size;
	return block;
}

void *heap_calloc(size_t count, size_t size)
{
	void *block = count > 0 && size > 0 ? calloc(count, size) : nullptr;

	if (block == nullptr && count > 0 && size > 0)
		last_failed = count * size;
	return block;
}

void heap_free(void *block)
{
	free(block);
}

void heap_figures(struct port_heap *figures)
{
	size_t lowest = umm_free_heap_size_min();
	size_t largest = umm_max_block_size();

	figures->free = umm_free_heap_size_lw();
	figures->lowest = lowest;
	figures->lowest_ever = lowest < lowest_before_mark ? lowest : lowest_before_mark;
	figures->largest = largest > HEADER ? largest - HEADER : 0;
	figures->fragmentation = umm_fragmentation_metric();
	figures->failures = umm_get_oom_count();
	figures->last_failed = last_failed;
}

void heap_mark(void)
{
	size_t lowest = umm_free_heap_size_min();

	if (lowest < lowest_before_mark)
		lowest_before_mark = lowest;
	umm_free_heap_size_min_reset();
}
