/* Time since the start, and sleep. */
#ifndef HILRIG_VIRTUAL_CLOCK_H
#define HILRIG_VIRTUAL_CLOCK_H

#include <stdint.h>

/* Must be called at least every 107 s, after which the cycle counter wraps. */
uint32_t clock_ms(void);

/* Sleeps until the network interface has something or `ms` have passed;
 * returns at once if it has something already. */
void clock_sleep(uint32_t ms);

/* Set up by crt0.S: unmasks and waits as one step. */
void clock_wait(void);

#endif
