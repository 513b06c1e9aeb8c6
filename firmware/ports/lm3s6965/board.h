/*
 * Addresses of the LM3S6965, from its data sheet (Stellaris LM3S6965, DS-LM3S6965),
 * as far as QEMU's lm3s6965evb machine has them. README.md holds the whole map.
 * Usable from C, from assembler and from link.ld.
 */
#ifndef HILRIG_LM3S6965_BOARD_H
#define HILRIG_LM3S6965_BOARD_H

#define RAM_START 0x20000000
#define RAM_END 0x20010000

/* The top of RAM. The handler's stack serves the crash report alone and so shares
 * its 1 KiB page with the guard below the main stack: QEMU makes every access to
 * a page slow that an MPU region covers in part, and its gdb server asks the MPU
 * about the first address of each page, which must not be the guard. */
#define HANDLER_STACK_START 0x2000E000
#define HANDLER_STACK_END 0x2000E300
#define STACK_GUARD 0x2000E300 /* 256 bytes */
#define STACK_START 0x2000E400
#define STACK_END 0x20010000 /* 7 KiB */
#define STACK_PAINT 0x5AA5F00D

/* Peripherals. */
#define UART0 0x4000C000
#define I2C0 0x40020000
#define PORT_F 0x40025000 /* the LED is PF0 */
#define TIMER0 0x40030000
#define ETHERNET 0x40048000
#define SYSTEM_CONTROL 0x400FE000

/* Interrupt numbers. */
#define IRQ_TIMER0A 19
#define IRQ_ETHERNET 42

/* The core's own registers, from the ARMv7-M Architecture Reference Manual. */
#define SYST_CSR 0xE000E010
#define SYST_RVR 0xE000E014
#define SYST_CVR 0xE000E018
#define NVIC_ISER 0xE000E100
#define NVIC_ICPR 0xE000E280
#define SCB_AIRCR 0xE000ED0C
#define SCB_CCR 0xE000ED14
#define SCB_CFSR 0xE000ED28
#define SCB_MMFAR 0xE000ED34
#define SCB_BFAR 0xE000ED38
#define MPU_CTRL 0xE000ED94
#define MPU_RNR 0xE000ED98
#define MPU_RBAR 0xE000ED9C
#define MPU_RASR 0xE000EDA0

#define CLOCK_HZ 3125000
#define TICKS_PER_MS (CLOCK_HZ / 1000)

#ifndef __ASSEMBLER__
#include <stdint.h>

static inline volatile uint32_t *reg32(uint32_t address)
{
	return (volatile uint32_t *)address;
}
#endif

#endif
