#include "mode.h"

#include <stdio.h>

#include "tls.h"

enum mode mode_choose(const struct settings *settings)
{
	if (settings->mqtt && settings->tls)
		return MODE_MQTT_TLS;
	return settings->mqtt ? MODE_MQTT_PLAIN : MODE_CONFIGURATION;
}

void mode_ask_reset(struct core *core)
{
	if (core->reset_wanted)
		return;
	core->reset_wanted = true;
	core->reset_asked_ms = core_now(core);
}

static bool store_mode(struct core *core, enum mode mode)
{
	struct settings *settings = &core->settings;
	uint8_t mqtt = mode != MODE_CONFIGURATION;
	/* A return to configuration mode keeps the TLS flag for the next switch. */
	uint8_t tls = mode == MODE_MQTT_TLS ? 1 : settings->tls;
	uint8_t old_mqtt = settings->mqtt;
	uint8_t old_tls = settings->tls;

	if (mqtt == old_mqtt && tls == old_tls)
		return true;
	settings->mqtt = mqtt;
	settings->tls = tls;
	if (store_save(&core->store, settings))
		return true;
	settings->mqtt = old_mqtt;
	settings->tls = old_tls;
	log_line(&core->log, "Settings: not stored, the flash failed");
	return false;
}

void mode_switch(struct core *core, enum mode mode, char *reply, size_t size)
{
	/* Without a CA the board cannot connect, and with an unlimited number of
	 * attempts it could never be reached again. */
	if (mode == MODE_MQTT_TLS && tls_hindrance(core) == TLS_ERROR_NO_CA) {
		snprintf(reply, size, "MQTT SSL needs a CA first: POST it to /ca");
		return;
	}
	if (!store_mode(core, mode)) {
		snprintf(reply, size, "Settings not stored, the flash failed");
		return;
	}
	snprintf(reply, size, "%s",
		 mode == MODE_MQTT_TLS ? "MQTT SSL Broker Connection Restored and HTTP Disabled" :
					 "HTTP Server Restored and MQTT Disabled");
	if (core->mode != mode)
		mode_ask_reset(core);
}

void mode_give_up(struct core *core, unsigned attempts)
{
	log_line(&core->log, "MQTT given up after %u attempts, HTTP Server Restored", attempts);
	store_mode(core, MODE_CONFIGURATION);
	mode_ask_reset(core);
}
