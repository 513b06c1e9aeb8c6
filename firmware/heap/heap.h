/*
 * The allocator of a small chip, in the shape of umm_malloc, which the
 * ESP8266's Arduino core uses: units of 8 bytes, a header of 4 bytes a block,
 * best fit, neighbours joined when freed. So a figure from here means what the
 * same figure means on the chip.
 *
 * There is one heap, as there is one on the chip, and one thread uses it.
 * Blocks are aligned to 4 bytes, as on the chip.
 */
#ifndef HILRIG_CHIP_HEAP_H
#define HILRIG_CHIP_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "port.h"

/* Bytes of a unit, in which blocks are counted. */
#define HEAP_UNIT 8u
/* Bytes of a block that its owner does not get. */
#define HEAP_HEADER 4u
/* The most that a heap can hold: unit numbers have 15 bits. */
#define HEAP_MAX_SIZE (0x7FFFu * HEAP_UNIT)

/* Takes `size` bytes at `base` (aligned to 8) as the heap and forgets whatever
 * was there. Sizes over HEAP_MAX_SIZE are cut to it. */
void heap_init(void *base, size_t size);

/* NULL when there is no block of that size, which is counted, or when the size
 * is 0, which is not. */
void *heap_alloc(size_t size);
/* The same for a function that allocates on behalf of its own caller: what is told of who
 * asked names that one. */
void *heap_alloc_for(size_t size, const void *caller);
/* The same as heap_alloc(), and fills it with zeros. */
void *heap_calloc(size_t count, size_t size);
/* NULL is allowed. A block that is not one, or that is free already, ends in
 * heap_corrupt(). */
void heap_free(void *block);

/* Walks the heap for it, and for headers that cannot be. */
void heap_figures(struct port_heap *figures);
/* The counted figures only, `largest` and `fragmentation` are 0: touches no header, so it can be
 * had of a heap that is broken. */
void heap_peek(struct port_heap *figures);
/* Starts the window over which `lowest` is taken anew. */
void heap_mark(void);

/* Who asked for the allocation that was refused last; NULL if none was. */
const void *heap_last_failed_caller(void);

/* Walks the whole heap. True when every header fits its neighbours. */
bool heap_sound(void);

/* Supplied by whoever links the heap: it found a header that cannot be, near
 * `where`. Must not return. */
__attribute__((noreturn)) void heap_corrupt(const char *what, const void *where);

#endif
