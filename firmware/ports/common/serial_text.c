#include <stdbool.h>

#include "serial.h"

void serial_text(const char *text)
{
	while (*text != 0) {
		const char *end = text;

		while (*end != 0 && *end != '\n')
			end++;
		serial_write(text, (size_t)(end - text));
		if (*end == '\n') {
			serial_write("\r\n", 2);
			end++;
		}
		text = end;
	}
}

/* Without a division: its helper is in the mapped flash, which a crash report
 * must not need. */
void serial_decimal(uint32_t value)
{
	static const uint32_t powers[] = {1000000000, 100000000, 10000000, 1000000, 100000,
					  10000,      1000,	 100,	   10,	    1};
	bool begun = false;

	for (unsigned i = 0; i < sizeof powers / sizeof powers[0]; i++) {
		char digit = '0';

		while (value >= powers[i]) {
			value -= powers[i];
			digit++;
		}
		begun = begun || digit != '0' || powers[i] == 1;
		if (begun)
			serial_write(&digit, 1);
	}
}

void serial_hex(uint32_t value, unsigned digits)
{
	char text[8];
	unsigned at = sizeof text;

	while (at > 0 && (value != 0 || sizeof text - at < digits)) {
		text[--at] = "0123456789abcdef"[value & 15];
		value >>= 4;
	}
	serial_write(text + at, sizeof text - at);
}
