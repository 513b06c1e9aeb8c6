#include "mqtt_connection.h"

#include "mode.h"

void mqtt_enter(struct core *core, enum stage stage, uint32_t deadline_in_ms)
{
	core->mqtt->stage = stage;
	core->mqtt->deadline_ms = core_now(core) + deadline_in_ms;
}

void mqtt_disconnect(struct core *core)
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

/* The cause of a failure, on a line of its own: rc=-2 does not show it. */
static void log_reason(struct core *core, int tls_reason, const char *reason)
{
	char words[TLS_ERROR_TEXT_SIZE];

	tls_error_text(tls_reason, words);
	if (tls_reason == TLS_ERROR_NONE) {
		log_line(&core->log, "MQTT reason: %s", reason);
	} else if (tls_reason == TLS_ERROR_NO_MEMORY) {
		struct port_heap figures;

		core->port->heap_figures(core->port->self, &figures);
		log_line(&core->log, "TLS error %d: %s (%lu bytes refused, largest block now %lu)",
			 tls_reason, words, (unsigned long)figures.last_failed,
			 (unsigned long)figures.largest);
	} else {
		log_line(&core->log, "TLS error %d: %s", tls_reason, words);
	}
}

enum heap_phase mqtt_unconnected_phase(const struct core *core)
{
	return core->mode == MODE_MQTT_TLS ? HEAP_HANDSHAKE : HEAP_PAGE;
}

/* Counts a failed attempt; after the last one the board gives up. */
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

void mqtt_fail(struct core *core, int rc, int tls_reason, const char *reason)
{
	struct tls_facts facts = { 0 };

	if (core->mqtt->tls != NULL)
		facts = tls_facts(core->mqtt->tls);
	mqtt_disconnect(core);
	heap_enter(&core->heap, mqtt_unconnected_phase(core));
	log_close(&core->log, "failed, rc=%d try again in %u seconds", rc,
		  core->settings.mqtt_retry_seconds);
	log_reason(core, tls_reason, reason);
	tls_log_facts(&core->log, &facts);
	if (core->mqtt->handshake_begun)
		heap_log(&core->heap, &core->log, HEAP_HANDSHAKE);
	core->mqtt->handshake_begun = false;
	mqtt_enter(core, STAGE_WAIT, core->settings.mqtt_retry_seconds * 1000u);
	count_attempt(core);
}

void mqtt_lose(struct core *core, const char *reason)
{
	struct mqtt *mqtt = core->mqtt;
	int tls_reason = mqtt->tls != NULL ? tls_error(mqtt->tls) : TLS_ERROR_NONE;
	uint32_t pause = core->settings.mqtt_retry_seconds * 1000u;
	bool was_running = mqtt->stage == STAGE_RUN;

	mqtt_disconnect(core);
	heap_enter(&core->heap, mqtt_unconnected_phase(core));
	log_line(&core->log, "MQTT connection lost: %s", reason);
	if (tls_reason != TLS_ERROR_NONE)
		log_reason(core, tls_reason, reason);
	heap_log_lower(&core->heap, &core->log);
	/* At once, unless the last attempt was so recent that a broker which
	 * disconnects the board would make it reconnect without pause. */
	mqtt->stage = STAGE_WAIT;
	mqtt->deadline_ms = mqtt->connected_ms + pause;
	if (core_due(core, mqtt->deadline_ms))
		mqtt->deadline_ms = core_now(core);
	if (!was_running)
		count_attempt(core);
}
