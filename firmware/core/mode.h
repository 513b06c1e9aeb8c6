/* Chooses the mode at start-up, and switches to another one. */
#ifndef HILRIG_MODE_H
#define HILRIG_MODE_H

#include "core.h"

enum mode mode_choose(const struct settings *settings);

/* Stores the flags of a mode, writes the answer to the request, and asks for a
 * reset if the board runs in another mode. */
void mode_switch(struct core *core, enum mode mode, char *reply, size_t size);

/* Returns to configuration mode after `attempts` failed attempts. Asks for a
 * reset. */
void mode_give_up(struct core *core, unsigned attempts);

/* The main loop resets as soon as the answer has left, within RESET_AFTER_MS. */
void mode_ask_reset(struct core *core);

#endif
