#include "slots.h"

#include <stdint.h>
#include <string.h>

#include "board.h"
#include "port.h"

/* Flash offset of slot 0; slot 1 is the sector after it. Far above the image
 * and in the upper half, where a 4 MB ESP8266 keeps its settings too. */
#define SLOTS_OFFSET 0x3E0000u

/* Commands and status of the Intel command set (CFI 01). */
#define READ_ARRAY 0xFFu
#define ERASE_SETUP 0x20u
#define ERASE_CONFIRM 0xD0u
#define PROGRAM 0x40u
#define CLEAR_STATUS 0x50u
#define STATUS_READY 0x80u
#define STATUS_ERRORS 0x3Au /* erase, program, voltage, lock */

/* What a slow NOR flash needs at most, with reserve. */
#define ERASE_MS 4000u
#define PROGRAM_MS 10u

/* 16-bit words programmed between two reads of the array. */
#define PIECE 64u

static volatile uint16_t *sector(unsigned slot)
{
	return (volatile uint16_t *)(FLASH_ADDRESS + SLOTS_OFFSET + slot * FLASH_SECTOR);
}

static bool fits(unsigned slot, size_t offset, size_t length)
{
	return slot < PORT_SLOTS && offset <= PORT_SLOT_SIZE && length <= PORT_SLOT_SIZE - offset;
}

static bool finished(volatile uint16_t *at, uint32_t within_ms)
{
	uint32_t start = ccount();
	uint16_t status;

	do {
		status = *at;
		if ((status & STATUS_READY) != 0)
			return (status & STATUS_ERRORS) == 0;
	} while (ccount() - start < within_ms * CYCLES_PER_MS);
	return false;
}

bool slots_read(unsigned slot, size_t offset, void *to, size_t length)
{
	if (!fits(slot, offset, length))
		return false;
	memcpy(to, (const uint8_t *)sector(slot) + offset, length);
	return true;
}

bool slots_erase(unsigned slot)
{
	volatile uint16_t *at;
	bool good;

	if (!fits(slot, 0, 0))
		return false;
	at = sector(slot);
	*at = CLEAR_STATUS;
	*at = ERASE_SETUP;
	*at = ERASE_CONFIRM;
	good = finished(at, ERASE_MS);
	*at = READ_ARRAY;
	for (size_t i = 0; good && i < PORT_SLOT_SIZE / 2; i++)
		good = at[i] == 0xFFFF;
	return good;
}

/* Programs words whose old content is given. The flash is left in whatever
 * state its last command brought. */
static bool program(volatile uint16_t *at, const uint16_t *old, const uint8_t *bytes, size_t words)
{
	bool good = true;

	for (size_t i = 0; good && i < words; i++) {
		uint16_t word = (uint16_t)(bytes[2 * i] | bytes[2 * i + 1] << 8);

		/* NOR flash only clears bits; QEMU's would take any word. */
		if ((old[i] & word) == old[i])
			continue;
		at[i] = PROGRAM;
		at[i] = old[i] & word;
		good = finished(at + i, PROGRAM_MS);
	}
	return good;
}

bool slots_write(unsigned slot, size_t offset, const void *from, size_t length)
{
	volatile uint16_t *at;
	const uint8_t *bytes = from;
	bool good = true;

	if (!fits(slot, offset, length) || offset % 4 != 0 || length % 4 != 0)
		return false;
	at = sector(slot) + offset / 2;
	/* In pieces, because the old words can only be read between commands, and
	 * going back and forth for each word is slow on QEMU. */
	for (size_t done = 0, words; good && done < length / 2; done += words) {
		uint16_t old[PIECE];

		words = length / 2 - done < PIECE ? length / 2 - done : PIECE;
		for (size_t i = 0; i < words; i++)
			old[i] = at[done + i];
		at[done] = CLEAR_STATUS;
		good = program(at + done, old, bytes + 2 * done, words);
		at[done] = READ_ARRAY;
	}
	return good && memcmp((const void *)at, from, length) == 0;
}
