/* Uptime that does not wrap, and the time of day once SNTP has set it. */
#ifndef HILRIG_CLOCK_H
#define HILRIG_CLOCK_H

#include "port.h"

struct clock {
	const struct port *port;
	uint32_t last_ms;
	uint64_t uptime_ms;
	bool known;            /* the time of day was set */
	int64_t unix_at_start; /* seconds since 1970 when uptime was 0 */
};

void clock_start(struct clock *clock, const struct port *port);

/* Milliseconds since the reset. Must be called at least every 49 days; the main
 * loop does. */
uint64_t clock_uptime_ms(struct clock *clock);

/* Sets the time of day, in seconds since 1970. */
void clock_set(struct clock *clock, uint64_t unix_seconds);

/* Seconds since 1970; 0 while the time is not known. */
uint64_t clock_unix(struct clock *clock);

/* Room for clock_text(): "Sun Nov 22 09:43:51 2026" and a NUL, with a year of up to six digits. */
#define CLOCK_TEXT_SIZE 32

/* As C's asctime() has it, without the newline, in GMT. */
void clock_text(uint64_t unix_seconds, char text[CLOCK_TEXT_SIZE]);

#endif
