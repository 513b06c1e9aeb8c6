#include "reset.h"

#include <stdbool.h>

#include "crash.h"

#define MAGIC 0x43545248u /* "HRTC" */

/* Zero on QEMU after a power-on, anything on the chip. */
static volatile struct {
	uint32_t magic;
	uint32_t starts;
	uint32_t reason;
	uint32_t reason_complement;
} kept __attribute__((section(".noinit")));

void reset_keep(uint32_t reason)
{
	kept.reason = reason;
	kept.reason_complement = ~reason;
}

uint8_t reset_take(void)
{
	uint32_t reason = kept.reason;
	bool power = kept.magic != MAGIC, written = kept.reason_complement == ~reason;

	kept.starts = power ? 1 : kept.starts + 1;
	kept.magic = MAGIC;
	kept.reason = 0;
	kept.reason_complement = 0;
	if (power)
		return RESET_POWER;
	return (uint8_t)(written ? reason : RESET_EXTERNAL);
}

uint32_t reset_starts(void)
{
	return kept.starts;
}
