/* Vectors and entry of the boot ROM. It lies where the chip's ROM does, so the
 * processor's vector base after a reset points here until the firmware sets
 * its own. Every exception before that is fatal. */
#include "board.h"

	.section .vectors, "ax"
	.literal_position
	.org 0x10
	j fatal_entry
	.org 0x20
	j fatal_entry
	.org 0x30
	j fatal_entry
	.org 0x50
	j fatal_entry
	.org 0x70
	j fatal_entry

	.org 0x80
	.literal_position
fatal_entry:
	movi a1, CRASH_STACK_END
	movi a2, 0x3F
	wsr a2, ps
	rsync
	movi a0, rom_fatal
	jx a0

	.align 4
	.literal_position
	.global _start
_start:
	movi a2, 0x3F /* every interrupt masked, exceptions to the user vector */
	wsr a2, ps
	rsync
	movi a2, 0
	wsr a2, intenable
	wsr a2, dbreakc0 /* a reset of QEMU's leaves the last run's guard armed */
	isync
	movi a2, _bss_start
	movi a3, _bss_end
	movi a4, 0
1:	bgeu a2, a3, 2f
	s32i a4, a2, 0
	addi a2, a2, 4
	j 1b
2:	movi a1, STACK_END
	movi a0, rom_main
	jx a0

/* rom_jump(entry): leaves the ROM for good. */
	.align 4
	.global rom_jump
rom_jump:
	movi a1, STACK_END
	jx a2
