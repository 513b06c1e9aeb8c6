#include "callers.h"

#ifdef HEAP_CALLERS

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "heap.h"
#include "port.h"

/* Sizes of the tables. The firmware has about 60 blocks of 30 callers at most. */
#define MOST_BLOCKS 192u
#define MOST_CALLERS 48u

struct caller {
	const void *address;
	uint16_t units;
	uint16_t blocks; /* 0: the entry is free */
};

/* All callers; entry 0 is for those without an entry of their own. */
struct owners {
	uint32_t free_bytes;
	struct caller each[MOST_CALLERS];
};

static struct {
	uint32_t heap_bytes;
	const void *allocate_for;
	struct {
		uint16_t first; /* unit of the block, 0: the entry is free */
		uint16_t caller;
	} block[MOST_BLOCKS];
	struct owners now;
	struct owners lowest; /* in the window since the last mark */
	struct owners kept[PORT_CALLERS_SLOTS];
	bool is_new[PORT_CALLERS_SLOTS];
} callers;

void callers_start(uint32_t heap_bytes)
{
	/* The linker may place it in memory that the start code does not clear. */
	memset(&callers, 0, sizeof callers);
	callers.heap_bytes = heap_bytes;
	callers_lowest(heap_bytes);
}

/* The caller's entry: its own, else an unused one, else the one for all others. */
static uint16_t entry_of(const void *caller)
{
	uint16_t unused = 0;

	for (uint16_t i = 1; i < MOST_CALLERS; i++) {
		if (callers.now.each[i].blocks == 0)
			unused = unused == 0 ? i : unused;
		else if (callers.now.each[i].address == caller)
			return i;
	}
	if (unused != 0)
		callers.now.each[unused].address = caller;
	return unused;
}

void callers_allocated(uint16_t block, uint16_t units, const void *caller)
{
	uint16_t entry = 0;

	if (callers.allocate_for != NULL)
		caller = callers.allocate_for;
	for (unsigned i = 0; i < MOST_BLOCKS; i++) {
		if (callers.block[i].first == 0) {
			entry = entry_of(caller);
			callers.block[i].first = block;
			callers.block[i].caller = entry;
			break;
		}
	}
	callers.now.each[entry].units = (uint16_t)(callers.now.each[entry].units + units);
	callers.now.each[entry].blocks++;
}

void callers_freed(uint16_t block, uint16_t units)
{
	uint16_t entry = 0;

	for (unsigned i = 0; i < MOST_BLOCKS; i++) {
		if (callers.block[i].first == block) {
			entry = callers.block[i].caller;
			callers.block[i].first = 0;
			break;
		}
	}
	callers.now.each[entry].units = (uint16_t)(callers.now.each[entry].units - units);
	callers.now.each[entry].blocks--;
}

void callers_lowest(uint32_t free_bytes)
{
	callers.lowest = callers.now;
	callers.lowest.free_bytes = free_bytes;
}

const void *callers_for(const void *caller)
{
	const void *before = callers.allocate_for;

	if (before == NULL || caller == NULL)
		callers.allocate_for = caller;
	return before;
}

static void keep(void *self, unsigned slot)
{
	(void)self;
	callers.kept[slot] = callers.lowest;
	callers.is_new[slot] = true;
}

static void add(struct port_caller *to, const struct caller *caller)
{
	to->bytes += caller->units * HEAP_UNIT;
	to->blocks += caller->blocks;
}

static bool copy(void *self, unsigned slot, struct port_callers *to)
{
	struct caller *each = callers.kept[slot].each;
	bool is_new = callers.is_new[slot];

	(void)self;
	callers.is_new[slot] = false;
	memset(to, 0, sizeof *to);
	to->heap_bytes = callers.heap_bytes;
	to->free_bytes = callers.kept[slot].free_bytes;
	/* The largest first, each moved to the front of the rest. */
	for (unsigned n = 1; n < MOST_CALLERS; n++) {
		unsigned largest = n;

		for (unsigned i = n + 1; i < MOST_CALLERS; i++)
			if (each[i].units > each[largest].units)
				largest = i;
		if (n <= PORT_CALLERS_MOST) {
			struct caller moved = each[n];

			each[n] = each[largest];
			each[largest] = moved;
			to->each[n - 1].address = (uintptr_t)each[n].address;
			add(&to->each[n - 1], &each[n]);
		} else {
			add(&to->others, &each[n]);
		}
	}
	add(&to->others, &each[0]);
	return is_new;
}

const struct port_heap_trace callers_trace = { .keep = keep, .copy = copy };

#else
/* A translation unit must not be empty (ISO C). */
typedef int callers_unused;
#endif
