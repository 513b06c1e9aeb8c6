#include "heap.h"

#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "callers.h"

/* Marks a free block, in the `next` of its header. */
#define FREE 0x8000u
#define INDEX 0x7FFFu

/* A block's first unit. The blocks form a list in the order of their addresses
 * (next, prev), the free ones a second one in no order (links). Unit 0 is the
 * head of both, the last unit ends the first. */
struct unit {
	uint16_t next;
	uint16_t prev;
	union {
		struct {
			uint16_t next;
			uint16_t prev;
		} links;
		uint8_t data[4];
	} body;
};

_Static_assert(sizeof(struct unit) == HEAP_UNIT, "a unit is 8 bytes");

static struct figures {
	struct unit *units;
	uint16_t last;       /* index of the last unit */
	uint16_t free;       /* free units now */
	uint16_t lowest_ever;
	uint16_t lowest;
	uint32_t failures;
	uint32_t last_failed;
	const void *last_failed_caller;
} heap;

#if UINTPTR_MAX == UINT32_MAX
/* A debug probe reads these while the firmware runs, at the offsets in
 * contract.toml ([heap.symbol]): change both together. */
_Static_assert(offsetof(struct figures, free) == 6 && sizeof heap.free == 2, "contract.toml");
_Static_assert(offsetof(struct figures, lowest_ever) == 8 && sizeof heap.lowest_ever == 2,
	       "contract.toml");
_Static_assert(offsetof(struct figures, failures) == 12 && sizeof heap.failures == 4,
	       "contract.toml");
#endif

#define AT(i) (heap.units[i])
#define NEXT(i) (AT(i).next & INDEX)
#define PREV(i) (AT(i).prev)
#define IS_FREE(i) ((AT(i).next & FREE) != 0)
#define SIZE(i) ((uint16_t)(NEXT(i) - (i)))

/* A block in the middle whose neighbours point back at it. An overrun of the
 * previous block overwrites the header, so it is found here. */
static void check(uint16_t i, const char *what)
{
	if (i == 0 || i >= heap.last || NEXT(i) <= i || NEXT(i) > heap.last ||
	    PREV(i) >= i || NEXT(PREV(i)) != i || PREV(NEXT(i)) != i)
		heap_corrupt(what, &AT(i));
}

static void link_free(uint16_t i)
{
	uint16_t first = AT(0).body.links.next;

	AT(i).body.links.next = first;
	AT(i).body.links.prev = 0;
	if (first != 0)
		AT(first).body.links.prev = i;
	AT(0).body.links.next = i;
	AT(i).next |= FREE;
}

static void unlink_free(uint16_t i)
{
	uint16_t next = AT(i).body.links.next;
	uint16_t prev = AT(i).body.links.prev;

	if (next >= heap.last || prev >= heap.last || AT(prev).body.links.next != i)
		heap_corrupt("free list", &AT(i));
	AT(prev).body.links.next = next;
	if (next != 0)
		AT(next).body.links.prev = prev;
	AT(i).next &= INDEX;
}

/* Joins block `i` with the next one. Both flags are lost. */
static void join(uint16_t i)
{
	uint16_t after = NEXT(NEXT(i));

	AT(i).next = after;
	AT(after).prev = i;
}

void heap_init(void *base, size_t size)
{
	memset(&heap, 0, sizeof heap);
	if (size > HEAP_MAX_SIZE)
		size = HEAP_MAX_SIZE;
	heap.units = base;
	heap.last = (uint16_t)(size / HEAP_UNIT - 1);

	/* Unit 0, one free block, the last unit. */
	memset(&AT(0), 0, sizeof(struct unit));
	memset(&AT(1), 0, sizeof(struct unit));
	memset(&AT(heap.last), 0, sizeof(struct unit));
	AT(0).next = 1;
	AT(1).next = heap.last;
	AT(heap.last).prev = 1;
	link_free(1);

	heap.free = SIZE(1);
	heap.lowest_ever = heap.free;
	heap.lowest = heap.free;
	callers_start(heap.free * HEAP_UNIT);
}

static uint16_t units_for(size_t size)
{
	if (size <= sizeof AT(0).body)
		return 1;
	return (uint16_t)(1 + (size - sizeof AT(0).body + HEAP_UNIT - 1) / HEAP_UNIT);
}

/* The smallest free block of at least `units`, 0 if there is none. */
static uint16_t best_fit(uint16_t units)
{
	uint16_t best = 0;
	uint16_t left = heap.last; /* a list longer than the heap has a loop */

	for (uint16_t i = AT(0).body.links.next; i != 0; i = AT(i).body.links.next) {
		if (i >= heap.last || left-- == 0)
			heap_corrupt("free list", &AT(0));
		if (SIZE(i) >= units && (best == 0 || SIZE(i) < SIZE(best)))
			best = i;
	}
	return best;
}

static void *allocate(size_t size, const void *caller)
{
	uint16_t units, i;

	if (size == 0)
		return NULL;
	units = size < HEAP_MAX_SIZE ? units_for(size) : UINT16_MAX;
	i = best_fit(units);
	if (i == 0) {
		heap.failures++;
		heap.last_failed = (uint32_t)size;
		heap.last_failed_caller = caller;
		return NULL;
	}
	check(i, "header of a free block");
	unlink_free(i);
	if (SIZE(i) > units) {
		uint16_t rest = (uint16_t)(i + units), after = NEXT(i);

		AT(rest).next = after;
		AT(rest).prev = i;
		AT(after).prev = rest;
		AT(i).next = rest;
		link_free(rest);
	}
	heap.free = (uint16_t)(heap.free - units);
	callers_allocated(i, units, caller);
	if (heap.free < heap.lowest_ever)
		heap.lowest_ever = heap.free;
	if (heap.free < heap.lowest) {
		heap.lowest = heap.free;
		callers_lowest(heap.lowest * HEAP_UNIT);
	}
	return AT(i).body.data;
}

void *heap_alloc(size_t size)
{
	return allocate(size, __builtin_return_address(0));
}

void *heap_alloc_for(size_t size, const void *caller)
{
	return allocate(size, caller);
}

void *heap_calloc(size_t count, size_t size)
{
	const void *caller = __builtin_return_address(0);
	void *block;

	if (size != 0 && count > HEAP_MAX_SIZE / size)
		return allocate(SIZE_MAX, caller); /* too large: counted as such */
	block = allocate(count * size, caller);
	if (block != NULL)
		memset(block, 0, count * size);
	return block;
}

void heap_free(void *block)
{
	uintptr_t offset;
	uint16_t i;

	if (block == NULL)
		return;
	offset = (uintptr_t)block - (uintptr_t)heap.units;
	if (offset >= (uintptr_t)heap.last * HEAP_UNIT || offset % HEAP_UNIT != HEAP_HEADER)
		heap_corrupt("freeing an address that is no block", block);
	i = (uint16_t)(offset / HEAP_UNIT);
	if (IS_FREE(i))
		heap_corrupt("freeing a free block", block);
	check(i, "header of a block being freed");

	heap.free = (uint16_t)(heap.free + SIZE(i));
	callers_freed(i, SIZE(i));
	if (NEXT(i) != heap.last && IS_FREE(NEXT(i))) {
		unlink_free(NEXT(i));
		join(i);
	}
	if (PREV(i) != 0 && IS_FREE(PREV(i))) {
		i = PREV(i);
		unlink_free(i);
		join(i);
	}
	link_free(i);
}

bool heap_sound(void)
{
	uint32_t free_units = 0;
	uint32_t free_blocks = 0;
	uint16_t i;

	for (i = 0; i != heap.last; i = NEXT(i)) {
		if (NEXT(i) <= i || NEXT(i) > heap.last || PREV(NEXT(i)) != i)
			return false;
		if (IS_FREE(i)) {
			if (i == 0 || (NEXT(i) != heap.last && IS_FREE(NEXT(i))))
				return false;
			free_units += SIZE(i);
			free_blocks++;
		}
	}
	for (i = AT(0).body.links.next; i != 0; i = AT(i).body.links.next) {
		if (i >= heap.last || !IS_FREE(i) || free_blocks-- == 0)
			return false;
	}
	return free_blocks == 0 && free_units == heap.free;
}

void heap_peek(struct port_heap *figures)
{
	figures->free = heap.free * HEAP_UNIT;
	figures->lowest_ever = heap.lowest_ever * HEAP_UNIT;
	figures->lowest = heap.lowest * HEAP_UNIT;
	figures->largest = 0;
	figures->fragmentation = 0;
	figures->failures = heap.failures;
	figures->last_failed = heap.last_failed;
}

/* The whole part of the square root. */
static uint32_t root(uint32_t square)
{
	uint32_t found = 0;

	for (uint32_t bit = 1u << 15; bit != 0; bit >>= 1)
		if ((found | bit) * (found | bit) <= square)
			found |= bit;
	return found;
}

void heap_figures(struct port_heap *figures)
{
	uint16_t largest = 0;
	uint32_t squares = 0; /* of all holes, in units: below 2^30, as their sum is below 2^15 */

	/* Called rarely, and the walk is short: a good place for a full check. */
	if (!heap_sound())
		heap_corrupt("headers", heap.units);
	for (uint16_t i = AT(0).body.links.next; i != 0; i = AT(i).body.links.next) {
		if (SIZE(i) > largest)
			largest = SIZE(i);
		squares += (uint32_t)SIZE(i) * SIZE(i);
	}
	heap_peek(figures);
	figures->largest = largest == 0 ? 0 : largest * HEAP_UNIT - HEAP_HEADER;
	/* As umm_malloc computes it, with its rounding: whole units, the root cut to whole ones. */
	figures->fragmentation = heap.free == 0 ? 0 : 100 - root(squares) * 100 / heap.free;
}

void heap_mark(void)
{
	heap.lowest = heap.free;
	callers_lowest(heap.lowest * HEAP_UNIT);
}

const void *heap_last_failed_caller(void)
{
	return heap.last_failed_caller;
}
