#include "mqtt_session.h"

#include <stdio.h>
#include <string.h>

#include "fault.h"

#define KEEPALIVE_SECONDS 15 /* the original's, and PubSubClient's */
/* A ping after this long without sending leaves the broker 5 s of slack. */
#define PING_AFTER_MS 10000u
#define PING_ANSWER_MS 10000u
/* Appended to the tx topic. On the tx topic itself it would look like a reply. */
#define WILL_SUFFIX "/will"
#define ANSWER_MS 10000u /* CONNACK and SUBACK */

void mqtt_session_start(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	const struct settings *settings = &core->settings;
	char client_id[SETTINGS_TEXT_MAX + 1];
	char will_topic[SETTINGS_TEXT_MAX + sizeof WILL_SUFFIX];
	struct mqtt_connect connect = {
		.client_id = client_id,
		.user = settings->mqtt_use_password ? settings->mqtt_user : NULL,
		.password = settings->mqtt_use_password ? settings->mqtt_password : NULL,
		.will_topic = settings->mqtt_will ? will_topic : NULL,
		.will = client_id,
		.keepalive_seconds = KEEPALIVE_SECONDS,
	};

	settings_client_id(settings, core->port->device, core->port->mac, client_id);
	snprintf(will_topic, sizeof will_topic, "%s" WILL_SUFFIX, mqtt->tx_topic);
	mqtt_reader_start(&mqtt->reader);
	mqtt->out_length = (uint32_t)mqtt_write_connect(mqtt->out, sizeof mqtt->out, &connect);
	mqtt->ping_sent = false;
	mqtt_enter(core, STAGE_CONNACK, ANSWER_MS);
}

/* The connection ended or broke the protocol, in any stage. */
static bool drop(struct core *core, int rc, const char *reason)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt->stage == STAGE_CONNACK)
		mqtt_fail(core, rc, mqtt->tls != NULL ? tls_error(mqtt->tls) : TLS_ERROR_NONE, reason);
	else
		mqtt_lose(core, reason);
	return true;
}

/* As a port's tcp_read, with or without TLS. */
static int read_some(struct core *core, void *to, size_t length)
{
	struct mqtt *mqtt = core->mqtt;

	return mqtt->tls != NULL ? tls_read(mqtt->tls, to, length) :
				   core->port->tcp_read(core->port->self, mqtt->stream, to, length);
}

/* Sends more. -1: closed, 0: nothing sent, 1: bytes sent. */
static int send_more(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	const uint8_t *from = mqtt->out + mqtt->out_at;
	uint32_t length = mqtt->out_length - mqtt->out_at;
	int done;

	if (length == 0)
		return 0;
	done = mqtt->tls != NULL ? tls_write(mqtt->tls, from, length) :
				   core->port->tcp_write(core->port->self, mqtt->stream, from, length);
	if (done <= 0)
		return done;
	mqtt->out_at += (uint32_t)done;
	if (mqtt->out_at == mqtt->out_length)
		mqtt->out_at = mqtt->out_length = 0;
	mqtt->sent_ms = core_now(core);
	return 1;
}

static bool handle_connack(struct core *core)
{
	static const char *const words[] = {
		"", "the broker does not speak MQTT 3.1.1", "the broker refuses the client id",
		"the broker is not available", "wrong user or password", "not authorised",
	};
	struct mqtt *mqtt = core->mqtt;
	uint8_t code = mqtt->reader.body[1];

	if (mqtt->reader.first >> 4 != MQTT_CONNACK || mqtt->reader.total != 2)
		return drop(core, RC_LOST, "another packet in place of CONNACK");
	if (code != 0) {
		mqtt_fail(core, code, TLS_ERROR_NONE, code < 6 ? words[code] : "refused by the broker");
		return true;
	}
	log_close(&core->log, "connected");
	heap_enter(&core->heap, HEAP_CONNECTED);
	mqtt->handshake_begun = false;
	if (mqtt->tls != NULL) {
		struct tls_facts facts = tls_facts(mqtt->tls);

		tls_log_facts(&core->log, &facts);
		heap_log(&core->heap, &core->log, HEAP_HANDSHAKE);
	}
	mqtt->connected_ms = core_now(core);
	mqtt->out_length =
		(uint32_t)mqtt_write_subscribe(mqtt->out, sizeof mqtt->out, 1, mqtt->rx_topic);
	mqtt_enter(core, STAGE_SUBACK, ANSWER_MS);
	return true;
}

static bool handle_suback(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	const struct mqtt_reader *reader = &mqtt->reader;

	if (reader->first >> 4 != MQTT_SUBACK || reader->total != 3 || reader->body[0] != 0 ||
	    reader->body[1] != 1)
		return drop(core, RC_LOST, "another packet in place of SUBACK");
	if (reader->body[2] > 2)
		return drop(core, RC_LOST, "the broker refused the subscription");
	mqtt->attempts = 0;
	mqtt->stage = STAGE_RUN;
	fault_when_connected(core);
	heap_settle(&core->heap);
	heap_log(&core->heap, &core->log, HEAP_CONNECTED);
	return true;
}

static bool handle_publish(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	struct mqtt_publish publish;
	char reply[REPLY_MAX];

	if (!mqtt_read_publish(&mqtt->reader, &publish) || publish.qos > 0)
		return drop(core, RC_LOST, "a malformed PUBLISH");
	if (publish.topic_length != strlen(mqtt->rx_topic) ||
	    memcmp(publish.topic, mqtt->rx_topic, publish.topic_length) != 0)
		return true;
	/* A retained HttpOn would make the board leave MQTT mode at every start. */
	if (publish.retained) {
		log_line(&core->log, "MQTT retained message ignored");
		return true;
	}
	if (fault_mqtt_is_silent())
		return true;
	request_answer_text(core, publish.payload, publish.payload_length, reply);
	mqtt->out_length =
		(uint32_t)mqtt_write_publish(mqtt->out, sizeof mqtt->out, mqtt->tx_topic, reply);
	return true;
}

static bool handle_packet(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt->stage == STAGE_CONNACK)
		return handle_connack(core);
	switch (mqtt->reader.first >> 4) {
	case MQTT_PUBLISH: /* may overtake the SUBACK (MQTT 3.1.1, 3.8.4) */
		return handle_publish(core);
	case MQTT_PINGRESP:
		mqtt->ping_sent = false;
		return true;
	case MQTT_SUBACK:
		if (mqtt->stage == STAGE_SUBACK)
			return handle_suback(core);
		break;
	}
	return drop(core, RC_LOST, "a packet that a broker must not send");
}

/* Reads more and handles whole packets. False: nothing arrived. */
static bool receive_more(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	size_t taken;

	if (mqtt->in_at == mqtt->in_length) {
		int done = read_some(core, mqtt->in, sizeof mqtt->in);

		if (done < 0)
			return drop(core, RC_LOST, "closed by the broker");
		if (done == 0)
			return false;
		mqtt->in_at = 0;
		mqtt->in_length = (uint32_t)done;
	}
	switch (mqtt_reader_feed(&mqtt->reader, mqtt->in + mqtt->in_at, mqtt->in_length - mqtt->in_at,
				 &taken)) {
	case MQTT_PACKET:
		mqtt->in_at += (uint32_t)taken;
		return handle_packet(core);
	case MQTT_SKIPPED:
		log_line(&core->log, "MQTT message of %lu bytes skipped, at most %d are accepted",
			 (unsigned long)mqtt->reader.total, MQTT_BODY_MAX);
		break;
	case MQTT_GARBAGE:
		return drop(core, RC_LOST, "no MQTT");
	default:
		break;
	}
	mqtt->in_at += (uint32_t)taken;
	return true;
}

static bool keep_alive(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt->stage != STAGE_RUN) {
		if (!core_due(core, mqtt->deadline_ms))
			return false;
		return drop(core, RC_TIMEOUT, mqtt->stage == STAGE_CONNACK ? "no CONNACK in time" :
									     "no SUBACK in time");
	}
	if (mqtt->ping_sent && core_due(core, mqtt->deadline_ms))
		return drop(core, RC_TIMEOUT, "no answer to a ping");
	if (!mqtt->ping_sent && core_due(core, mqtt->sent_ms + PING_AFTER_MS)) {
		mqtt->out_length = (uint32_t)mqtt_write_ping(mqtt->out, sizeof mqtt->out);
		mqtt->ping_sent = true;
		mqtt->deadline_ms = core_now(core) + PING_ANSWER_MS;
		return true;
	}
	return false;
}

static bool poll_session(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	int sent = send_more(core);

	if (sent < 0)
		return drop(core, RC_LOST, "closed by the broker");
	if (sent > 0)
		return true;
	/* Requests wait while the one send buffer is in use. */
	if (mqtt->out_length == 0) {
		if (core->reset_wanted) {
			mqtt->out_length =
				(uint32_t)mqtt_write_disconnect(mqtt->out, sizeof mqtt->out);
			mqtt->stage = STAGE_LEAVING;
			return true;
		}
		if (receive_more(core))
			return true;
	}
	return keep_alive(core);
}

/* Reads and drops what has arrived. False when the peer has closed. */
static bool drain(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	int done;

	do
		done = read_some(core, mqtt->in, sizeof mqtt->in);
	while (done > 0);
	return done == 0;
}

/* DISCONNECT follows the last answer: wait until the peer has both. */
static bool poll_leaving(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	const struct port *port = core->port;
	int sent = send_more(core);

	if (sent > 0)
		return true;
	if (sent == 0 && drain(core) &&
	    (mqtt->out_length > 0 || (mqtt->tls != NULL && tls_is_pending(mqtt->tls)) ||
	     port->tcp_unacknowledged(port->self, mqtt->stream) > 0))
		return false;
	mqtt_disconnect(core);
	mqtt->stage = STAGE_STOPPED;
	return true;
}

bool mqtt_session_step(struct core *core)
{
	return core->mqtt->stage == STAGE_LEAVING ? poll_leaving(core) : poll_session(core);
}
