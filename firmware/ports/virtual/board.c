/* Identity, seed of randomness, pins, reset reason. The machine has neither a MAC
 * address of its own nor a random number generator, so the program that starts QEMU
 * places an identity block in memory; README.md has its form. */
#include "board.h"

#include <string.h>

#include "crash.h"
#include "pins.h"
#include "random.h"
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

const char board_device[] = "ESP8266"; /* the chip that this board models */

static const uint8_t default_mac[6] = {0x18, 0xFE, 0x34, 0x00, 0x00, 0x01};

static void take_identity(uint8_t mac[6])
{
	const struct identity *identity = (const struct identity *)IDENTITY_ADDRESS;
	uint32_t start[2];

	if (identity->magic != MAGIC) {
		memcpy(mac, default_mac, sizeof default_mac);
		return;
	}
	memcpy(mac, identity->mac, sizeof identity->mac);
	random_start(identity, sizeof *identity);
	/* QEMU restores the same block at every reset, so the seed alone would give
	 * every start the same keys. The count of starts makes them differ; the
	 * clock adds more. */
	start[0] = rtc()->boots;
	start[1] = ccount();
	random_stir(start, sizeof start);
}

void board_led(bool on)
{
	*reg32(FPGA_LED) = on ? 1 : 0;
}

#define ANALOG_MAGIC 0x474C4E41u /* "ANLG" */
#define ANALOG_MOST 1023u        /* the ESP8266's converter has 10 bits */
#define ANALOG_CHANNELS 8u

/* The magic, then one word a channel, which a test may set. */
static volatile uint32_t *analog_words(void)
{
	volatile uint32_t *words = reg32(ANALOG_ADDRESS);

	if (words[0] != ANALOG_MAGIC) {
		for (unsigned i = 0; i < ANALOG_CHANNELS; i++)
			words[1 + i] = 100 * (i + 1);
		words[0] = ANALOG_MAGIC;
	}
	return words;
}

uint16_t board_analog(unsigned channel)
{
	uint32_t value;

	if (channel >= ANALOG_CHANNELS)
		return 0;
	value = analog_words()[1 + channel];
	return (uint16_t)(value < ANALOG_MOST ? value : ANALOG_MOST);
}

/* Why the chip started, from the words of rtc.h. */
static uint8_t take_reset_reason(void)
{
	volatile struct rtc *words = rtc();
	uint32_t reason = words->reason;
	bool written = words->reason_complement == ~reason;

	words->reason = 0;
	words->reason_complement = 0;
	if (words->cause == RTC_CAUSE_POWER)
		return RESET_POWER;
	return (uint8_t)(written ? reason : RESET_EXTERNAL);
}

uint8_t board_start(uint8_t mac[6])
{
	take_identity(mac);
	analog_words();
	return take_reset_reason();
}
