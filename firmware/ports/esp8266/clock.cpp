// Time, and sleep, in which the SDK's own task runs: it is what feeds the watchdogs and
// calls lwIP.
#include <Arduino.h>
#include <coredecls.h>

extern "C" {
#include "clock.h"
#include "net.h"
}

// lwIP's callbacks run while the firmware sleeps and never beside it, so this needs no lock.
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

// The SDK moves frames and timers by itself once it is let.
bool net_poll(void)
{
	bool came;

	yield();
	came = event;
	event = false;
	return came;
}

uint32_t net_next_ms(void)
{
	return UINT32_MAX;
}
