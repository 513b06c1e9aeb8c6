/* The serial line's text for a debug probe as well: a ring in memory that the
 * probe empties while the core runs (SEGGER's RTT, the public description of its
 * control block). */
#ifndef HILRIG_LM3S6965_RTT_H
#define HILRIG_LM3S6965_RTT_H

#include <stddef.h>

/* Never waits: what does not fit because no probe reads is dropped, by whole
 * calls, so that a line is there or is not. */
void rtt_write(const char *bytes, size_t length);

#endif
