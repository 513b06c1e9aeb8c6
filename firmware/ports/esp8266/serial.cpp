// UART0, over the Arduino core's own driver. Nothing is received, so there is no buffer
// for it.
#include <Arduino.h>
#include <uart.h>

extern "C" {
#include "serial.h"
}

#define TX_PIN 1
// Bytes between two feeds of the watchdog: at 300 baud, the slowest, they take 2.1 s of
// the 3.2 s that it waits.
#define PIECE 64u

static uart_t *line;

void serial_baud(uint32_t baud)
{
	if (line != nullptr) {
		uart_wait_tx_empty(line);
		uart_set_baudrate(line, static_cast<int>(baud));
		return;
	}
	line = uart_init(UART0, static_cast<int>(baud), UART_8N1, UART_TX_ONLY, TX_PIN, 0, false);
	// The SDK would log its scans on the same line. Crash texts still appear.
	uart_set_debug(UART_NO);
}

void serial_write(const char *bytes, size_t length)
{
	if (line == nullptr)
		return;
	while (length > 0) {
		size_t piece = length < PIECE ? length : PIECE;

		uart_write(line, bytes, piece);
		ESP.wdtFeed();
		bytes += piece;
		length -= piece;
	}
}

void serial_flush(void)
{
	if (line != nullptr)
		uart_wait_tx_empty(line);
}
