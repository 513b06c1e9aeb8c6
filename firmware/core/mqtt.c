#include "mqtt.h"

#include <string.h>

#include "mqtt_session.h"

#define RESOLVE_MS 10000u
#define CONNECT_MS 10000u
/* RSA-4096 takes seconds at 80 MHz; brokers give up after 5 to 60 s. */
#define HANDSHAKE_MS 30000u

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

static void announce(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	if (mqtt->announced)
		return;
	mqtt->announced = true;
	log_line(&core->log, "MQTT Rx Topic: %s", mqtt->rx_topic);
	log_line(&core->log, "MQTT Tx Topic: %s", mqtt->tx_topic);
	log_line(&core->log, "%s Mode: MQTT Client Running", core->port->device);
	heap_enter(&core->heap, mqtt_unconnected_phase(core));
	heap_log(&core->heap, &core->log, HEAP_BOOT);
}

static void attempt(struct core *core)
{
	static const uint8_t none[4];
	struct mqtt *mqtt = core->mqtt;
	bool tls = core->mode == MODE_MQTT_TLS;
	int error = tls ? tls_hindrance(core) : TLS_ERROR_NONE;

	announce(core);
	log_open(&core->log, "Attempting MQTT connection...");
	if (error != TLS_ERROR_NONE) {
		mqtt_fail(core, RC_CONNECT_FAILED, error, NULL);
	} else if (core->settings.broker[0] == 0 &&
		   ((tls && !settings_have_pin(&core->settings)) ||
		    memcmp(core->settings.broker_address, none, 4) == 0)) {
		mqtt_fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE, "no broker is set (mqtt_bk)");
	} else {
		memcpy(mqtt->address, core->settings.broker_address, 4);
		mqtt_enter(core, STAGE_RESOLVE, RESOLVE_MS);
	}
}

static bool poll_wait(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;

	/* An attempt while the link is down would fail and be counted. */
	if (!core_due(core, mqtt->deadline_ms) ||
	    core->port->net_state(core->port->self) != PORT_NET_UP)
		return false;
	if (core->mode == MODE_MQTT_TLS && !core->clock.known && !settings_have_pin(&core->settings)) {
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
		mqtt_fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE,
		     found < 0 ? "the broker's name cannot be resolved" : "no answer for the broker's name");
		return true;
	}
	mqtt->stream = port->tcp_connect(port->self, mqtt->address, core->settings.mqtt_port);
	if (mqtt->stream == NULL)
		mqtt_fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE, "no memory for a stream");
	else
		mqtt_enter(core, STAGE_CONNECT, CONNECT_MS);
	return true;
}

static bool start_session(struct core *core)
{
	mqtt_session_start(core);
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
		mqtt_fail(core, RC_CONNECT_FAILED, TLS_ERROR_NONE,
		     state == PORT_STREAM_CONNECTING ? "the broker does not answer" :
						       "the broker refused the connection");
		return true;
	}
	if (core->mode != MODE_MQTT_TLS)
		return start_session(core);
	mqtt->handshake_begun = true;
	mqtt->tls = tls_start(core, mqtt->stream, &error);
	if (mqtt->tls == NULL)
		mqtt_fail(core, RC_CONNECT_FAILED, error, NULL);
	else
		mqtt_enter(core, STAGE_HANDSHAKE, HANDSHAKE_MS);
	return true;
}

static bool poll_handshake(struct core *core)
{
	struct mqtt *mqtt = core->mqtt;
	int error;

	switch (tls_poll(mqtt->tls)) {
	case TLS_OPEN:
		return start_session(core);
	case TLS_CLOSED:
		error = tls_error(mqtt->tls);
		mqtt_fail(core, RC_CONNECT_FAILED, error != TLS_ERROR_NONE ? error : TLS_ERROR_STREAM_CLOSED,
		     NULL);
		return true;
	default:
		if (!core_due(core, mqtt->deadline_ms))
			return false;
		mqtt_fail(core, RC_CONNECT_FAILED, TLS_ERROR_TIMEOUT, NULL);
		return true;
	}
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
	case STAGE_LEAVING:
		return mqtt_session_step(core);
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
		mqtt_disconnect(core);
		mqtt->stage = STAGE_STOPPED;
	}
	/* Bounded, so that a flood of messages does not starve the web server. */
	for (int steps = 0; steps < 32; steps++)
		if (!step(core))
			return mqtt->stage == STAGE_RUN || mqtt->stage == STAGE_WAIT ? 500 : 50;
	return 0;
}
