#include "crash_text.h"

#include <stddef.h>

#include "crash.h"
#include "heap.h"
#include "serial.h"

void crash_cut_here(void)
{
	serial_text("\n--------------- CUT HERE FOR EXCEPTION DECODER ---------------\n");
}

void crash_say(const char *name, uint32_t value)
{
	serial_text(name);
	serial_hex(value, 8);
}

static void say_stack(uint32_t sp, uint32_t stack_lowest, uint32_t stack_end)
{
	crash_say("\n>>>stack>>>\n\nctx: cont\nsp: ", sp);
	crash_say(" end: ", stack_end);
	serial_text(" offset: 0000\n");
	if (sp % 4 == 0 && sp >= stack_lowest && sp < stack_end) {
		for (uint32_t row = sp & ~15u; row < stack_end; row += 16) {
			const uint32_t *words = (const uint32_t *)row;

			serial_hex(row, 8);
			serial_text(": ");
			for (unsigned i = 0; i < 4; i++)
				crash_say(" ", words[i]);
			serial_text(words[2] == row + 16 ? " <\n" : "  \n");
		}
	}
	serial_text("<<<stack<<<\n");
}

void crash_finish(uint32_t sp, uint32_t stack_lowest, uint32_t stack_end)
{
	struct port_heap figures;

	say_stack(sp, stack_lowest, stack_end);
	if (heap_last_failed_caller() != NULL) {
		heap_peek(&figures);
		crash_say("\nlast failed alloc call: ", (uint32_t)heap_last_failed_caller());
		serial_text("(");
		serial_decimal(figures.last_failed);
		serial_text(")\n");
	}
	crash_cut_here();
	chip_reset(RESET_EXCEPTION);
}

void heap_corrupt(const char *what, const void *where)
{
	serial_text("\nheap: corrupt ");
	serial_text(what);
	crash_say(" at 0x", (uint32_t)where);
	serial_text("\n");
	crash_panic("heap corrupt");
}
