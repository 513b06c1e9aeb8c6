/* Why the chip started: in RAM that a reset keeps and nothing clears. The chip's
 * own register (RESC) stays 0 on QEMU. */
#ifndef HILRIG_LM3S6965_RESET_H
#define HILRIG_LM3S6965_RESET_H

#include <stdint.h>

/* Before a reset by the firmware. */
void reset_keep(uint32_t reason);
/* Once, after the start: a RESET_ number of crash.h. */
uint8_t reset_take(void);
/* Starts since the power-on, 1 for the first. After reset_take(). */
uint32_t reset_starts(void);

#endif
