/* MAC address, seed of randomness, pins. */
#include "board.h"

#include <string.h>

#include "bearssl_rand.h"
#include "clock.h"
#include "crash.h"
#include "eeprom.h"
#include "pins.h"
#include "random.h"
#include "reset.h"

#define SYSTEM_RCGC2 (SYSTEM_CONTROL + 0x108)
#define RCGC2_PORT_F (1u << 5)
#define GPIO_DIRECTION 0x400
#define GPIO_DIGITAL 0x51C
#define LED 1u

/* The evaluation board has its MAC address in these two: three bytes each. */
#define SYSTEM_USER0 (SYSTEM_CONTROL + 0x1E0)
#define SYSTEM_USER1 (SYSTEM_CONTROL + 0x1E4)

#define ANALOG_CHANNELS 8u

const char board_device[] = "LM3S6965";

static bool blank(const uint8_t *seed)
{
	for (unsigned i = 1; i < EEPROM_SEED_SIZE; i++) {
		if (seed[i] != seed[0])
			return false;
	}
	return true;
}

/* The seed is changed in the EEPROM before it is used, so no two starts share
 * one. Without a seed, or if it cannot be changed, there is no randomness, and
 * the core then refuses TLS. */
static void take_seed(const uint8_t mac[6])
{
	struct {
		uint8_t seed[EEPROM_SEED_SIZE];
		uint8_t mac[6];
		uint8_t use[2]; /* the next seed and the stream have nothing in common */
		uint32_t starts;
		uint32_t ticks;
	} state = {.starts = reset_starts(), .ticks = clock_ticks()};
	br_hmac_drbg_context drbg;
	uint8_t next[EEPROM_SEED_SIZE];
	bool good;

	memcpy(state.mac, mac, sizeof state.mac);
	good = eeprom_read(EEPROM_SEED, state.seed, sizeof state.seed) && !blank(state.seed);
	if (good) {
		br_hmac_drbg_init(&drbg, &br_sha256_vtable, &state, sizeof state);
		br_hmac_drbg_generate(&drbg, next, sizeof next);
		good = eeprom_write(EEPROM_SEED, next, sizeof next);
	}
	if (good) {
		state.use[0] = 1;
		random_start(&state, sizeof state);
	}
}

uint8_t board_start(uint8_t mac[6])
{
	uint32_t user[2] = {*reg32(SYSTEM_USER0), *reg32(SYSTEM_USER1)};
	uint8_t reason = reset_take();

	for (unsigned i = 0; i < 6; i++)
		mac[i] = (uint8_t)(user[i / 3] >> 8 * (i % 3));
	*reg32(SYSTEM_RCGC2) |= RCGC2_PORT_F;
	*reg32(PORT_F + GPIO_DIRECTION) |= LED;
	*reg32(PORT_F + GPIO_DIGITAL) |= LED;
	board_led(false);
	eeprom_start();
	take_seed(mac);
	return reason;
}

void board_led(bool on)
{
	/* The address selects the pins that are written. */
	*reg32(PORT_F + (LED << 2)) = on ? LED : 0;
}

/* QEMU's converter samples on a timer's trigger only and gives noise, so the
 * values are fixed: README.md has them. */
uint16_t board_analog(unsigned channel)
{
	return (uint16_t)(channel < ANALOG_CHANNELS ? 100 * (channel + 1) : 0);
}
