/* The I2C EEPROM that keeps settings and seed: an AT24C128 or larger at 0x50. */
#ifndef HILRIG_LM3S6965_EEPROM_H
#define HILRIG_LM3S6965_EEPROM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Its layout: settings slots of PORT_SLOT_SIZE each, then the seed. */
#define EEPROM_SLOTS 0u
#define EEPROM_SEED 8192u
#define EEPROM_SEED_SIZE 64u

void eeprom_start(void);
/* False when there is none, or it does not answer. */
bool eeprom_read(uint32_t address, void *to, size_t length);
/* Writes and reads back. `from` NULL writes 0xFF. */
bool eeprom_write(uint32_t address, const void *from, size_t length);

#endif
