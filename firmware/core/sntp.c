#include "sntp.h"

#include <string.h>

#define PACKET 48u /* an SNTP message without authenticator */
#define UNIX_EPOCH 2208988800u /* 1970 in seconds since 1900 */

void sntp_start(struct sntp *sntp, struct core *core)
{
	*sntp = (struct sntp){ .state = SNTP_WAITING, .why = "the name is not resolved yet" };
	sntp->next_ms = core_now(core);
	sntp->deadline_ms = core_now(core) + SNTP_WAIT_MS;
}

static enum sntp_state fail(struct sntp *sntp, const char *why)
{
	sntp->why = why;
	return sntp->state = SNTP_FAILED;
}

static void ask(struct sntp *sntp, struct core *core)
{
	const struct port *port = core->port;
	uint8_t packet[PACKET] = { 4 << 3 | 3 }; /* version 4, client */

	/* A random transmit time: only a server that got the request can answer. */
	if (!port->random(port->self, sntp->nonce, sizeof sntp->nonce)) {
		uint32_t now = core_now(core);

		memcpy(sntp->nonce, &now, sizeof now);
	}
	memcpy(packet + 40, sntp->nonce, sizeof sntp->nonce);
	sntp->asked = port->udp_send(port->self, sntp->address, core->settings.ntp_port, packet,
				     sizeof packet);
	sntp->why = sntp->asked ? "no answer" : "the request could not be sent";
	sntp->next_ms = core_now(core) + SNTP_RETRY_MS;
}

static const char kiss_of_death[] = "refused by the time server (kiss of death)";

/* NULL when the answer was accepted. */
static const char *take(const struct sntp *sntp, struct core *core, const uint8_t *packet, size_t length)
{
	uint32_t seconds;
	uint64_t unix_seconds;

	if (length < PACKET || (packet[0] & 7) != 4)
		return "an answer that is not SNTP";
	if (memcmp(packet + 24, sntp->nonce, sizeof sntp->nonce) != 0)
		return "an answer to another request";
	if (packet[1] == 0)
		return kiss_of_death;
	if (packet[0] >> 6 == 3 || packet[1] > 15)
		return "the time server does not know the time";
	seconds = (uint32_t)packet[40] << 24 | (uint32_t)packet[41] << 16 |
		  (uint32_t)packet[42] << 8 | packet[43];
	/* RFC 4330, 3: without the top bit it is the era from 2036 on. */
	unix_seconds = (uint64_t)seconds + (seconds & 0x80000000u ? 0 : (uint64_t)1 << 32) - UNIX_EPOCH;
	clock_set(&core->clock, unix_seconds);
	return NULL;
}

enum sntp_state sntp_poll(struct sntp *sntp, struct core *core)
{
	const struct port *port = core->port;
	uint8_t packet[PACKET + 20];
	int length;

	if (sntp->state != SNTP_WAITING)
		return sntp->state;
	if (core->settings.ntp_server[0] == 0)
		return fail(sntp, "no time server is set");
	if (!sntp->resolved) {
		int found = port->resolve(port->self, core->settings.ntp_server, sntp->address);

		if (found < 0)
			return fail(sntp, "no such name");
		sntp->resolved = found > 0;
	}
	while (sntp->asked && (length = port->udp_receive(port->self, packet, sizeof packet)) > 0) {
		sntp->why = take(sntp, core, packet, (size_t)length);
		if (sntp->why == NULL)
			return sntp->state = SNTP_DONE;
		if (sntp->why == kiss_of_death)
			return fail(sntp, sntp->why); /* RFC 4330, 8: ask no more */
	}
	if (core_due(core, sntp->deadline_ms))
		return fail(sntp, sntp->why);
	if (sntp->resolved && core_due(core, sntp->next_ms))
		ask(sntp, core);
	return SNTP_WAITING;
}
