/*
 * Addresses of the virtual board: QEMU's lx60-nommu machine with the ESP8266's
 * memory ranges, which that machine happens to have as plain RAM. README.md
 * holds the whole map. Usable from C and from assembler.
 */
#ifndef HILRIG_VIRTUAL_BOARD_H
#define HILRIG_VIRTUAL_BOARD_H

/* The ESP8266's memory. */
#define DRAM_START 0x3FFE8000
#define DRAM_END 0x3FFFC000 /* of the application's 80 KiB; the heap ends here */
#define IRAM_START 0x40100000
#define IRAM_END 0x40108000
#define IROM_START 0x40200000 /* flash offset 0 */
#define IROM_SIZE 0x100000
#define IROM_CODE 0x10000 /* where .irom0.text starts, in the flash and in IROM */

/* What the chip's ROM and SDK have at the top of data memory: a page that holds
 * the guard below the stack and, unused until a crash, the crash handler's own
 * stack; then the stack. The guard needs a page without other traffic, because
 * QEMU makes every access to a watched page slow. */
#define GUARD_PAGE 0x3FFFC000
#define CRASH_STACK_END 0x3FFFCF00
#define STACK_GUARD 0x3FFFCFC0 /* 64 bytes, the most that one breakpoint watches */
#define STACK_START 0x3FFFD000
#define STACK_END 0x3FFFFFF0
#define STACK_PAINT 0x5AA5F00D

/* RTC memory and what the rig places after it (rtc.h, board.c). */
#define RTC_ADDRESS 0x60001200
#define IDENTITY_ADDRESS 0x60001300
#define ANALOG_ADDRESS 0x60001400

/* Frame buffers of the network interface, 128 KiB. On the chip the radio's are
 * the SDK's, so they are not in data memory here; and there are plenty, because
 * QEMU's network hands over bursts that no radio could. */
#define ETH_BUFFERS 0x60080000

/* Devices of the machine. */
#define FLASH_ADDRESS 0x98000000 /* CFI01, 16 bits wide, 64 KiB sectors */
#define FLASH_SECTOR 0x10000
#define FPGA_ADDRESS 0x9D020000
#define FPGA_LED (FPGA_ADDRESS + 0x08)
#define FPGA_RESET (FPGA_ADDRESS + 0x10)
#define FPGA_RESET_WORD 0xDEAD
#define ETH_ADDRESS 0x9D030000
#define UART_ADDRESS 0x9D050020

#define CLOCK_HZ 40000000
#define CYCLES_PER_MS (CLOCK_HZ / 1000)

/* Interrupts, all of level 1. */
#define INTERRUPT_ETH 1
#define INTERRUPT_TIMER 6

#ifndef __ASSEMBLER__
#include <stdint.h>

static inline volatile uint32_t *reg32(uint32_t address)
{
	return (volatile uint32_t *)address;
}

static inline uint32_t ccount(void)
{
	uint32_t value;

	__asm__ volatile("rsr %0, ccount" : "=r"(value));
	return value;
}

/* Stops the processor for good: every interrupt masked, no busy loop. */
_Noreturn static inline void halt(void)
{
	for (;;)
		__asm__ volatile("waiti 15");
}
#endif

#endif
