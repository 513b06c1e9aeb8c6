// Time, and sleep. The SDK's own task runs whenever the firmware yields; it is what feeds the
// watchdogs and calls lwIP.
#include <Arduino.h>
#include <coredecls.h>

extern "C" {
#include "clock.h"
#include "net.h"
}

// lwIP's callbacks run where the firmware yields, and nowhere else, so this needs no lock. It yields
// in a sleep and in a poll, and also in the middle of a log line (uart_write() yields once in 10 ms,
// after any byte) and of a long computation of BearSSL. So each call of the port reads again what a
// callback may change, and none keeps it.
static bool event;

uint32_t clock_ms(void)
{
	return millis();
}

void clock_sleep(uint32_t ms)
{
	esp_delay(ms, []() { return !event; });
}

void net_event(void)
{
	event = true;
	esp_schedule();
}

// The SDK moves frames and timers by itself as soon as the firmware yields. The Arduino core checks
// the words at the ends of the stack after each loop(), which here never ends. So it is done here,
// in each round of the firmware's main loop.
bool net_poll(void)
{
	bool came;

	cont_check(g_pcont);
	yield();
	came = event;
	event = false;
	return came;
}

uint32_t net_next_ms(void)
{
	return UINT32_MAX;
}
