#include "crash.h"

#include <stdbool.h>
#include <stddef.h>

#include "board.h"
#include "heap.h"
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

static void cut_here(void)
{
	rtt_be_patient();
	serial_text("\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\n");
}

static void say(const char *name, uint32_t value)
{
	serial_text(name);
	serial_hex(value, 8);
}

static void say_stack(uint32_t sp)
{
	serial_text("\n>>>stack>>>\n\nctx: cont\nsp: ");
	serial_hex(sp, 8);
	serial_text(" end: ");
	serial_hex(STACK_END, 8);
	serial_text(" offset: 0000\n");
	/* A stack pointer from nowhere has no stack to show. */
	if (sp % 4 == 0 && sp >= STACK_GUARD && sp < STACK_END) {
		for (uint32_t row = sp & ~15u; row < STACK_END; row += 16) {
			const uint32_t *words = (const uint32_t *)row;

			serial_hex(row, 8);
			serial_text(": ");
			for (unsigned i = 0; i < 4; i++)
				say(" ", words[i]);
			serial_text("  \n");
		}
	}
	serial_text("<<<stack<<<\n");
}

_Noreturn static void finish(uint32_t sp)
{
	struct port_heap figures;

	say_stack(sp);
	if (heap_last_failed_caller() != NULL) {
		heap_peek(&figures);
		say("\nlast failed alloc call: ", (uint32_t)heap_last_failed_caller());
		serial_text("(");
		serial_decimal(figures.last_failed);
		serial_text(")\n");
	}
	cut_here();
	chip_reset(RESET_EXCEPTION);
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
	/* An instruction that cannot be run is its own place. */
	at = pc;
	if ((cfsr & CFSR_MMARVALID) != 0)
		at = *reg32(SCB_MMFAR);
	else if ((cfsr & CFSR_BFARVALID) != 0)
		at = *reg32(SCB_BFAR);
	overflow = overflow || (at - STACK_GUARD < STACK_START - STACK_GUARD);
	reporting = true;
	cut_here();
	if (overflow)
		serial_text("\nStack overflow detected");
	say("\nHardFault: CFSR=0x", cfsr);
	say(" at 0x", at);
	say(" pc=0x", pc);
	say(" lr=0x", lr);
	serial_text("\n");
	for (unsigned i = 0; i < 8; i++) {
		serial_text(i == 0 ? "r" : " r");
		serial_decimal(4 + i);
		say("=0x", crash_registers[i]);
	}
	serial_text("\n");
	finish(stored ? where + FRAME_BYTES : where);
}

void crash_panic(const char *what)
{
	if (!reporting) {
		reporting = true;
		cut_here();
		serial_text("\nPanic ");
		serial_text(what);
		serial_text("\n");
	}
	finish((uint32_t)__builtin_frame_address(0));
}

void heap_corrupt(const char *what, const void *where)
{
	serial_text("\nheap: corrupt ");
	serial_text(what);
	say(" at 0x", (uint32_t)where);
	serial_text("\n");
	crash_panic("heap corrupt");
}
