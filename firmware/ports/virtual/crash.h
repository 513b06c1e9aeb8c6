/* The end of a run that went wrong: text in the form of the ESP8266's Arduino
 * core, then a reset. Usable from assembler for the kinds. */
#ifndef HILRIG_VIRTUAL_CRASH_H
#define HILRIG_VIRTUAL_CRASH_H

#define CRASH_EXCEPTION 0
#define CRASH_GUARD 1 /* the stack ran into its guard */

#ifndef __ASSEMBLER__
#include <stdint.h>

/* What crt0.S saves; the offsets stand there. */
struct crash_frame {
	uint32_t a[16];
	uint32_t kind;
	uint32_t exccause;
	uint32_t epc1, epc2, epc3;
	uint32_t excvaddr;
	uint32_t depc;
};

/* Says why and where, and resets with reason 2. `what` is printed behind
 * "Panic ". */
_Noreturn void crash_panic(const char *what);

/* Resets the chip with one of the RTC_REASON_ numbers. */
_Noreturn void chip_reset(uint32_t reason);
#endif

#endif
