/* The high-water mark of a stack that the start code has painted: words without paint
 * were used. */
#include "stack.h"

#include "board.h"

void stack_figures(struct port_stack *stack)
{
	const uint32_t *words = (const uint32_t *)STACK_START;
	const uint32_t *end = (const uint32_t *)STACK_END;

	stack->size = STACK_END - STACK_START;
	while (words < end && *words == STACK_PAINT)
		words++;
	stack->used = (uint32_t)((const uint8_t *)end - (const uint8_t *)words);
}
