#include "callers.h"

#ifdef HEAP_CALLERS

#include <stdbool.h>
#include <stddef.h>
#include <string.h>

#include "heap.h"
#include "port.h"

/* Blocks and callers that can be told apart. The firmware has about 60 blocks of 30
 * callers at its worst. */
#define MOST_BLOCKS 192u
#define MOST_CALLERS 48u

struct caller {
	const void *address;
	uint16_t units;
	uint16_t blocks; /* 0: the entry is free */
};

/* Everybody; entry 0 is for those without an entry of their own. */
struct holders {
	uint32_t free_bytes;
	struct caller each[MOST_CALLERS];
};

static struct {
	uint32_t heap_bytes;
	const void *wanted_by;
	struct {
		uint16_t first; /* unit of the block, 0: the entry is free */
		uint16_t caller;
	} block[MOST_BLOCKS];
	struct holders now;
	struct holders lowest; /* in the window since the last mark */
	struct holders kept[PORT_CALLERS_SLOTS];
	bool untold[PORT_CALLERS_SLOTS];
} callers;

void callers_start(uint32_t heap_bytes)
{
	/* The linker may have put it where the start code clears nothing. */
	memset(&callers, 0, sizeof callers);
	callers.heap_bytes = heap_bytes;
	callers_lowest(heap_bytes);
}

/* The caller's entry: its own, else one that nobody has, else that for all others. */
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

void callers_took(uint16_t block, uint16_t units, const void *caller)
{
	uint16_t entry = 0;

	if (callers.wanted_by != NULL)
		caller = callers.wanted_by;
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

void callers_gave(uint16_t block, uint16_t units)
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
	const void *before = callers.wanted_by;

	if (before == NULL || caller == NULL)
		callers.wanted_by = caller;
	return before;
}

static void keep(void *self, unsigned slot)
{
	(void)self;
	callers.kept[slot] = callers.lowest;
	callers.untold[slot] = true;
}

static void add(struct port_caller *to, const struct caller *caller)
{
	to->bytes += caller->units * HEAP_UNIT;
	to->blocks += caller->blocks;
}

static bool copy(void *self, unsigned slot, struct port_callers *told)
{
	struct caller *each = callers.kept[slot].each;
	bool is_new = callers.untold[slot];

	(void)self;
	callers.untold[slot] = false;
	memset(told, 0, sizeof *told);
	told->heap_bytes = callers.heap_bytes;
	told->free_bytes = callers.kept[slot].free_bytes;
	/* The largest first, each moved to the front of those that are left. */
	for (unsigned n = 1; n < MOST_CALLERS; n++) {
		unsigned largest = n;

		for (unsigned i = n + 1; i < MOST_CALLERS; i++)
			if (each[i].units > each[largest].units)
				largest = i;
		if (n <= PORT_CALLERS_MOST) {
			struct caller moved = each[n];

			each[n] = each[largest];
			each[largest] = moved;
			told->each[n - 1].address = (uintptr_t)each[n].address;
			add(&told->each[n - 1], &each[n]);
		} else {
			add(&told->others, &each[n]);
		}
	}
	add(&told->others, &each[0]);
	return is_new;
}

const struct port_heap_trace callers_trace = { .keep = keep, .copy = copy };

#else
/* A translation unit must not be empty (ISO C). */
typedef int callers_unused;
#endif
