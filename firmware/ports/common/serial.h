/* The board's one serial port. Only sending; nothing listens. */
#ifndef HILRIG_COMMON_SERIAL_H
#define HILRIG_COMMON_SERIAL_H

#include <stddef.h>
#include <stdint.h>

void serial_baud(uint32_t baud);
/* Waits for space, but when the line accepts nothing for SERIAL_STALL_MS it drops
 * the rest, and then everything until the line moves again: a stopped reader must
 * not stop the board. */
void serial_write(const char *bytes, size_t length);
/* Waits until the last byte has left, at most SERIAL_STALL_MS. */
void serial_flush(void);

/* As the chip's ROM prints: "\n" goes out as "\r\n". */
void serial_text(const char *text);
void serial_decimal(uint32_t value);
/* At least `digits` digits, lower case. */
void serial_hex(uint32_t value, unsigned digits);

#define SERIAL_STALL_MS 2000u

#endif
