// The Arduino core's entry points. Its main task runs loop() on a stack of its own and
// gives the processor to Wi-Fi and lwIP whenever the firmware sleeps (clock.cpp), so
// core_run() never has to return.
#include <Arduino.h>
#include <coredecls.h>

extern "C" {
#include "port_table.h"
#include "serial.h"
}

// A handshake takes up to 5,264 bytes of stack (measured on the virtual board), and an
// interrupt of the SDK adds to that. The core's 4 KiB are too few.
static_assert(CONT_STACKSIZE >= 7168, "platformio.ini sets CONT_STACKSIZE");

void setup()
{
	// The core usually places its stack inside the SDK's, where there are only 4 KiB.
	disable_extra4k_at_link_time();
	serial_baud(115200);
}

void loop()
{
	port_run();
}
