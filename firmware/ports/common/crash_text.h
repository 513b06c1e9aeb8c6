/* What the crash reports of the ports have in common: the ESP8266 Arduino core's form. */
#ifndef HILRIG_COMMON_CRASH_TEXT_H
#define HILRIG_COMMON_CRASH_TEXT_H

#include <stdint.h>

/* The line that a report starts and ends with. */
void crash_cut_here(void);
/* `name`, and 8 hex digits after it. */
void crash_say(const char *name, uint32_t value);
/* The rest of a report: the stack from `sp` up to `stack_end`, the allocation that
 * failed last, and the reset. A stack pointer below `stack_lowest` is invalid: no stack is
 * printed. */
_Noreturn void crash_finish(uint32_t sp, uint32_t stack_lowest, uint32_t stack_end);

#endif
