#include "identity.h"

#include <string.h>

#include "bearssl_rand.h"
#include "board.h"
#include "rtc.h"

#define MAGIC 0x44495248u /* "HRID" */

struct identity {
	uint32_t magic;
	uint8_t mac[6];
	uint8_t zero[2];
	uint8_t seed[32];
	uint8_t rest[20];
};

_Static_assert(sizeof(struct identity) == 64, "the rig writes 64 bytes");

static const uint8_t default_mac[6] = {0x18, 0xFE, 0x34, 0x00, 0x00, 0x01};

static br_hmac_drbg_context drbg;
static bool seeded;

void identity_start(uint8_t mac[6])
{
	const struct identity *identity = (const struct identity *)IDENTITY_ADDRESS;
	uint32_t start[2];

	if (identity->magic != MAGIC) {
		memcpy(mac, default_mac, sizeof default_mac);
		return;
	}
	memcpy(mac, identity->mac, sizeof identity->mac);
	br_hmac_drbg_init(&drbg, &br_sha256_vtable, identity, sizeof *identity);
	/* QEMU puts the same block back at every reset, so the seed alone would
	 * give every start the same keys. The count of starts tells them apart;
	 * the clock adds what it has. */
	start[0] = rtc()->boots;
	start[1] = ccount();
	br_hmac_drbg_update(&drbg, start, sizeof start);
	seeded = true;
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
	state = (state ^ ccount()) * 1664525u + 1013904223u;
	return state;
}
