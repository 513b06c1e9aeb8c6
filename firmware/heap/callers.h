/*
 * The heap trace: for each block the place in the code that allocated it, and how much each
 * caller had allocated when the free heap was lowest. Only the heap-tracing image has it, which
 * is built with -DHEAP_CALLERS (`make callers`); in any other everything here is empty.
 *
 * The sum over all callers is exactly the allocated memory, to the byte. Callers and blocks
 * that do not fit in the tables here count for the caller NULL.
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

/* A block of `units`, known by its first one, was allocated or freed. */
void callers_allocated(uint16_t block, uint16_t units, const void *caller);
void callers_freed(uint16_t block, uint16_t units);

/* The free heap is the lowest of the window: `free_bytes`. */
void callers_lowest(uint32_t free_bytes);

/* For functions that allocate on behalf of their callers: allocations count for `caller`
 * until callers_for() is called with the returned value. The outermost caller counts. */
const void *callers_for(const void *caller);

#else

#define CALLERS_TRACE NULL

static inline void callers_start(uint32_t heap_bytes)
{
	(void)heap_bytes;
}

static inline void callers_allocated(uint16_t block, uint16_t units, const void *caller)
{
	(void)block;
	(void)units;
	(void)caller;
}

static inline void callers_freed(uint16_t block, uint16_t units)
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
