#include "crash.h"

#include <stdbool.h>

#include "board.h"
#include "crash_text.h"
#include "reset.h"
#include "rtt.h"
#include "serial.h"

#define AIRCR_RESET 0x05FA0004u

#define CFSR_MMARVALID (1u << 7)
#define CFSR_BFARVALID (1u << 15)
/* The frame was not stored: the stack pointer had no memory under it. */
#define CFSR_STACKING (1u << 4 | 1u << 12)
#define FRAME_BYTES 32u

uint32_t crash_registers[8]; /* r4 to r11, from crt0.S */

static bool reporting;

_Noreturn void crash_report(const uint32_t *frame, uint32_t exception_return);

void chip_reset(uint32_t reason)
{
	reset_keep(reason);
	serial_flush();
	rtt_flush();
	__asm__ volatile("dsb" : : : "memory");
	*reg32(SCB_AIRCR) = AIRCR_RESET;
	for (;;)
		;
}

/* Entered from crt0.S in the HardFault handler, where the MPU is off; `frame` is
 * what the processor stored on the process stack: r0-r3, r12, lr, pc, xPSR. */
void crash_report(const uint32_t *frame, uint32_t exception_return)
{
	uint32_t cfsr = *reg32(SCB_CFSR), where = (uint32_t)frame, at, pc = 0, lr = 0;
	bool overflow = where < STACK_START;
	/* Bit 2 of the return value: the process stack was in use. */
	bool stored = (exception_return & 4) != 0 && (cfsr & CFSR_STACKING) == 0 && where % 4 == 0 &&
		      where >= STACK_GUARD && where <= STACK_END - FRAME_BYTES;

	if (stored) {
		lr = frame[5];
		pc = frame[6];
	}
	/* For an invalid instruction, the pc is the place. */
	at = pc;
	if ((cfsr & CFSR_MMARVALID) != 0)
		at = *reg32(SCB_MMFAR);
	else if ((cfsr & CFSR_BFARVALID) != 0)
		at = *reg32(SCB_BFAR);
	overflow = overflow || (at - STACK_GUARD < STACK_START - STACK_GUARD);
	reporting = true;
	rtt_be_patient();
	crash_cut_here();
	if (overflow)
		serial_text("\nStack overflow detected");
	crash_say("\nHardFault: CFSR=0x", cfsr);
	crash_say(" at 0x", at);
	crash_say(" pc=0x", pc);
	crash_say(" lr=0x", lr);
	serial_text("\n");
	for (unsigned i = 0; i < 8; i++) {
		serial_text(i == 0 ? "r" : " r");
		serial_decimal(4 + i);
		crash_say("=0x", crash_registers[i]);
	}
	serial_text("\n");
	crash_finish(stored ? where + FRAME_BYTES : where, STACK_GUARD, STACK_END);
}

void crash_panic(const char *what)
{
	if (!reporting) {
		reporting = true;
		rtt_be_patient();
		crash_cut_here();
		serial_text("\nPanic ");
		serial_text(what);
		serial_text("\n");
	}
	crash_finish((uint32_t)__builtin_frame_address(0), STACK_GUARD, STACK_END);
}
