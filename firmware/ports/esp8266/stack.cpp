// The stack of the Arduino core's main task, which the core paints.
#include <Arduino.h>
#include <coredecls.h>

extern "C" {
#include "stack.h"
}

void stack_figures(struct port_stack *stack)
{
	stack->size = CONT_STACKSIZE;
	stack->used = CONT_STACKSIZE - ESP.getFreeContStack();
}
