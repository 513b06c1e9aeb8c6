// Settings slots: the flash sector that the Arduino core sets aside for EEPROM, and the
// one before it. README.md has their addresses.
#include <Arduino.h>

extern "C" {
#include "port.h"
#include "slots.h"
}

// Set by the linker script of the flash layout: where the EEPROM sector appears in memory.
// Under a name of our own, so that no header of the core declares it otherwise.
extern uint8_t eeprom_sector[] __asm__("_EEPROM_start");

#define FLASH_MAPPED_AT 0x40200000u

static bool fits(unsigned slot, size_t offset, size_t length)
{
	return slot < PORT_SLOTS && offset <= PORT_SLOT_SIZE && length <= PORT_SLOT_SIZE - offset;
}

static uint32_t address(unsigned slot, size_t offset)
{
	uint32_t eeprom = static_cast<uint32_t>(reinterpret_cast<uintptr_t>(eeprom_sector));

	return eeprom - FLASH_MAPPED_AT - PORT_SLOT_SIZE * (PORT_SLOTS - 1 - slot) +
	       static_cast<uint32_t>(offset);
}

bool slots_read(unsigned slot, size_t offset, void *to, size_t length)
{
	return fits(slot, offset, length) &&
	       ESP.flashRead(address(slot, offset), static_cast<uint8_t *>(to), length);
}

bool slots_erase(unsigned slot)
{
	return fits(slot, 0, 0) && ESP.flashEraseSector(address(slot, 0) / PORT_SLOT_SIZE);
}

bool slots_write(unsigned slot, size_t offset, const void *from, size_t length)
{
	return fits(slot, offset, length) && offset % 4 == 0 && length % 4 == 0 &&
	       ESP.flashWrite(address(slot, offset), static_cast<const uint8_t *>(from), length);
}
