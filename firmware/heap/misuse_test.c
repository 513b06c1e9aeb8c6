/* Misuse that the allocator must notice: each case ends in heap_corrupt(). */
#include "heap.h"

#include <setjmp.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define SIZE 5120u

static jmp_buf broken;
static const char *broken_what;

_Noreturn void heap_corrupt(const char *what, const void *where)
{
	(void)where;
	broken_what = what;
	longjmp(broken, 1);
}

static uint64_t *arena; /* exactly as long as the heap */

static void expect_broken(const char *name, void (*misuse)(void))
{
	memset(arena, 0xA5, SIZE);
	heap_init(arena, SIZE);
	broken_what = NULL;
	if (setjmp(broken) == 0)
		misuse();
	if (broken_what == NULL) {
		fprintf(stderr, "not noticed: %s\n", name);
		exit(1);
	}
}

static void free_twice(void)
{
	void *volatile kept = heap_alloc(10);

	heap_alloc(10);
	heap_free(kept);
	heap_free(kept);
}

static void free_inside(void)
{
	unsigned char *bytes = heap_alloc(100);

	memset(bytes, 0x11, 100);
	heap_free(bytes + 8);
}

static void free_odd_address(void)
{
	heap_free((unsigned char *)heap_alloc(10) + 2);
}

static void free_elsewhere(void)
{
	static uint64_t elsewhere[4];

	heap_free((unsigned char *)elsewhere + HEAP_HEADER);
}

/* Writes over the end of a block, into the next one's header. */
static void overrun_then_free(void)
{
	unsigned char *bytes = heap_alloc(12);

	heap_alloc(12);
	memset(bytes, 0x22, 16);
	heap_free(bytes);
}

static void overrun_then_figures(void)
{
	struct port_heap figures;
	unsigned char *bytes = heap_alloc(12);

	memset(bytes, 0x33, 16); /* the header of the free block after it */
	heap_figures(&figures);
}

static void overrun_then_alloc(void)
{
	unsigned char *bytes = heap_alloc(12);

	memset(bytes, 0x01, 14);
	heap_alloc(12);
}

static void write_after_free(void)
{
	unsigned char *bytes = heap_alloc(60);

	heap_alloc(10);
	heap_free(bytes);
	memset(bytes, 0x44, 8); /* the links of the free list */
	heap_alloc(60);
	heap_alloc(500);
}

int main(void)
{
	arena = aligned_alloc(8, SIZE);
	if (arena == NULL)
		return 1;
	expect_broken("a block freed twice", free_twice);
	expect_broken("an address inside a block freed", free_inside);
	expect_broken("an odd address freed", free_odd_address);
	expect_broken("an address outside freed", free_elsewhere);
	expect_broken("an overrun, at free", overrun_then_free);
	expect_broken("an overrun, at figures", overrun_then_figures);
	expect_broken("an overrun, at alloc", overrun_then_alloc);
	expect_broken("a write after free", write_after_free);
	free(arena);
	printf("heap: all misuse noticed\n");
	return 0;
}
