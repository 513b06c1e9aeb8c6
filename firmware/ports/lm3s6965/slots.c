/* Settings slots in the EEPROM, which needs no erasing: an erase writes 0xFF. */
#include "slots.h"

#include "eeprom.h"
#include "port.h"

static bool fits(unsigned slot, size_t offset, size_t length)
{
	return slot < PORT_SLOTS && offset <= PORT_SLOT_SIZE && length <= PORT_SLOT_SIZE - offset;
}

static uint32_t address(unsigned slot, size_t offset)
{
	return EEPROM_SLOTS + slot * PORT_SLOT_SIZE + offset;
}

bool slots_read(unsigned slot, size_t offset, void *to, size_t length)
{
	return fits(slot, offset, length) && eeprom_read(address(slot, offset), to, length);
}

bool slots_erase(unsigned slot)
{
	return fits(slot, 0, 0) && eeprom_write(address(slot, 0), NULL, PORT_SLOT_SIZE);
}

bool slots_write(unsigned slot, size_t offset, const void *from, size_t length)
{
	return fits(slot, offset, length) && offset % 4 == 0 && length % 4 == 0 &&
	       eeprom_write(address(slot, offset), from, length);
}
