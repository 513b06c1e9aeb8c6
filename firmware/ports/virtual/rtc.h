/*
 * The words in RTC memory that the boot ROM and the firmware share. RTC memory
 * keeps its content over a reset and is zero after a power-on.
 *
 *   at power-on    all zero
 *   boot ROM       magic wrong: clears everything, writes the magic and
 *                  cause 1. Magic right: cause 2. Counts `boots` up. Leaves
 *                  the reason words alone
 *   firmware       before a reset of its own writes `reason` and its
 *                  complement; at start reads and clears them
 *
 * So a reset with cause 2 and no reason came from outside.
 */
#ifndef HILRIG_VIRTUAL_RTC_H
#define HILRIG_VIRTUAL_RTC_H

#include <stdint.h>

#include "board.h"

#define RTC_MAGIC 0x43545248u /* "HRTC" */

/* The ROM's "rst cause". */
#define RTC_CAUSE_POWER 1u
#define RTC_CAUSE_RESET 2u

struct rtc {
	uint32_t magic;
	uint32_t cause;
	uint32_t boots; /* resets since the power-on, 1 for the first start */
	uint32_t reason; /* one of crash.h's RESET_ numbers */
	uint32_t reason_complement;
};

static inline volatile struct rtc *rtc(void)
{
	return (volatile struct rtc *)RTC_ADDRESS;
}

#endif
