#include "mqtt.h"

#include <string.h>

#include "fault.h"
#include "mode.h"
#include "mqtt_packet.h"
#include "requests.h"
#include "sntp.h"
#include "tls.h"

#define KEEPALIVE_SECONDS 15 /* the original's, and PubSubClient's */
/* A ping after so long without sending leaves the broker 5 s of slack. */
#define PING_AFTER_MS 10000u
#define PING_ANSWER_MS 10000u
#define RESOLVE_MS 10000u
#define CONNECT_MS 10000u
/* RSA-4096 at 80 MHz takes seconds; brokers give up after 5 to 60 s. */
#define HANDSHAKE_MS 30000u
#define ANSWER_MS 10000u /* CONNACK and SUBACK */

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
	bool ping_sent;
	unsigned attempts; /* in vain, since it was last connected */
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
	uint32_t in_at, in_length; /* what was read and not parsed yet */
	uint8_t in[64];
	uint32_t out_at, out_length; /* what is to be sent */
	uint8_t out[REPLY_MAX + SETTINGS_TEXT_MAX + 8];
};

bool mqtt_start(struct core *core)
{
	struct mqtt *mqtt = core_alloc(core, sizeof *mqtt);

	if (mqtt == NULL)
		return false;
	memset(mqtt, 0, sizeof *mqtt);
	settings_rx_topic(&core->settings, core->port->mac, mqtt->rx_topic);
	settings_tx_topic(&core->settings, core->port->mac, mqtt->tx_topic);
	mqtt->stage = STAGE_WAIT;
	mqtt->deadline_ms = core_now(core);
	core->mqtt = mqtt;
	return true;
}

bool mqtt_is_idle(const struct core *core)
{
	return core->mqtt == NULL || core->mqtt->stage == STAGE_STOPPED;
}

static void enter(struct core *core, enum stage stage, uint32_t deadline_in_ms)
{
	core->mqtt->stage = stage;
	core->mqtt->deadline_ms = core_now(core) + deadline_in_ms;
}

static void disconnect(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt->tls != NULL)
		tls_free(mqtt->tls);
	if (mqtt->stream != NULL)
		core->port->tcp_close(core->port->self, mqtt->stream);
	mqtt->tls = NULL;
	mqtt->stream = NULL;
	mqtt->out_at = mqtt->out_length = 0;
	mqtt->in_at = mqtt->in_length = 0;
}

/* What stands behind a failure, on a line of its own: rc=-2 hides it. */
static void log_reason(struct core *core, int tls_reason, const char *reason)
{
	if (tls_reason == TLS_ERROR_NONE) {
		log_line(&core->log, "MQTT reason: %s", reason);
	} else if (tls_reason == TLS_ERROR_NO_MEMORY) {
		struct port_heap figures;

		core->port->heap_figures(core->port->self, &figures);
		log_line(&core->log, "TLS error %d: %s (%lu bytes refused, largest block %lu)",
			 tls_reason, tls_error_words(tls_reason), (unsigned long)figures.last_failed,
			 (unsigned long)figures.largest);
	} else {
		log_line(&core->log, "TLS error %d: %s", tls_reason, tls_error_words(tls_reason));
	}
}

/* One more attempt in vain: was it the last? */
static void count_attempt(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	unsigned limit = core->settings.mqtt_retry_attempts;

	mqtt->attempts++;
	if (limit == 0 || mqtt->attempts < limit)
		return;
	mode_give_up(core, mqtt->attempts);
	mqtt->stage = STAGE_STOPPED;
}

/* The attempt is over, in vain. `tls_reason` or, if that is 0, `reason`. */
static void fail(struct core *core, int rc, int tls_reason, const char *reason)
{
	bool shook;

	disconnect(core);
	shook = heap_enter(&core->heap, HEAP_NO_PHASE) == HEAP_HANDSHAKE;
	log_close(&core->log, "failed, rc=%d try again in %u seconds", rc,
		  core->settings.mqtt_retry_seconds);
	log_reason(core, tls_reason, reason);
	if (shook)
		heap_log(&core->heap, &core->log, HEAP_HANDSHAKE);
	enter(core, STAGE_WAIT, core->settings.mqtt_retry_seconds * 1000u);
	count_attempt(core);
}

/* It was connected and is not any more. */
static void lose(struct core *core, const char *reason)
{
	struct mqtt *mqtt = core->mqtt;
	int tls_reason = mqtt->tls != NULL ? tls_error(mqtt->tls) : TLS_ERROR_NONE;
	uint32_t pause = core->settings.mqtt_retry_seconds * 1000u;
	bool of_use = mqtt->stage == STAGE_RUN;

	disconnect(core);
	heap_enter(&core->heap, HEAP_NO_PHASE);
	log_line(&core->log, "MQTT connection lost: %s", reason);
	if (tls_reason != TLS_ERROR_NONE)
		log_reason(core, tls_reason, reason);
	/* At once, unless the last attempt is so young that a broker that
	 * throws the board out would keep it connecting without pause. */
	mqtt->stage = STAGE_WAIT;
	mqtt->deadline_ms = mqtt->connected_ms + pause;
	if (core_due(core, mqtt->deadline_ms))
		mqtt->deadline_ms = core_now(core);
	if (!of_use)
		count_attempt(core);
}

static void announce(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt->announced)
		return;
	mqtt->announced = true;
	log_line(&core->log, "MQTT Rx Topic: %s", mqtt->rx_topic);
	log_line(&core->log, "MQTT Tx Topic: %s", mqtt->tx_topic);
	log_line(&core->log, "ESP8266 Mode: MQTT Client Running");
	heap_enter(&core->heap, HEAP_NO_PHASE);
	heap_log(&core->heap, &core->log, HEAP_BOOT);
}

static void attempt(struct core *core)
{
	static const uint8_t none[4];
	struct mqtt *mqtt = core->mqtt;

	announce(core);
	log_open(&core->log, "Attempting MQTT connection...");
	if (core->mode == MODE_MQTT_TLS && core->store.ca_length == 0) {
		fail(core, RC_CONNECT_FAILED, TLS_ERROR_NO_CA, NULL);
	} else if (core->mode == MODE_MQTT_TLS && !core->clock.known) {
		fail(core, RC_CONNECT_FAILED, TLS_ERROR_TIME_UNKNOWN, NULL);
	} else if (core->settings.broker[0] == 0 &&
		   (core->mode == MODE_MQTT_TLS ||
		    memcmp(core->settings.broker_address, none, 4) == 0)) {
		fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE, "no broker is set (mqtt_bk)");
	} else {
		memcpy(mqtt->address, core->settings.broker_address, 4);
		enter(core, STAGE_RESOLVE, RESOLVE_MS);
	}
}

static bool poll_wait(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	/* While the link is down an attempt would only be counted. */
	if (!core_due(core, mqtt->deadline_ms) ||
	    core->port->net_state(core->port->self) != PORT_NET_UP)
		return false;
	if (core->mode == MODE_MQTT_TLS && !core->clock.known) {
		log_line(&core->log, "Waiting for time....");
		sntp_start(&mqtt->sntp, core);
		mqtt->stage = STAGE_TIME;
	} else {
		attempt(core);
	}
	return true;
}

static bool poll_time(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	char text[CLOCK_TEXT_SIZE];

	switch (sntp_poll(&mqtt->sntp, core)) {
	case SNTP_WAITING:
		return false;
	case SNTP_DONE:
		clock_text(clock_unix(&core->clock), text);
		log_line(&core->log, "Current GMT: %s", text);
		break;
	case SNTP_FAILED:
		log_line(&core->log, "No time from %s: %s", core->settings.ntp_server,
			 mqtt->sntp.why);
		break;
	}
	attempt(core);
	return true;
}

static bool poll_resolve(struct core *core)
{
	static const uint8_t none[4];
	struct mqtt *mqtt = core->mqtt;
	const struct port *port = core->port;
	int found = memcmp(mqtt->address, none, 4) != 0;

	if (!found)
		found = port->resolve(port->self, core->settings.broker, mqtt->address);
	if (found == 0 && !core_due(core, mqtt->deadline_ms))
		return false;
	if (found <= 0) {
		fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE,
		     found < 0 ? "the broker's name is not to be had" : "no answer for the broker's name");
		return true;
	}
	mqtt->stream = port->tcp_connect(port->self, mqtt->address, core->settings.mqtt_port);
	if (mqtt->stream == NULL)
		fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE, "no memory for a stream");
	else
		enter(core, STAGE_CONNECT, CONNECT_MS);
	return true;
}

static bool send_connect(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	const struct settings *settings = &core->settings;
	char client_id[SETTINGS_TEXT_MAX + 1];
	struct mqtt_connect connect = {
		.client_id = client_id,
		.user = settings->mqtt_use_password ? settings->mqtt_user : NULL,
		.password = settings->mqtt_use_password ? settings->mqtt_password : NULL,
		.keepalive_seconds = KEEPALIVE_SECONDS,
	};

	settings_client_id(settings, core->port->mac, client_id);
	mqtt_reader_start(&mqtt->reader);
	mqtt->out_length = (uint32_t)mqtt_write_connect(mqtt->out, sizeof mqtt->out, &connect);
	mqtt->ping_sent = false;
	enter(core, STAGE_CONNACK, ANSWER_MS);
	return true;
}

static bool poll_connect(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	enum port_stream_state state = core->port->tcp_state(core->port->self, mqtt->stream);
	int error;

	if (state == PORT_STREAM_CONNECTING && !core_due(core, mqtt->deadline_ms))
		return false;
	if (state != PORT_STREAM_OPEN && state != PORT_STREAM_HALF) {
		fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE,
		     state == PORT_STREAM_CONNECTING ? "the broker does not answer" :
						       "the broker refused the connection");
		return true;
	}
	if (core->mode != MODE_MQTT_TLS)
		return send_connect(core);
	heap_enter(&core->heap, HEAP_HANDSHAKE);
	mqtt->tls = tls_start(core, mqtt->stream, core->settings.broker, core->settings.tls_fragment,
			      &error);
	if (mqtt->tls == NULL)
		fail(core, RC_CONNECT_FAILED, error, NULL);
	else
		enter(core, STAGE_HANDSHAKE, HANDSHAKE_MS);
	return true;
}

static bool poll_handshake(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	int error;

	switch (tls_poll(mqtt->tls)) {
	case TLS_OPEN:
		return send_connect(core);
	case TLS_CLOSED:
		error = tls_error(mqtt->tls);
		fail(core, RC_CONNECT_FAILED, error != TLS_ERROR_NONE ? error : TLS_ERROR_STREAM_CLOSED,
		     NULL);
		return true;
	default:
		if (!core_due(core, mqtt->deadline_ms))
			return false;
		fail(core, RC_CONNECT_FAILED, TLS_ERROR_TIMEOUT, NULL);
		return true;
	}
}

/* The connection ended or broke the protocol, in whatever stage. */
static bool drop(struct core *core, int rc, const char *reason)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt->stage == STAGE_CONNACK)
		fail(core, rc, mqtt->tls != NULL ? tls_error(mqtt->tls) : TLS_ERROR_NONE, reason);
	else
		lose(core, reason);
	return true;
}

/* As a port's tcp_read, with or without TLS. */
static int read_some(struct core *core, void *to, size_t length)
{
	struct mqtt *mqtt = core->mqtt;

	return mqtt->tls != NULL ? tls_read(mqtt->tls, to, length) :
				   core->port->tcp_read(core->port->self, mqtt->stream, to, length);
}

/* Sends on. -1: gone, 0: nothing moved, 1: something did. */
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
		return drop(core, RC_LOST, "no CONNACK but something else");
	if (code != 0) {
		fail(core, code, TLS_ERROR_NONE, code < 6 ? words[code] : "refused by the broker");
		return true;
	}
	log_close(&core->log, "connected");
	heap_enter(&core->heap, HEAP_CONNECTED);
	if (mqtt->tls != NULL)
		heap_log(&core->heap, &core->log, HEAP_HANDSHAKE);
	mqtt->connected_ms = core_now(core);
	mqtt->out_length =
		(uint32_t)mqtt_write_subscribe(mqtt->out, sizeof mqtt->out, 1, mqtt->rx_topic);
	enter(core, STAGE_SUBACK, ANSWER_MS);
	return true;
}

static bool handle_suback(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	const struct mqtt_reader *reader = &mqtt->reader;

	if (reader->first >> 4 != MQTT_SUBACK || reader->total != 3 || reader->body[0] != 0 ||
	    reader->body[1] != 1)
		return drop(core, RC_LOST, "no SUBACK but something else");
	if (reader->body[2] > 2)
		return drop(core, RC_LOST, "the broker refused the subscription");
	mqtt->attempts = 0;
	mqtt->stage = STAGE_RUN;
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
	/* A retained HttpOn would throw the board out of MQTT mode for ever. */
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

/* Reads on and handles what is whole. False: nothing there. */
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
		log_line(&core->log, "MQTT message of %lu bytes skipped, at most %d are taken",
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
	/* The one buffer for what leaves is also what holds back requests. */
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

/* Reads what there is and forgets it. False when the peer has closed. */
static bool drain(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	int done;

	do
		done = read_some(core, mqtt->in, sizeof mqtt->in);
	while (done > 0);
	return done == 0;
}

/* DISCONNECT is behind the last answer: wait until the peer has both. */
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
	disconnect(core);
	mqtt->stage = STAGE_STOPPED;
	return true;
}

/* False when there is nothing to do now. */
static bool step(struct core *core)
{
	switch (core->mqtt->stage) {
	case STAGE_WAIT:
		return poll_wait(core);
	case STAGE_TIME:
		return poll_time(core);
	case STAGE_RESOLVE:
		return poll_resolve(core);
	case STAGE_CONNECT:
		return poll_connect(core);
	case STAGE_HANDSHAKE:
		return poll_handshake(core);
	case STAGE_CONNACK:
	case STAGE_SUBACK:
	case STAGE_RUN:
		return poll_session(core);
	case STAGE_LEAVING:
		return poll_leaving(core);
	case STAGE_STOPPED:
		return false;
	}
	return false;
}

uint32_t mqtt_poll(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt == NULL)
		return UINT32_MAX;
	if (core->reset_wanted && mqtt->stage < STAGE_CONNACK) {
		disconnect(core);
		mqtt->stage = STAGE_STOPPED;
	}
	/* Bounded, so that a flood of messages does not starve the web server. */
	for (int steps = 0; steps < 32; steps++)
		if (!step(core))
			return mqtt->stage == STAGE_RUN || mqtt->stage == STAGE_WAIT ? 500 : 50;
	return 0;
}
