/*
 * The allocator of a small chip, modelled on umm_malloc, which the
 * ESP8266's Arduino core uses: units of 8 bytes, a header of 4 bytes a block,
 * best fit, neighbours joined when freed. So a figure from here means the same
 * as on the chip.
 *
 * There is one heap, as there is one on the chip, and one thread uses it.
 * Blocks are aligned to 4 bytes, as on the chip.
 */
#ifndef HILRIG_CHIP_HEAP_H
#define HILRIG_CHIP_HEAP_H

#include <stdbool.h>
#include <stddef.h>

#include "port.h"

/* Bytes of a unit; a block has whole units. */
#define HEAP_UNIT 8u
/* Bytes of a block that the caller cannot use. */
#define HEAP_HEADER 4u
/* The largest heap: unit numbers have 15 bits. */
#define HEAP_MAX_SIZE (0x7FFFu * HEAP_UNIT)

/* Makes an empty heap of `size` bytes at `base` (aligned to 8). Sizes over
 * HEAP_MAX_SIZE are cut to it. */
void heap_init(void *base, size_t size);

/* NULL when there is no block of that size, which is counted, or when the size
 * is 0, which is not. */
void *heap_alloc(size_t size);
/* The same for a function that allocates on behalf of its own caller: the heap trace and
 * heap_last_failed_caller() name that caller. */
void *heap_alloc_for(size_t size, const void *caller);
/* The same as heap_alloc(), and fills it with zeros. */
void *heap_calloc(size_t count, size_t size);
/* NULL is allowed. An address that is no block, or a free block, ends in
 * heap_corrupt(). */
void heap_free(void *block);

/* Walks the heap, and checks its headers. */
void heap_figures(struct port_heap *figures);
/* The counted figures only, `largest` and `fragmentation` are 0: reads no header, so it works
 * on a damaged heap. */
void heap_peek(struct port_heap *figures);
/* Starts the window of `lowest` again. */
void heap_mark(void);

/* The caller of the allocation that failed last; NULL if none did. */
const void *heap_last_failed_caller(void);

/* Walks the whole heap. True when every header matches its neighbours. */
bool heap_sound(void);

/* Supplied by the program that links the heap: called for an invalid header near
 * `where`. Must not return. */
__attribute__((noreturn)) void heap_corrupt(const char *what, const void *where);

#endif
