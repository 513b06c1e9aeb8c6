/* The one connection of the MQTT client, and how it ends. mqtt.c opens it, mqtt_session.c
 * speaks MQTT over it. */
#ifndef HILRIG_MQTT_CONNECTION_H
#define HILRIG_MQTT_CONNECTION_H

#include "core.h"
#include "mqtt_packet.h"
#include "requests.h"
#include "sntp.h"
#include "tls.h"

/* As PubSubClient numbers them; from 1 on it is the CONNACK's return code. */
enum rc {
	RC_TIMEOUT = -4,
	RC_LOST = -3,
	RC_CONNECT_FAILED = -2,
};

enum stage {
	STAGE_WAIT, /* for the next attempt */
	STAGE_TIME,
	STAGE_RESOLVE,
	STAGE_CONNECT,
	STAGE_HANDSHAKE,
	STAGE_CONNACK,
	STAGE_SUBACK,
	STAGE_RUN,
	STAGE_LEAVING, /* a reset is asked for */
	STAGE_STOPPED,
};

struct mqtt {
	enum stage stage;
	bool announced;
	bool handshake_begun; /* by this attempt */
	bool ping_sent;
	unsigned attempts; /* failed, since it was last connected */
	uint32_t deadline_ms; /* of the stage; in STAGE_WAIT the next attempt */
	uint32_t connected_ms;
	uint32_t sent_ms; /* when the last packet left */
	uint8_t address[4];
	struct sntp sntp;
	struct port_stream *stream;
	struct tls *tls;
	char rx_topic[SETTINGS_TEXT_MAX + 1];
	char tx_topic[SETTINGS_TEXT_MAX + 1];
	struct mqtt_reader reader;
	uint32_t in_at, in_length; /* bytes that were read and not parsed yet */
	uint8_t in[64];
	uint32_t out_at, out_length; /* bytes that are to be sent */
	uint8_t out[REPLY_MAX + SETTINGS_TEXT_MAX + 8];
};

/* Enters a stage with this deadline. */
void mqtt_enter(struct core *core, enum stage stage, uint32_t deadline_in_ms);

/* Closes TLS and stream, if open. */
void mqtt_disconnect(struct core *core);

/* The attempt has failed, for `tls_reason` or, if that is 0, for `reason`. */
void mqtt_fail(struct core *core, int rc, int tls_reason, const char *reason);

/* The connection was lost. */
void mqtt_lose(struct core *core, const char *reason);

/* The heap phase while nothing is connected. */
enum heap_phase mqtt_unconnected_phase(const struct core *core);

#endif
