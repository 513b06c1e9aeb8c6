/* From cores/esp8266/coredecls.h of the Arduino core 3.1.2. */
#ifndef COREDECLS_H
#define COREDECLS_H

#include <stdint.h>

#include <cont.h>

extern "C" {
unsigned long millis(void);
void esp_schedule();
void disable_extra4k_at_link_time(void) __attribute__((noinline));
}

/* Gives the processor away for at most `interval`, or what is left of `timeout` since
 * `start`; true when that has passed. esp_schedule() ends it. */
bool esp_try_delay(const uint32_t start, const uint32_t timeout, const uint32_t interval);

template <typename T>
inline void esp_delay(const uint32_t timeout, T &&blocked, const uint32_t interval)
{
	const uint32_t start = static_cast<uint32_t>(millis());

	while (!esp_try_delay(start, timeout, interval) && blocked()) {
	}
}

template <typename T>
inline void esp_delay(const uint32_t timeout, T &&blocked)
{
	esp_delay(timeout, static_cast<T &&>(blocked), timeout);
}

#endif
