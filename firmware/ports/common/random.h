/* Random bytes from a seed that the port supplies. */
#ifndef HILRIG_COMMON_RANDOM_H
#define HILRIG_COMMON_RANDOM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Keys the generator (HMAC-DRBG with SHA-256, NIST SP 800-90A). */
void random_start(const void *seed, size_t length);
/* Adds bytes that differ at each start; only after random_start(). */
void random_stir(const void *more, size_t length);

/* Random bytes good enough to key TLS; false without a seed. */
bool random_bytes(void *to, size_t length);

/* For port numbers and the like: never fails, not secret without a seed. */
uint32_t random_word(void);

#endif
