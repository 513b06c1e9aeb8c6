/*
 * What the ESP8266's ROM does after a reset in flash-boot mode: reads the
 * image at the start of the flash, loads its segments, checks the checksum and
 * jumps, and prints what the chip's ROM prints.
 *
 * Two things the chip does elsewhere are done here: the first MiB of flash is
 * copied to where the chip's cache maps it, and what is no image, or would load
 * outside the memory, stops the board with the ROM's text. The chip runs into
 * its watchdog there; a virtual board stays silent and asleep.
 */
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "board.h"
#include "rtc.h"
#include "serial.h"

#define IMAGE_MAGIC 0xE9u
#define CHECKSUM_SEED 0xEFu
#define SEGMENTS_MAX 16u
/* The ROM takes the image from flash in pieces of this many bytes, which shows
 * in what it calls "room" and "tail". */
#define PIECE 16u

struct image {
	uint8_t magic;
	uint8_t segments;
	uint8_t mode;
	uint8_t size_and_speed;
	uint32_t entry;
};

struct segment {
	uint32_t address;
	uint32_t length;
};

_Noreturn void rom_jump(uint32_t entry);
_Noreturn void rom_main(void);
_Noreturn void rom_fatal(void);

static const uint8_t *flash(uint32_t offset)
{
	return (const uint8_t *)(FLASH_ADDRESS + offset);
}

static bool inside(uint32_t address, uint32_t length, uint32_t start, uint32_t end)
{
	return address >= start && address <= end && length <= end - address;
}

_Noreturn static void give_up(void)
{
	serial_text("ets_main.c \n");
	serial_flush();
	halt();
}

static uint32_t start_rtc(void)
{
	volatile struct rtc *words = rtc();

	if (words->magic != RTC_MAGIC) {
		volatile uint32_t *word = reg32(RTC_ADDRESS);

		while ((uint32_t)word < IDENTITY_ADDRESS)
			*word++ = 0;
		words->magic = RTC_MAGIC;
		words->cause = RTC_CAUSE_POWER;
	} else {
		words->cause = RTC_CAUSE_RESET;
	}
	words->boots++;
	return words->cause;
}

static void say_segment(const struct segment *segment, uint32_t room)
{
	serial_text("load 0x");
	serial_hex(segment->address, 8);
	serial_text(", len ");
	serial_decimal(segment->length);
	serial_text(", room ");
	serial_decimal(room);
	serial_text(" \n");
}

/* Loads what the header promises and returns the entry. */
static uint32_t load(void)
{
	const struct image *image = (const struct image *)flash(0);
	uint32_t at = sizeof *image, room = PIECE, tail;
	bool entry_loaded = false;
	uint8_t sum = CHECKSUM_SEED;

	if (image->magic != IMAGE_MAGIC || image->segments == 0 || image->segments > SEGMENTS_MAX)
		give_up();
	for (unsigned n = 0; n < image->segments; n++) {
		struct segment segment;
		uint8_t *to;

		if (at + sizeof segment > IROM_SIZE)
			give_up();
		segment = *(const struct segment *)flash(at);
		at += sizeof segment;
		if (segment.length % 4 != 0 || segment.length > IROM_SIZE - at ||
		    (!inside(segment.address, segment.length, DRAM_START, DRAM_END) &&
		     !inside(segment.address, segment.length, IRAM_START, IRAM_END)))
			give_up();
		say_segment(&segment, room);
		to = (uint8_t *)segment.address;
		for (uint32_t i = 0; i < segment.length; i++) {
			to[i] = *flash(at + i);
			sum ^= to[i];
		}
		if (inside(image->entry, 4, segment.address, segment.address + segment.length))
			entry_loaded = true;
		at += segment.length;
		tail = (segment.length - room) % PIECE;
		serial_text("tail ");
		serial_decimal(tail);
		serial_text("\nchksum 0x");
		serial_hex(sum, 2);
		serial_text("\n");
		room = (PIECE - sizeof segment - tail) % PIECE;
	}
	at |= 15; /* the last byte of a multiple of 16 */
	serial_text("csum 0x");
	serial_hex(*flash(at), 2);
	serial_text("\n");
	if (*flash(at) != sum) {
		serial_text("csum err\n");
		give_up();
	}
	if (!entry_loaded || image->entry < IRAM_START)
		give_up();
	return image->entry;
}

void rom_main(void)
{
	uint32_t cause = start_rtc(), entry;
	const uint32_t *from = (const uint32_t *)FLASH_ADDRESS;
	uint32_t *to = (uint32_t *)IROM_START;

	serial_baud(115200);
	serial_text("\n ets Jan  8 2013,rst cause:");
	serial_decimal(cause);
	serial_text(", boot mode:(3,6)\n\n");
	entry = load();
	while (to < (uint32_t *)(IROM_START + IROM_SIZE))
		*to++ = *from++;
	serial_text("~ld\n");
	rom_jump(entry);
}

void rom_fatal(void)
{
	uint32_t cause, epc1, excvaddr;

	__asm__ volatile("rsr %0, exccause" : "=r"(cause));
	__asm__ volatile("rsr %0, epc1" : "=r"(epc1));
	__asm__ volatile("rsr %0, excvaddr" : "=r"(excvaddr));
	serial_text("Fatal exception (");
	serial_decimal(cause);
	serial_text("):\nepc1=0x");
	serial_hex(epc1, 8);
	serial_text(", epc2=0x00000000, epc3=0x00000000, excvaddr=0x");
	serial_hex(excvaddr, 8);
	serial_text(", depc=0x00000000\n");
	serial_flush();
	halt();
}
