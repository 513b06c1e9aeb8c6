/* The board's one serial port. Only sending; nothing listens. */
#ifndef HILRIG_COMMON_UART_H
#define HILRIG_COMMON_UART_H

#include <stddef.h>
#include <stdint.h>

void uart_baud(uint32_t baud);
/* Waits for room, but when the line takes nothing for UART_STALL_MS it drops
 * what is left, and then everything until the line moves again: a reader that
 * stopped must not stop the board. */
void uart_write(const char *bytes, size_t length);
/* Waits until the last byte has left, at most UART_STALL_MS. */
void uart_flush(void);

/* As the chip's ROM prints: "\n" goes out as "\r\n". */
void uart_text(const char *text);
void uart_decimal(uint32_t value);
/* At least `digits` digits, lower case. */
void uart_hex(uint32_t value, unsigned digits);

#define UART_STALL_MS 2000u

#endif
