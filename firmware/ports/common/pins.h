/* What else port_table.c needs from a chip's folder. */
#ifndef HILRIG_COMMON_PINS_H
#define HILRIG_COMMON_PINS_H

#include <stdbool.h>
#include <stdint.h>

/* The chip's name, for `device` of the port contract. */
extern const char board_device[];

/* Once, with heap and serial port working: finds the MAC address and the seed of
 * randomness. Returns why the chip started, a RESET_ number of crash.h. */
uint8_t board_start(uint8_t mac[6]);

void board_led(bool on);
/* 0 for a channel that does not exist. */
uint16_t board_analog(unsigned channel);

#endif
