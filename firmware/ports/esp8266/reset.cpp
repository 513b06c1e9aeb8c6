// Crash texts are the Arduino core's own, with registers and stack; here is what the
// firmware adds. The SDK keeps the reason of a reset, and what the software
// does itself has one number, 4: a restart, abort(), a panic, a broken stack guard. 2 is an
// exception of the processor, 1 and 3 are the watchdogs.
#include <Arduino.h>
#include <stdlib.h>
#include <user_interface.h>

extern "C" {
#include "crash.h"
#include "serial.h"
}

void chip_reset(uint32_t reason)
{
	(void)reason;
	serial_flush();
	system_restart();
	// The SDK's task does it, and runs while this one sleeps.
	for (;;)
		delay(1000);
}

void crash_panic(const char *what)
{
	serial_text("\nPanic ");
	serial_text(what);
	serial_text("\n");
	serial_flush();
	abort();
}
