#include "crash.h"

#include "board.h"
#include "crash_frame.h"
#include "crash_text.h"
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
			crash_say("):\nepc1=0x", epc1);
			crash_say(", epc2=0x", frame->epc2);
			crash_say(", epc3=0x", frame->epc3);
			crash_say(", excvaddr=0x", frame->excvaddr);
			crash_say(", depc=0x", frame->depc);
			serial_text("\n");
		}
		chip_reset(RESET_EXCEPTION);
	}
	crash_cut_here();
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
		crash_say("):\nepc1=0x", epc1);
		crash_say(" epc2=0x", frame->epc2);
		crash_say(" epc3=0x", frame->epc3);
		crash_say(" excvaddr=0x", frame->excvaddr);
		crash_say(" depc=0x", frame->depc);
		serial_text("\n");
	}
	crash_finish(frame->a[1], GUARD_PAGE, STACK_END);
}

void crash_panic(const char *what)
{
	uint32_t sp;

	__asm__ volatile("mov %0, a1" : "=r"(sp));
	reports++;
	crash_cut_here();
	serial_text("\nPanic ");
	serial_text(what);
	serial_text("\n");
	crash_finish(sp, GUARD_PAGE, STACK_END);
}
