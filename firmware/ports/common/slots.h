/* Settings flash: two sectors of the CFI NOR flash. Contract in core/port.h. */
#ifndef HILRIG_COMMON_SLOTS_H
#define HILRIG_COMMON_SLOTS_H

#include <stdbool.h>
#include <stddef.h>

bool slots_read(unsigned slot, size_t offset, void *to, size_t length);
bool slots_erase(unsigned slot);
bool slots_write(unsigned slot, size_t offset, const void *from, size_t length);

#endif
