/* The firmware from the reset on: settings, network, mode, main loop. */
#include <stdio.h>
#include <string.h>

#include "core.h"
#include "fault.h"
#include "http.h"
#include "mode.h"
#include "mqtt.h"
#include "requests.h"

/* How long joining the network may take. */
#define JOIN_MS 30000u
/* Between two tries to open the web server's port. */
#define LISTEN_RETRY_MS 1000u

static void load_settings(struct core *core)
{
	const char *what = "damaged";

	switch (store_load(&core->store, core->port, &core->settings)) {
	case STORE_LOADED:
		log_line(&core->log, "Settings: stored (sequence %lu)",
			 (unsigned long)core->store.sequence);
		/* A save that a power cut interrupted looks like bad flash. */
		if (core->store.other_damaged)
			log_line(&core->log, "Settings: the other copy is damaged or was cut short");
		return;
	case STORE_BLANK:
		what = "blank";
		break;
	case STORE_DAMAGED:
		break;
	}
	log_line(&core->log, "Settings: %s, defaults in use", what);
}

static void log_address(struct core *core)
{
	uint8_t ip[4];

	core->port->net_address(core->port->self, ip);
	log_line(&core->log, "%s IP: %u.%u.%u.%u", core->port->device, ip[0], ip[1],
		 ip[2], ip[3]);
}

static void fill_net(const struct settings *settings, struct port_net *net)
{
	net->ssid = settings->ssid;
	net->password = settings->password;
	memcpy(net->address, settings->ip, 4);
	memcpy(net->netmask, settings->netmask, 4);
	memcpy(net->gateway, settings->gateway, 4);
	memcpy(net->ap_address, settings->ap_ip, 4);
}

/* Joins the network or, where that fails, serves an access point with the
 * configuration page in any mode. True if it has joined. */
static bool start_network(struct core *core)
{
	const struct port *port = core->port;
	uint32_t deadline = core_now(core) + JOIN_MS;
	struct port_net net;
	bool logged = false;

	fill_net(&core->settings, &net);
	if (!port->net_start(port->self, &net))
		deadline = core_now(core);
	while (port->net_state(port->self) != PORT_NET_UP) {
		bool over = core_due(core, deadline) ||
			    port->net_state(port->self) == PORT_NET_FAILED;

		if (over && !logged) {
			logged = true;
			log_line(&core->log, "Could not connect to wifi, initializing AP");
			if (port->net_access_point(port->self, &net)) {
				core->mode = MODE_CONFIGURATION;
				log_address(core);
				return false;
			}
			log_line(&core->log, "No access point on this board, waiting for the network");
		}
		port->idle(port->self, 100);
	}
	log_line(&core->log, "WiFi connected");
	log_address(core);
	return true;
}

static void start_web(struct core *core)
{
	bool logged = false;

	log_line(&core->log, "%s WebServer Port: %u", core->port->device,
		 core->settings.http_port);
	while (!http_start(core)) {
		uint32_t again = core_now(core) + LISTEN_RETRY_MS;

		if (!logged)
			log_line(&core->log, "The web server cannot be started, trying again");
		logged = true;
		while (!core_due(core, again))
			core->port->idle(core->port->self, 100);
	}
	log_line(&core->log, "%s Mode: Web Server Running - Type = SDK API", core->port->device);
}

/* Logs when the link is lost and comes back. */
static void watch_network(struct core *core, bool *up)
{
	enum port_net_state state = core->port->net_state(core->port->self);

	if (*up && state != PORT_NET_UP) {
		log_line(&core->log, "WiFi lost");
		*up = false;
	} else if (!*up && state == PORT_NET_UP) {
		log_line(&core->log, "WiFi connected");
		log_address(core);
		*up = true;
	}
}

static uint32_t sooner(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* `joined`: the network was up; if it was lost since, that is logged. */
static void serve(struct core *core, bool joined)
{
	const struct port *port = core->port;
	/* The port decides whether an access point counts as up. */
	bool up = joined || port->net_state(port->self) == PORT_NET_UP;

	for (;;) {
		uint32_t wait = 1000;

		clock_uptime_ms(&core->clock);
		watch_network(core, &up);
		wait = sooner(wait, http_poll(core));
		wait = sooner(wait, mqtt_poll(core));
		wait = sooner(wait, requests_poll(core));
		if (core->reset_wanted) {
			if ((http_is_idle(core) && mqtt_is_idle(core)) ||
			    core_due(core, core->reset_asked_ms + RESET_AFTER_MS))
				return;
			wait = sooner(wait, 10);
		}
		port->idle(port->self, wait);
	}
}

void core_run(const struct port *port)
{
	static struct core the_core;
	struct core *core = &the_core;
	bool joined;

	memset(core, 0, sizeof *core);
	core->port = port;
	log_start(&core->log, port);
	clock_start(&core->clock, port);
	heap_start(&core->heap, port);
	log_line(&core->log, "Build: %s", port->build);
	fault_at_boot();
	log_line(&core->log, "Reset reason: %u", port->reset_reason);
	load_settings(core);
	if (core->settings.baud != 115200)
		port->serial_baud(port->self, core->settings.baud);
	core->mode = mode_choose(&core->settings);

	joined = start_network(core);
	if (core->mode != MODE_MQTT_TLS)
		start_web(core);
	if (core->mode == MODE_CONFIGURATION) {
		heap_enter(&core->heap, HEAP_PAGE);
		heap_log(&core->heap, &core->log, HEAP_BOOT);
	} else if (!mqtt_start(core)) {
		log_line(&core->log, "MQTT cannot be started: no memory");
	}
	serve(core, joined);
	heap_log_lower(&core->heap, &core->log);
	log_line(&core->log, "Restarting");
	port->reset(port->self);
}
