#include "crash.h"

#include <stdbool.h>
#include <stddef.h>

#include "board.h"
#include "crash_frame.h"
#include "heap.h"
#include "rtc.h"
#include "serial.h"

#define CAUSE_DIVIDE_BY_ZERO 6u

struct crash_frame crash_frame; /* written by crt0.S */

static unsigned reports; /* how often the report was started */

_Noreturn void crash_report(void);
_Noreturn void divided_by_zero(void);

void chip_reset(uint32_t reason)
{
	volatile struct rtc *words = rtc();

	words->reason = reason;
	words->reason_complement = ~reason;
	serial_flush();
	*reg32(FPGA_RESET) = FPGA_RESET_WORD;
	halt();
}

static void cut_here(void)
{
	serial_text("\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\n");
}

static void say_register(const char *name, uint32_t value)
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
	if (sp % 4 == 0 && sp >= GUARD_PAGE && sp < STACK_END) {
		for (uint32_t row = sp & ~15u; row < STACK_END; row += 16) {
			const uint32_t *words = (const uint32_t *)row;

			serial_hex(row, 8);
			serial_text(": ");
			for (unsigned i = 0; i < 4; i++)
				say_register(" ", words[i]);
			serial_text(words[2] == row + 16 ? " <\n" : "  \n");
		}
	}
	serial_text("<<<stack<<<\n");
}

static void say_last_failed_alloc(void)
{
	struct port_heap figures;

	if (heap_last_failed_caller() == NULL)
		return;
	heap_peek(&figures);
	serial_text("\nlast failed alloc call: ");
	serial_hex((uint32_t)heap_last_failed_caller(), 8);
	serial_text("(");
	serial_decimal(figures.last_failed);
	serial_text(")\n");
}

/* Where the processor was, then the end. */
_Noreturn static void finish(uint32_t sp)
{
	say_stack(sp);
	say_last_failed_alloc();
	cut_here();
	chip_reset(RESET_EXCEPTION);
}

/* Entered from crt0.S on a stack of its own, with crash_frame filled. */
void crash_report(void)
{
	const struct crash_frame *frame = &crash_frame;
	uint32_t cause = frame->exccause, epc1 = frame->epc1;

	if (++reports > 1) {
		/* The report itself failed: its cause in one line, no more reading. */
		if (reports == 2) {
			serial_text("\nFatal exception (");
			serial_decimal(cause);
			say_register("):\nepc1=0x", epc1);
			say_register(", epc2=0x", frame->epc2);
			say_register(", epc3=0x", frame->epc3);
			say_register(", excvaddr=0x", frame->excvaddr);
			say_register(", depc=0x", frame->depc);
			serial_text("\n");
		}
		chip_reset(RESET_EXCEPTION);
	}
	cut_here();
	if (frame->kind == CRASH_GUARD) {
		serial_text("\nStack overflow detected\n");
	} else {
		/* As the chip's core: the division helper's illegal instruction
		 * stands for a division by zero, and its caller for the place. */
		if (cause == 0 && epc1 == (uint32_t)divided_by_zero) {
			cause = CAUSE_DIVIDE_BY_ZERO;
			epc1 = frame->a[0];
		}
		serial_text("\nException (");
		serial_decimal(cause);
		say_register("):\nepc1=0x", epc1);
		say_register(" epc2=0x", frame->epc2);
		say_register(" epc3=0x", frame->epc3);
		say_register(" excvaddr=0x", frame->excvaddr);
		say_register(" depc=0x", frame->depc);
		serial_text("\n");
	}
	finish(frame->a[1]);
}

void crash_panic(const char *what)
{
	uint32_t sp;

	__asm__ volatile("mov %0, a1" : "=r"(sp));
	reports++;
	cut_here();
	serial_text("\nPanic ");
	serial_text(what);
	serial_text("\n");
	finish(sp);
}

void heap_corrupt(const char *what, const void *where)
{
	serial_text("\nheap: corrupt ");
	serial_text(what);
	say_register(" at 0x", (uint32_t)where);
	serial_text("\n");
	crash_panic("heap corrupt");
}
