#include "requests.h"

#include <stdio.h>
#include <string.h>

#include "mode.h"

#define BLINK_MOST 100
#define BLINK_HALF_MS 250

void request_take(void *context, const struct query_pair *pair)
{
	struct request *request = context;

	if (pair->key_cut || pair->value_cut || pair->malformed) {
		request->bad = true;
	} else if (strcmp(pair->key, "request") == 0) {
		if (request->name[0] != 0 || pair->value_length >= sizeof request->name)
			request->bad = true;
		else
			memcpy(request->name, pair->value, pair->value_length + 1);
	} else if (strcmp(pair->key, "nblink") == 0) {
		request->bad |= request->counted || pair->value_length == 0 || pair->value_length > 3;
		request->counted = true;
		request->count = 0;
		for (const char *at = pair->value; *at != 0 && !request->bad; at++) {
			if (*at < '0' || *at > '9')
				request->bad = true;
			request->count = request->count * 10 + (uint32_t)(*at - '0');
		}
	}
}

static size_t append(char reply[REPLY_MAX], size_t used, const char *key, unsigned long value)
{
	int more = snprintf(reply + used, REPLY_MAX - used, "%s\"%s\":\"%lu\"", used == 0 ? "{" : ",",
			    key, value);

	return more < 0 || used + (size_t)more >= REPLY_MAX ? used : used + (size_t)more;
}

static bool get_sensors(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	static const char *const phases[HEAP_PHASES] = { "SYS_HeapBoot", "SYS_HeapPage",
							 "SYS_HeapHandshake", "SYS_HeapConnected" };
	const struct port *port = core->port;
	struct port_heap figures;
	char ain[] = "Ain0";
	size_t used = 0;

	(void)request;
	heap_settle(&core->heap);
	port->heap_figures(port->self, &figures);
	for (unsigned channel = 0; channel < 8; channel++) {
		ain[3] = (char)('0' + channel);
		used = append(reply, used, ain, port->analog(port->self, channel));
	}
	used = append(reply, used, "SYS_Heap", figures.free);
	used = append(reply, used, "SYS_Time", (unsigned long)(clock_uptime_ms(&core->clock) / 1000));
	used = append(reply, used, "SYS_HeapLowest", figures.lowest_ever);
	used = append(reply, used, "SYS_HeapLargest", figures.largest);
	used = append(reply, used, "SYS_HeapFragmentation", figures.fragmentation);
	used = append(reply, used, "SYS_HeapFailed", figures.failures);
	for (unsigned phase = 0; phase < HEAP_PHASES; phase++)
		if (core->heap.reached[phase])
			used = append(reply, used, phases[phase], core->heap.lowest[phase]);
	snprintf(reply + used, REPLY_MAX - used, "}");
	return true;
}

static void led(struct core *core, bool on)
{
	core->blink.lit = on;
	core->port->led(core->port->self, on);
}

static bool led_on(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	(void)request;
	core->blink.toggles_left = 0;
	led(core, true);
	strcpy(reply, "LED is now ON");
	return true;
}

static bool led_off(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	(void)request;
	core->blink.toggles_left = 0;
	led(core, false);
	strcpy(reply, "LED is now OFF");
	return true;
}

static bool blink_led(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	uint32_t count = request->counted ? request->count : 1;

	if (count < 1 || count > BLINK_MOST)
		return false;
	core->blink.toggles_left = (uint16_t)(count * 2);
	core->blink.next_ms = core_now(core);
	led(core, false);
	snprintf(reply, REPLY_MAX, "LED is now blinking %lu times.", (unsigned long)count);
	return true;
}

static bool http_on(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	(void)request;
	mode_switch(core, MODE_CONFIGURATION, reply, REPLY_MAX);
	return true;
}

static bool mqtt_ssl_on(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	(void)request;
	mode_switch(core, MODE_MQTT_TLS, reply, REPLY_MAX);
	return true;
}

static bool reset(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	(void)request;
	mode_ask_reset(core);
	snprintf(reply, REPLY_MAX, "%s is restarting", core->port->device);
	return true;
}

static const struct {
	const char *name;
	/* False: the request is invalid. */
	bool (*answer)(struct core *core, const struct request *request, char reply[REPLY_MAX]);
} table[] = {
	{ "GetSensors", get_sensors }, { "LedOn", led_on },   { "LedOff", led_off },
	{ "BlinkLed", blink_led },     { "HttpOn", http_on }, { "MqttSslOn", mqtt_ssl_on },
	{ "Reset", reset },
};

void request_answer(struct core *core, const struct request *request, char reply[REPLY_MAX])
{
	if (!request->bad)
		for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
			if (strcmp(table[i].name, request->name) == 0 &&
			    table[i].answer(core, request, reply))
				return;
	strcpy(reply, "Invalid Request");
}

void request_answer_text(struct core *core, const char *text, size_t length, char reply[REPLY_MAX])
{
	struct request request = { .bad = length < 2 || memcmp(text, "/?", 2) != 0 };
	struct query query;

	if (!request.bad) {
		query_start(&query, request_take, &request);
		for (size_t i = 2; i < length; i++)
			query_feed(&query, text[i]);
		query_end(&query);
	}
	request_answer(core, &request, reply);
}

uint32_t requests_poll(struct core *core)
{
	struct blink *blink = &core->blink;

	if (blink->toggles_left == 0)
		return UINT32_MAX;
	if (core_due(core, blink->next_ms)) {
		led(core, !blink->lit);
		blink->toggles_left--;
		blink->next_ms = core_now(core) + BLINK_HALF_MS;
	}
	return BLINK_HALF_MS;
}
