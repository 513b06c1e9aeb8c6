/*
 * Asks a time server for the time (SNTP, RFC 4330): one request a second,
 * ten in all, then it fails with a reason. Advances only when polled.
 */
#ifndef HILRIG_SNTP_H
#define HILRIG_SNTP_H

#include "core.h"

enum sntp_state {
	SNTP_WAITING,
	SNTP_DONE,   /* the core's clock is set */
	SNTP_FAILED, /* with the reason in `why` */
};

struct sntp {
	enum sntp_state state;
	const char *why;
	bool resolved;
	bool asked;
	uint8_t address[4];
	uint8_t nonce[8]; /* our transmit time, which the answer repeats */
	uint32_t next_ms;
	uint32_t deadline_ms;
};

#define SNTP_WAIT_MS 10000u
#define SNTP_RETRY_MS 1000u

void sntp_start(struct sntp *sntp, struct core *core);
enum sntp_state sntp_poll(struct sntp *sntp, struct core *core);

#endif
