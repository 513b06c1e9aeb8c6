/* How much of its stack the firmware has used. */
#ifndef HILRIG_COMMON_STACK_H
#define HILRIG_COMMON_STACK_H

#include "port.h"

void stack_figures(struct port_stack *stack);

#endif
