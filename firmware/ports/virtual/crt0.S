/*
 * Vectors and start of the firmware, in IRAM as on the chip.
 */
#include "board.h"
#include "crash_frame.h"

	.section .iram.vectors, "ax"
	.global _vectors
_vectors:
	.org 0x10 /* debug: the stack guard */
	wsr a0, excsave2
	movi a0, CRASH_GUARD
	j crash_entry
	.org 0x20 /* NMI: the machine has none */
	wsr a0, excsave2
	movi a0, CRASH_EXCEPTION
	j crash_entry
	.org 0x30 /* exception in kernel mode: in the crash handler itself */
	wsr a0, excsave2
	movi a0, CRASH_EXCEPTION
	j crash_entry
	.org 0x50 /* exception, or an interrupt of level 1 */
	wsr a0, excsave2
	rsr a0, exccause
	bnei a0, 4, 1f
	/* An interrupt is there to end a sleep and for nothing else: mask them
	 * all, continue after the waiti, and let the main loop check. */
	movi a0, 0
	wsr a0, intenable
	rsr a0, excsave2
	rfe
1:	j user_entry
	.org 0x70 /* double exception */
	wsr a0, excsave2
	movi a0, CRASH_EXCEPTION
	j crash_entry

	.org 0x80
	.literal_position
	.align 4
user_entry:
	movi a0, CRASH_EXCEPTION
crash_entry:
	/* a0: the kind; the real a0 is in excsave2. Everything the report wants
	 * goes to crash_frame (crash_frame.h has its shape). */
	wsr a0, excsave1
	movi a0, crash_frame
	s32i a1, a0, 4
	s32i a2, a0, 8
	s32i a3, a0, 12
	s32i a4, a0, 16
	s32i a5, a0, 20
	s32i a6, a0, 24
	s32i a7, a0, 28
	s32i a8, a0, 32
	s32i a9, a0, 36
	s32i a10, a0, 40
	s32i a11, a0, 44
	s32i a12, a0, 48
	s32i a13, a0, 52
	s32i a14, a0, 56
	s32i a15, a0, 60
	rsr a2, excsave2
	s32i a2, a0, 0
	rsr a2, excsave1
	s32i a2, a0, 64
	rsr a2, exccause
	s32i a2, a0, 68
	rsr a2, epc1
	s32i a2, a0, 72
	rsr a2, epc2
	s32i a2, a0, 76
	rsr a2, epc3
	s32i a2, a0, 80
	rsr a2, excvaddr
	s32i a2, a0, 84
	rsr a2, depc
	s32i a2, a0, 88
	movi a2, 0
	wsr a2, dbreakc0
	wsr a2, intenable
	isync
	movi a1, CRASH_STACK_END
	/* Interrupts masked, kernel vector: a second exception comes back here
	 * and the report sees that it was interrupted. */
	movi a2, 0x0F
	wsr a2, ps
	rsync
	movi a0, crash_report
	jx a0

	.section .iram.text, "ax"
	.literal_position
	.align 4
	.global _start
_start:
	movi a2, 0x1F /* no interrupts, no exceptions until all is set up */
	wsr a2, ps
	rsync
	movi a2, _vectors
	wsr a2, vecbase
	/* QEMU's reset leaves these two as they were. */
	movi a2, 0
	wsr a2, ccount
	wsr a2, dbreakc0
	wsr a2, intenable
	isync
	/* The lowest 512 MiB trap, so that NULL does. */
	movi a2, 0
	movi a3, 15
	wdtlb a3, a2
	witlb a3, a2
	isync

	movi a2, _bss_start
	movi a3, _bss_end
	movi a4, 0
1:	bgeu a2, a3, 2f
	s32i a4, a2, 0
	addi a2, a2, 4
	j 1b
2:	/* Paint guard and stack: what is not paint any more was used. */
	movi a2, STACK_GUARD
	movi a3, STACK_END
	movi a4, STACK_PAINT
3:	s32i a4, a2, 0
	addi a2, a2, 4
	bltu a2, a3, 3b

	movi a2, STACK_GUARD
	wsr a2, dbreaka0
	movi a2, 0x80000000 /* stores to the 64 bytes at dbreaka0 */
	wsr a2, dbreakc0
	isync
	movi a1, STACK_END
	movi a2, 0x20 /* user vector, all interrupt levels (none enabled yet) */
	wsr a2, ps
	rsync
	movi a0, port_main
	callx0 a0

/* clock_wait(): sleeps until an enabled interrupt. It is called with the
 * interrupts masked by rsil; waiti unmasks them and sleeps as one step, so a
 * wake-up between the two is not lost. */
	.align 4
	.global clock_wait
clock_wait:
	waiti 0
	ret
