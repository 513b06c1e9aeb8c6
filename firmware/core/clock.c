#include "clock.h"

#include <stdio.h>

void clock_start(struct clock *clock, const struct port *port)
{
	clock->port = port;
	clock->last_ms = port->uptime_ms(port->self);
	clock->uptime_ms = clock->last_ms;
	clock->known = false;
	clock->unix_at_start = 0;
}

uint64_t clock_uptime_ms(struct clock *clock)
{
	uint32_t now = clock->port->uptime_ms(clock->port->self);

	clock->uptime_ms += (uint32_t)(now - clock->last_ms);
	clock->last_ms = now;
	return clock->uptime_ms;
}

void clock_set(struct clock *clock, uint64_t unix_seconds)
{
	clock->unix_at_start = (int64_t)unix_seconds - (int64_t)(clock_uptime_ms(clock) / 1000);
	clock->known = true;
}

uint64_t clock_unix(struct clock *clock)
{
	if (!clock->known)
		return 0;
	return (uint64_t)(clock->unix_at_start + (int64_t)(clock_uptime_ms(clock) / 1000));
}

void clock_text(uint64_t unix_seconds, char text[CLOCK_TEXT_SIZE])
{
	static const char days[] = "ThuFriSatSunMonTueWed"; /* 1 January 1970 was a Thursday */
	static const char months[] = "JanFebMarAprMayJunJulAugSepOctNovDec";
	static const uint8_t lengths[] = { 31, 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31 };
	uint32_t day = (uint32_t)(unix_seconds / 86400);
	uint32_t second = (uint32_t)(unix_seconds % 86400);
	unsigned weekday = day % 7;
	unsigned year = 1970;
	unsigned month = 0;

	for (;; year++) {
		bool leap = (year % 4 == 0 && year % 100 != 0) || year % 400 == 0;
		uint32_t in_year = leap ? 366 : 365;

		if (day >= in_year) {
			day -= in_year;
			continue;
		}
		for (month = 0; month < 11; month++) {
			uint32_t in_month = lengths[month] + (uint32_t)(month == 1 && leap);

			if (day < in_month)
				break;
			day -= in_month;
		}
		break;
	}
	snprintf(text, CLOCK_TEXT_SIZE, "%.3s %.3s %2u %02u:%02u:%02u %u", days + weekday * 3,
		 months + month * 3, (unsigned)day + 1, (unsigned)(second / 3600),
		 (unsigned)(second / 60 % 60), (unsigned)(second % 60), year);
}
