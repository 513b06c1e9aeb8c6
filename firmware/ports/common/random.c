#include "random.h"

#include "bearssl_rand.h"
#include "clock.h"

static br_hmac_drbg_context drbg;
static bool seeded;

void random_start(const void *seed, size_t length)
{
	br_hmac_drbg_init(&drbg, &br_sha256_vtable, seed, length);
	seeded = true;
}

void random_stir(const void *more, size_t length)
{
	br_hmac_drbg_update(&drbg, more, length);
}

bool random_bytes(void *to, size_t length)
{
	if (!seeded)
		return false;
	br_hmac_drbg_generate(&drbg, to, length);
	return true;
}

uint32_t random_word(void)
{
	static uint32_t state;
	uint32_t word;

	if (random_bytes(&word, sizeof word))
		return word;
	state = (state ^ clock_ticks()) * 1664525u + 1013904223u;
	return state;
}
