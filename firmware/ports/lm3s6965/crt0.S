/*
 * Vectors and start. The firmware runs in thread mode on the process stack, with
 * interrupts masked for good: they only end a sleep (clock.c). So every fault
 * arrives as a HardFault, on the handler's own stack.
 */
#include "board.h"

	.syntax unified
	.cpu cortex-m3
	.thumb

	.section .vectors, "a"
	.global _vectors
_vectors:
	.word HANDLER_STACK_END
	.word _start
	.word stray      /* NMI */
	.word hard_fault
	/* The other exceptions and the 44 interrupts of the chip: all masked. */
	.rept 12 + 44
	.word stray
	.endr

	.text
	.thumb_func
	.global _start
_start:
	cpsid i
	ldr r0, =STACK_START
	ldr r1, =STACK_END
	ldr r2, =STACK_PAINT
1:	str r2, [r0], #4
	cmp r0, r1
	blo 1b
	msr psp, r1
	movs r0, #2
	msr control, r0
	isb
	ldr r0, =_data_image
	ldr r1, =_data_start
	ldr r2, =_data_end
2:	cmp r1, r2
	bhs 3f
	ldr r3, [r0], #4
	str r3, [r1], #4
	b 2b
3:	ldr r1, =_bss_start
	ldr r2, =_bss_end
	movs r3, #0
4:	cmp r1, r2
	bhs 5f
	str r3, [r1], #4
	b 4b
5:	bl memory_protect
	bl counter_start
	bl port_main
	.ltorg

	.thumb_func
hard_fault:
	/* What the processor did not save itself goes to crash_registers. */
	ldr r0, =crash_registers
	stmia r0, {r4-r11}
	mrs r0, psp
	mov r1, lr
	b crash_report

	.thumb_func
stray:
	ldr r0, =stray_text
	b crash_panic
	.ltorg

	.section .rodata
stray_text:
	.asciz "an unexpected interrupt"
