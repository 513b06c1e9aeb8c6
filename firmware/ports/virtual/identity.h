/*
 * Who this board is and where its randomness starts. The machine has neither a
 * MAC address of its own nor a random number generator, so whoever starts QEMU
 * places an identity block in memory; README.md has its form.
 */
#ifndef HILRIG_VIRTUAL_IDENTITY_H
#define HILRIG_VIRTUAL_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Takes the block, or the default MAC address where there is none. */
void identity_start(uint8_t mac[6]);

/* Random bytes good enough to key TLS; false when no seed was given. */
bool random_bytes(void *to, size_t length);

/* For port numbers and the like: never fails, not secret without a seed. */
uint32_t random_word(void);

#endif
