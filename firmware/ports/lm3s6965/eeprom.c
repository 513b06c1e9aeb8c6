#include "eeprom.h"

#include <string.h>

#include "board.h"
#include "clock.h"

#define SYSTEM_RCGC1 (SYSTEM_CONTROL + 0x104)
#define SYSTEM_RCGC2 (SYSTEM_CONTROL + 0x108)
#define RCGC1_I2C0 (1u << 12)
#define RCGC2_PORT_B (1u << 1)
/* SCL and SDA are PB2 and PB3. */
#define PORT_B 0x40005000
#define GPIO_AFSEL 0x420
#define GPIO_ODR 0x50C
#define GPIO_DEN 0x51C
#define PINS 0x0Cu

#define I2C_ADDRESS (I2C0 + 0x00)
#define I2C_CONTROL (I2C0 + 0x04) /* when written; status when read */
#define I2C_DATA (I2C0 + 0x08)
#define I2C_PERIOD (I2C0 + 0x0C)
#define I2C_CONFIG (I2C0 + 0x20)
#define CONFIG_MASTER 0x10u
#define RUN 1u
#define START 2u
#define STOP 4u
#define ACK 8u
#define STATUS_BUSY 0x01u
#define STATUS_ERROR 0x02u
#define STATUS_LOST 0x10u /* QEMU: no device at this address */

#define DEVICE 0x50u
#define DEVICE_WRITE (DEVICE << 1)
#define DEVICE_READ (DEVICE << 1 | 1u)
/* Bytes of a page, which a write must not leave: an AT24C128's. */
#define PAGE 64u
/* A page takes 5 ms; the device does not answer meanwhile. */
#define WRITE_MS 20u
#define BYTE_MS 5u

void eeprom_start(void)
{
	*reg32(SYSTEM_RCGC1) |= RCGC1_I2C0;
	*reg32(SYSTEM_RCGC2) |= RCGC2_PORT_B;
	*reg32(PORT_B + GPIO_AFSEL) |= PINS;
	*reg32(PORT_B + GPIO_ODR) |= PINS;
	*reg32(PORT_B + GPIO_DEN) |= PINS;
	*reg32(I2C_CONFIG) = CONFIG_MASTER;
	*reg32(I2C_PERIOD) = 1; /* 40 clocks a bit: 78 kHz */
}

static bool waited(uint32_t start, uint32_t ms)
{
	return ((clock_ticks() - start) & 0xFFFFFF) > ms * TICKS_PER_MS;
}

/* Moves one byte, with what comes before and after it. */
static bool step(uint32_t control)
{
	uint32_t start = clock_ticks(), status;

	*reg32(I2C_CONTROL) = control;
	do {
		status = *reg32(I2C_CONTROL);
		if ((status & STATUS_BUSY) == 0)
			return (status & (STATUS_ERROR | STATUS_LOST)) == 0;
	} while (!waited(start, BYTE_MS));
	return false;
}

static bool send(uint8_t byte, uint32_t control)
{
	*reg32(I2C_DATA) = byte;
	return step(control);
}

/* Starts a write and sends the two bytes of the address, waiting for the device
 * to be done with the page before. */
static bool send_address(uint32_t address, uint32_t control)
{
	uint32_t start = clock_ticks();

	*reg32(I2C_ADDRESS) = DEVICE_WRITE;
	while (!send((uint8_t)(address >> 8), START | RUN)) {
		*reg32(I2C_CONTROL) = STOP;
		if (waited(start, WRITE_MS))
			return false;
	}
	return send((uint8_t)address, RUN | control);
}

bool eeprom_read(uint32_t address, void *to, size_t length)
{
	uint8_t *bytes = to;

	if (length == 0)
		return true;
	/* With a stop before the read: QEMU's controller knows no repeated start,
	 * and the device keeps its address. */
	if (!send_address(address, STOP))
		return false;
	*reg32(I2C_ADDRESS) = DEVICE_READ;
	for (size_t i = 0; i < length; i++) {
		bool last = i == length - 1;

		if (!step(RUN | (i == 0 ? START : 0) | (last ? STOP : ACK))) {
			*reg32(I2C_CONTROL) = STOP;
			return false;
		}
		bytes[i] = (uint8_t)*reg32(I2C_DATA);
	}
	return true;
}

static bool write_page(uint32_t address, const uint8_t *bytes, size_t length)
{
	if (!send_address(address, 0))
		return false;
	for (size_t i = 0; i < length; i++) {
		if (!send(bytes[i], RUN | (i == length - 1 ? STOP : 0))) {
			*reg32(I2C_CONTROL) = STOP;
			return false;
		}
	}
	return true;
}

bool eeprom_write(uint32_t address, const void *from, size_t length)
{
	const uint8_t *bytes = from;
	uint8_t wanted[PAGE], is[PAGE];

	while (length > 0) {
		size_t now = PAGE - address % PAGE;

		if (now > length)
			now = length;
		if (bytes != NULL)
			memcpy(wanted, bytes, now);
		else
			memset(wanted, 0xFF, now);
		/* What is there already is not written: cells wear out. */
		if (!eeprom_read(address, is, now))
			return false;
		if (memcmp(is, wanted, now) != 0 &&
		    (!write_page(address, wanted, now) || !eeprom_read(address, is, now) ||
		     memcmp(is, wanted, now) != 0))
			return false;
		address += now;
		length -= now;
		if (bytes != NULL)
			bytes += now;
	}
	return true;
}
