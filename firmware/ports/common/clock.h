/* Time since the start, and sleep. */
#ifndef HILRIG_COMMON_CLOCK_H
#define HILRIG_COMMON_CLOCK_H

#include <stdint.h>

/* Must be called before the port's counter wraps (lm3s6965: 5 s, virtual: 107 s);
 * the core's idle() does. */
uint32_t clock_ms(void);

/* Sleeps until the network interface has something or `ms` have passed;
 * returns at once if it has something already. */
void clock_sleep(uint32_t ms);

/* The counter itself, for its lowest bits. */
uint32_t clock_ticks(void);

#endif
