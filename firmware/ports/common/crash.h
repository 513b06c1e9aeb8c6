/* What happens at a crash. Each port has its own crash.c: text on the
 * serial line in the form of its chip, then a reset. */
#ifndef HILRIG_COMMON_CRASH_H
#define HILRIG_COMMON_CRASH_H

#include <stdint.h>

/* Why the chip started, by the ESP8266 SDK's numbers, as in `struct port`. */
#define RESET_POWER 0u
#define RESET_EXCEPTION 2u
#define RESET_RESTART 4u
#define RESET_EXTERNAL 6u

/* Prints the reason and the place, and resets with reason 2, or with 4 where the chip's SDK decides
 * it (ports/esp8266). `what` is printed after "Panic ". */
__attribute__((noreturn)) void crash_panic(const char *what);

/* Resets the chip with one of the RESET_ numbers. */
__attribute__((noreturn)) void chip_reset(uint32_t reason);

#endif
