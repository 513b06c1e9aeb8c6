/*
 * The allocator against a model that is too simple to be wrong: a map of the
 * heap's units with the block's number in each. Random operations from a
 * seed, which is printed and can be given as the first argument.
 */
#include "heap.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define UNITS 640u      /* of the arena, with the two that the heap uses itself */
#define BLOCKS 200u     /* allocated at most */
#define OPERATIONS 60000u

#ifdef HEAP_CALLERS
#include "callers.h"
#endif

static uint64_t *arena; /* 8-byte aligned, exactly as long as the heap */

_Noreturn void heap_corrupt(const char *what, const void *where)
{
	fprintf(stderr, "the heap reports a defect at %p: %s\n", where, what);
	exit(1);
}

#define CHECK(condition) \
	do { \
		if (!(condition)) { \
			fprintf(stderr, "%s:%d: failed: %s\n", __FILE__, __LINE__, #condition); \
			exit(1); \
		} \
	} while (0)

/* -- the model -- */

static struct {
	unsigned char *bytes; /* NULL: not allocated */
	size_t size;
	unsigned at, units;
	unsigned char fill;
	unsigned caller;
} block[BLOCKS];
static int map[UNITS]; /* -1 free, else the block's number */
static unsigned model_free, model_lowest_ever, model_lowest;
static uint32_t model_failures, model_last_failed;

static uint32_t random_state;

#ifdef HEAP_CALLERS
/* What each caller has allocated, now and at the lowest point of the window; a caller is a number. */
#define CALLERS 300u
struct owners {
	unsigned units[CALLERS];
	unsigned blocks[CALLERS];
};
static struct owners model_now, model_then;
#endif

/* How many callers the random operations have. */
static unsigned callers_number = 1;

static uint32_t next_random(void)
{
	random_state ^= random_state << 13;
	random_state ^= random_state >> 17;
	random_state ^= random_state << 5;
	return random_state;
}

static void model_allocated(unsigned caller, unsigned units)
{
	model_free -= units;
	if (model_free < model_lowest_ever)
		model_lowest_ever = model_free;
#ifdef HEAP_CALLERS
	model_now.units[caller] += units;
	model_now.blocks[caller]++;
	if (model_free < model_lowest)
		model_then = model_now;
#else
	(void)caller;
#endif
	if (model_free < model_lowest)
		model_lowest = model_free;
}

static void model_freed(unsigned caller, unsigned units)
{
	model_free += units;
#ifdef HEAP_CALLERS
	model_now.units[caller] -= units;
	model_now.blocks[caller]--;
#else
	(void)caller;
#endif
}

static void model_mark(void)
{
	model_lowest = model_free;
#ifdef HEAP_CALLERS
	model_then = model_now;
#endif
}

/* Allocates for the caller of that number. */
static void *allocate_for(unsigned caller, size_t size, bool zeroed)
{
	void *bytes;

	if (!zeroed)
		return heap_alloc_for(size, (void *)(uintptr_t)(caller + 1));
#ifdef HEAP_CALLERS
	/* A wrapper around a wrapper: the outer one's caller counts. */
	const void *before = callers_for((void *)(uintptr_t)(caller + 1));
	const void *inner = callers_for(&bytes);
#endif
	bytes = heap_calloc(1, size);
#ifdef HEAP_CALLERS
	CHECK(before == NULL && inner != NULL);
	callers_for(inner);
	callers_for(before);
#endif
	return bytes;
}

static void start(void)
{
#ifdef HEAP_CALLERS
	memset(&model_now, 0, sizeof model_now);
	memset(&model_then, 0, sizeof model_then);
#endif
	memset(arena, 0xA5, UNITS * HEAP_UNIT);
	heap_init(arena, UNITS * HEAP_UNIT);
	memset(block, 0, sizeof block);
	for (unsigned i = 0; i < UNITS; i++)
		map[i] = -1;
	map[0] = map[UNITS - 1] = (int)BLOCKS; /* the heap's own */
	model_free = model_lowest_ever = model_lowest = UNITS - 2;
	model_failures = model_last_failed = 0;
}

/* Length of the free run at `at`. */
static unsigned run(unsigned at)
{
	unsigned length = 0;

	while (at + length < UNITS && map[at + length] < 0)
		length++;
	return length;
}

/* By its definition: 100 * (1 - sqrt(sum of hole^2) / sum of holes), with the
 * root of whole units cut to whole ones. */
static unsigned fragmentation(void)
{
	uint64_t sum = 0, squares = 0, root = 0;

	for (unsigned i = 0; i < UNITS; i += run(i) + 1) {
		sum += run(i);
		squares += (uint64_t)run(i) * run(i);
	}
	while ((root + 1) * (root + 1) <= squares)
		root++;
	return sum == 0 ? 0 : (unsigned)(100 - 100 * root / sum);
}

/* The largest free run, and the smallest that still has `units`. */
static void runs(unsigned units, unsigned *largest, unsigned *best)
{
	*largest = *best = 0;
	for (unsigned i = 0; i < UNITS; i += run(i) + 1) {
		unsigned length = run(i);

		if (length > *largest)
			*largest = length;
		if (length >= units && (*best == 0 || length < *best))
			*best = length;
	}
}

static void compare(void)
{
	struct port_heap figures;
	unsigned largest, best;

	runs(1, &largest, &best);
	heap_figures(&figures);
	CHECK(figures.free == model_free * HEAP_UNIT);
	CHECK(figures.lowest_ever == model_lowest_ever * HEAP_UNIT);
	CHECK(figures.lowest == model_lowest * HEAP_UNIT);
	CHECK(figures.largest == (largest == 0 ? 0 : largest * HEAP_UNIT - HEAP_HEADER));
	CHECK(figures.fragmentation == fragmentation());
	CHECK(figures.failures == model_failures);
	CHECK(figures.last_failed == model_last_failed);
	CHECK(heap_sound());
}

#ifdef HEAP_CALLERS
/* The heap trace; `exact`: all callers have an entry of their own. */
static void compare_callers(bool exact)
{
	struct port_callers callers;
	unsigned slot = next_random() % PORT_CALLERS_SLOTS;
	uint32_t sum;
	uint32_t smallest = UINT32_MAX;

	callers_trace.keep(NULL, slot);
	CHECK(callers_trace.copy(NULL, slot, &callers));
	CHECK(callers.heap_bytes == (UNITS - 2) * HEAP_UNIT);
	CHECK(callers.free_bytes == model_lowest * HEAP_UNIT);
	sum = callers.others.bytes;
	for (unsigned i = 0; i < PORT_CALLERS_MOST && callers.each[i].blocks != 0; i++) {
		unsigned caller = (unsigned)callers.each[i].address - 1;

		CHECK(caller < callers_number);
		CHECK(callers.each[i].bytes <= model_then.units[caller] * HEAP_UNIT);
		CHECK(callers.each[i].blocks <= model_then.blocks[caller]);
		CHECK(!exact || callers.each[i].bytes == model_then.units[caller] * HEAP_UNIT);
		CHECK(!exact || callers.each[i].blocks == model_then.blocks[caller]);
		CHECK(callers.each[i].bytes <= smallest);
		smallest = callers.each[i].bytes;
		sum += callers.each[i].bytes;
	}
	/* To the byte, with and without entries. */
	CHECK(sum == callers.heap_bytes - callers.free_bytes);
	for (unsigned i = 0, larger = 0; exact && i < callers_number; i++) {
		larger += model_then.units[i] * HEAP_UNIT > smallest;
		CHECK(larger <= PORT_CALLERS_MOST);
	}
	CHECK(!callers_trace.copy(NULL, slot, &callers));
}
#else
static void compare_callers(bool exact)
{
	(void)exact;
}
#endif

static size_t random_size(void)
{
	switch (next_random() % 8) {
	case 0:
		return 1 + next_random() % 4;
	case 1:
		return 1 + next_random() % (UNITS * HEAP_UNIT);
	default:
		return 1 + next_random() % 120;
	}
}

static void try_alloc(unsigned n)
{
	size_t size = random_size();
	bool zeroed = next_random() % 4 == 0;
	unsigned units = 1 + (size <= 4 ? 0 : (unsigned)((size - 4 + 7) / 8));
	unsigned largest, best;
	unsigned char *bytes;

	runs(units, &largest, &best);
	block[n].caller = next_random() % callers_number;
	bytes = allocate_for(block[n].caller, size, zeroed);
	if (best == 0) {
		CHECK(bytes == NULL);
		CHECK(heap_last_failed_caller() != NULL);
		model_failures++;
		model_last_failed = (uint32_t)size;
		return;
	}
	CHECK(bytes != NULL);
	uintptr_t offset = (uintptr_t)bytes - (uintptr_t)arena;
	CHECK(offset % HEAP_UNIT == HEAP_HEADER);
	unsigned at = (unsigned)(offset / HEAP_UNIT);
	CHECK(at > 0 && at + units < UNITS);
	/* Taken from the start of a best fitting run. */
	CHECK(map[at - 1] >= 0 && run(at) == best);
	for (size_t i = 0; zeroed && i < size; i++)
		CHECK(bytes[i] == 0);
	for (unsigned i = at; i < at + units; i++)
		map[i] = (int)n;
	block[n].bytes = bytes;
	block[n].size = size;
	block[n].at = at;
	block[n].units = units;
	block[n].fill = (unsigned char)next_random();
	memset(bytes, block[n].fill, size);
	model_allocated(block[n].caller, units);
}

static void release(unsigned n)
{
	for (size_t i = 0; i < block[n].size; i++)
		CHECK(block[n].bytes[i] == block[n].fill);
	heap_free(block[n].bytes);
	for (unsigned i = block[n].at; i < block[n].at + block[n].units; i++)
		map[i] = -1;
	model_freed(block[n].caller, block[n].units);
	block[n].bytes = NULL;
}

static void random_operations(uint32_t seed, unsigned callers)
{
	callers_number = callers;
	random_state = seed;
	start();
	compare();
	for (unsigned i = 0; i < OPERATIONS; i++) {
		unsigned n = next_random() % BLOCKS;

		if (next_random() % 64 == 0) {
			heap_mark();
			model_mark();
		}
		if (block[n].bytes == NULL)
			try_alloc(n);
		else
			release(n);
		compare();
		/* The heap has entries for 47 callers. */
		compare_callers(callers < 40);
	}
	for (unsigned n = 0; n < BLOCKS; n++) {
		if (block[n].bytes != NULL)
			release(n);
	}
	compare();
	CHECK(model_free == UNITS - 2); /* all of it in one block again */
}

static void edges(void)
{
	struct port_heap figures;

	start();
	CHECK(heap_alloc(0) == NULL);
	heap_free(NULL);
	CHECK(heap_last_failed_caller() == NULL);
	compare();

	/* Sizes that would wrap are refused and counted. */
	CHECK(heap_alloc(SIZE_MAX) == NULL);
	CHECK(heap_alloc(HEAP_MAX_SIZE) == NULL);
	CHECK(heap_calloc(SIZE_MAX / 2, 3) == NULL);
	heap_figures(&figures);
	CHECK(figures.failures == 3);

	/* The largest block can be allocated, and not a byte more. */
	CHECK(heap_alloc(figures.largest + 1) == NULL);
	CHECK(heap_alloc(figures.largest) != NULL);
	heap_figures(&figures);
	CHECK(figures.free == 0 && figures.largest == 0);
}

/* Holes worked out by hand. The arena has 638 units; a block of 8 n - 4 bytes takes n. */
static void broken_up(void)
{
	struct port_heap figures;
	void *hole[3];

	start();
	heap_figures(&figures);
	CHECK(figures.fragmentation == 0); /* one hole */

	/* Holes of 30 and 40 units and nothing else: 100 * (1 - 50 / 70) = 28.6, and as
	 * 100 * 50 / 70 is cut to 71, 29. */
	hole[0] = heap_alloc(30 * HEAP_UNIT - HEAP_HEADER);
	CHECK(heap_alloc(4) != NULL);
	hole[1] = heap_alloc(40 * HEAP_UNIT - HEAP_HEADER);
	CHECK(heap_alloc(4) != NULL);
	heap_figures(&figures);
	CHECK(heap_alloc(figures.largest) != NULL);
	heap_figures(&figures);
	CHECK(figures.free == 0 && figures.fragmentation == 0); /* no hole */
	heap_free(hole[0]);
	heap_free(hole[1]);
	heap_figures(&figures);
	CHECK(figures.free == 70 * HEAP_UNIT && figures.fragmentation == 29);

	/* Of the 30 only 10 and 9 left: the root of 100 + 81 + 1600 is cut to 42, and
	 * 100 * 42 / 59 to 71. */
	hole[0] = heap_alloc(10 * HEAP_UNIT - HEAP_HEADER);
	hole[1] = heap_alloc(4);
	hole[2] = heap_alloc(9 * HEAP_UNIT - HEAP_HEADER);
	CHECK(hole[0] != NULL && hole[1] != NULL && hole[2] != NULL);
	CHECK(heap_alloc(4) != NULL && heap_alloc(9 * HEAP_UNIT - HEAP_HEADER) != NULL);
	heap_free(hole[0]);
	heap_free(hole[2]);
	heap_figures(&figures);
	CHECK(figures.free == (10 + 9 + 40) * HEAP_UNIT);
	CHECK(figures.fragmentation == 29);
}

int main(int argc, char **argv)
{
	uint32_t seed = argc > 1 ? (uint32_t)strtoul(argv[1], NULL, 0) : 0x5EED0001u;

	arena = aligned_alloc(8, UNITS * HEAP_UNIT);
	CHECK(arena != NULL);
	edges();
	broken_up();
	for (uint32_t i = 0; i < 4; i++)
		random_operations(seed + i == 0 ? 1 : seed + i, i % 2 == 0 ? 20 : 299);
	free(arena);
	printf("heap: all passed, seed 0x%08x\n", seed);
	return 0;
}
