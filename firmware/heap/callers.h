/*
 * Who holds the heap: for each block the place in the code that asked for it, and who held
 * how much when the free heap was lowest. Only an image built with -DHEAP_CALLERS keeps it
 * (`make callers`); in any other everything here is empty.
 *
 * What is kept is exact: the bytes of all callers together are the bytes that are taken, to
 * the byte. Callers and blocks that find no room here are counted under the caller NULL.
 */
#ifndef HILRIG_CHIP_CALLERS_H
#define HILRIG_CHIP_CALLERS_H

#include <stdint.h>

#ifdef HEAP_CALLERS

/* For the port's table. */
extern const struct port_heap_trace callers_trace;
#define CALLERS_TRACE (&callers_trace)

/* The heap is empty, and as large as this. */
void callers_start(uint32_t heap_bytes);

/* A block of `units`, known by its first one, was taken or given back. */
void callers_took(uint16_t block, uint16_t units, const void *caller);
void callers_gave(uint16_t block, uint16_t units);

/* Never was less free in the window than now: `free_bytes`. */
void callers_lowest(uint32_t free_bytes);

/* What is taken until callers_for() is called with what this returns is asked for by
 * `caller`; for functions that allocate on behalf of theirs. The outermost counts. */
const void *callers_for(const void *caller);

#else

#define CALLERS_TRACE NULL

static inline void callers_start(uint32_t heap_bytes)
{
	(void)heap_bytes;
}

static inline void callers_took(uint16_t block, uint16_t units, const void *caller)
{
	(void)block;
	(void)units;
	(void)caller;
}

static inline void callers_gave(uint16_t block, uint16_t units)
{
	(void)block;
	(void)units;
}

static inline void callers_lowest(uint32_t free_bytes)
{
	(void)free_bytes;
}

#endif

#endif
