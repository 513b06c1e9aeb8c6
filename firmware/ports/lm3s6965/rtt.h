/* The serial line's text for a debug probe as well: a ring in memory that the
 * probe empties while the core runs (SEGGER's RTT, the public description of its
 * control block). */
#ifndef HILRIG_LM3S6965_RTT_H
#define HILRIG_LM3S6965_RTT_H

#include <stddef.h>

/* Never waits: what does not fit because no probe reads is dropped, by whole
 * calls, so that a line is complete or absent. */
void rtt_write(const char *bytes, size_t length);

/* From now on waits for a probe that has read before, RTT_STALL_MS at most each
 * time: a crash report must reach it complete, as a reset empties the ring. */
void rtt_be_patient(void);
/* Waits until the probe has read everything, in the same way. */
void rtt_flush(void);

#define RTT_STALL_MS 100u

#endif
