/* From cores/esp8266/uart.h of the Arduino core 3.1.2. */
#ifndef ESP_UART_H
#define ESP_UART_H

#include <stdbool.h>
#include <stddef.h>

#define UART0 0
#define UART_NO -1
#define UART_8N1 0x1C
#define UART_TX_ONLY 2

#ifdef __cplusplus
extern "C" {
#endif
typedef struct uart_ uart_t;

uart_t *uart_init(int uart_nr, int baudrate, int config, int mode, int tx_pin, size_t rx_size,
		  bool invert);
void uart_set_baudrate(uart_t *uart, int baud_rate);
size_t uart_write(uart_t *uart, const char *buf, size_t size);
void uart_wait_tx_empty(uart_t *uart);
void uart_set_debug(int uart_nr);
#ifdef __cplusplus
}
#endif

#endif
