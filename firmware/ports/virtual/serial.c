#include "serial.h"

#include <stdbool.h>

#include "board.h"

/* Registers of a 16550, one in every 4 bytes. */
enum { THR = 0, DLL = 0, IER = 1, DLM = 1, FCR = 2, LCR = 3, LSR = 5 };
#define LCR_8N1 0x03u
#define LCR_DLAB 0x80u
#define FCR_ENABLE_CLEAR 0x07u
#define LSR_THRE 0x20u
#define LSR_TEMT 0x40u
#define FIFO 16u

static bool stalled;

static volatile uint32_t *uart(unsigned reg)
{
	return reg32(UART_ADDRESS + 4 * reg);
}

static bool wait_for(uint32_t bit)
{
	uint32_t start = ccount();

	while ((*uart(LSR) & bit) == 0) {
		if (stalled || ccount() - start > SERIAL_STALL_MS * CYCLES_PER_MS) {
			stalled = true;
			return false;
		}
	}
	stalled = false;
	return true;
}

void serial_baud(uint32_t baud)
{
	uint32_t divisor = baud == 0 ? 1 : (CLOCK_HZ / 16 + baud / 2) / baud;

	if (divisor == 0)
		divisor = 1;
	if (divisor > 0xFFFF)
		divisor = 0xFFFF;
	wait_for(LSR_TEMT);
	*uart(IER) = 0;
	*uart(LCR) = LCR_DLAB | LCR_8N1;
	*uart(DLL) = divisor & 0xFF;
	*uart(DLM) = divisor >> 8;
	*uart(LCR) = LCR_8N1;
	*uart(FCR) = FCR_ENABLE_CLEAR;
}

void serial_write(const char *bytes, size_t length)
{
	while (length > 0) {
		size_t now = length < FIFO ? length : FIFO;

		if (!wait_for(LSR_THRE))
			return;
		length -= now;
		while (now-- > 0)
			*uart(THR) = (uint8_t)*bytes++;
	}
}

void serial_flush(void)
{
	wait_for(LSR_TEMT);
}
