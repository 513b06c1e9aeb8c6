/* UART0, a PL011. */
#include "serial.h"

#include <stdbool.h>

#include "board.h"
#include "clock.h"
#include "rtt.h"

#define SYSTEM_RCGC1 (SYSTEM_CONTROL + 0x104)
#define RCGC1_UART0 1u
#define SYSTEM_RCGC2 (SYSTEM_CONTROL + 0x108)
#define RCGC2_PORT_A 1u
/* Receive and transmit are PA0 and PA1. */
#define PORT_A_AFSEL 0x40004420
#define PORT_A_DEN 0x4000451C
#define PINS 3u
#define DATA (UART0 + 0x00)
#define FLAGS (UART0 + 0x18)
#define FLAG_BUSY 0x08u
#define FLAG_FULL 0x20u
#define DIVISOR (UART0 + 0x24)
#define FRACTION (UART0 + 0x28)
#define LINE (UART0 + 0x2C)
#define LINE_8N1_FIFO 0x70u
#define CONTROL (UART0 + 0x30)
#define CONTROL_SEND 0x101u /* on, transmitter on */

static bool stalled;

/* Waits until the flag is gone. By ticks, not clock_ms(): a crash report comes
 * from anywhere, the middle of clock_ms() included. */
static bool wait_while(uint32_t flag)
{
	uint32_t start = clock_ticks();

	while ((*reg32(FLAGS) & flag) != 0) {
		if (stalled || ((clock_ticks() - start) & 0xFFFFFF) > SERIAL_STALL_MS * TICKS_PER_MS) {
			stalled = true;
			return false;
		}
	}
	stalled = false;
	return true;
}

void serial_baud(uint32_t baud)
{
	/* In 64ths of 16 clocks a bit. */
	uint32_t divisor = baud == 0 ? 64 : (CLOCK_HZ * 4u + baud / 2) / baud;

	if (divisor < 64)
		divisor = 64;
	if (divisor > 0xFFFF * 64u)
		divisor = 0xFFFF * 64u;
	*reg32(SYSTEM_RCGC1) |= RCGC1_UART0;
	*reg32(SYSTEM_RCGC2) |= RCGC2_PORT_A;
	*reg32(PORT_A_AFSEL) |= PINS;
	*reg32(PORT_A_DEN) |= PINS;
	wait_while(FLAG_BUSY);
	*reg32(CONTROL) = 0;
	*reg32(DIVISOR) = divisor / 64;
	*reg32(FRACTION) = divisor % 64;
	*reg32(LINE) = LINE_8N1_FIFO; /* takes the divisor over */
	*reg32(CONTROL) = CONTROL_SEND;
}

void serial_write(const char *bytes, size_t length)
{
	rtt_write(bytes, length);
	while (length-- > 0) {
		if (!wait_while(FLAG_FULL))
			return;
		*reg32(DATA) = (uint8_t)*bytes++;
	}
}

void serial_flush(void)
{
	wait_while(FLAG_BUSY);
}
