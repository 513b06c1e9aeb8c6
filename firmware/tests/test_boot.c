/* The boot log of each mode, line by line, from the reset to the next one. */
#include <stdlib.h>

#include "check.h"
#include "clock.h"
#include "heap.h"
#include "host_port.h"
#include "log.h"
#include "settings.h"
#include "store.h"

static struct host host;
static uint32_t (*real_uptime)(void *self);
static void (*real_idle)(void *self, uint32_t at_most_ms);
static unsigned idles, idles_most;
static unsigned link_lost_at, link_back_at; /* counted in idles; 0: never */

/* The clock leaps instead of waiting, and after a while the run ends. */
static void leaping_idle(void *self, uint32_t at_most_ms)
{
	real_idle(self, 0);
	host.pushed_ms += at_most_ms;
	idles++;
	if (idles == link_lost_at)
		host.net = PORT_NET_LOST;
	if (idles == link_back_at)
		host.net = PORT_NET_UP;
	if (idles >= idles_most)
		longjmp(host.on_reset, 2);
}

static void prepare(void)
{
	host_start(&host);
	real_idle = host.port.idle;
	real_uptime = host.port.uptime_ms;
	host.port.idle = leaping_idle;
}

static void store_settings(void (*change)(struct settings *settings))
{
	struct settings settings;
	struct store store;

	store_load(&store, &host.port, &settings);
	change(&settings);
	if (!store_save(&store, &settings))
		abort();
}

/* Boots and lets it run; what it wrote is in host.log. */
static void boot(unsigned most)
{
	idles = 0;
	idles_most = most;
	host.log_length = 0;
	host_run_until_reset(&host, "0123456789abcdef");
}

/* The log begins with these lines. */
static void expect(const char *lines)
{
	CHECK(host.log != NULL && strncmp(host.log, lines, strlen(lines)) == 0, "wanted:\n%s\ngot:\n%s",
	      lines, host.log);
}

static void test_blank(void)
{
	prepare();
	boot(20);
	expect("Build: 0123456789abcdef\r\n"
	       "Reset reason: 0\r\n"
	       "Settings: blank, defaults in use\r\n"
	       "WiFi connected\r\n"
	       "ESP8266 IP: 127.0.0.1\r\n"
	       "ESP8266 WebServer Port: 9705\r\n"
	       "ESP8266 Mode: Web Server Running - Type = SDK API\r\n"
	       "Heap boot: free ");
	CHECK(host.writes == 0, "booting writes no flash");
	host_stop(&host);
}

static void nothing(struct settings *settings)
{
	(void)settings;
}

/* The log begins with the chip's own name, whatever the chip. */
static void test_another_chip(void)
{
	prepare();
	host.port.device = "TESTCHIP";
	boot(20);
	expect("Build: 0123456789abcdef\r\n"
	       "Reset reason: 0\r\n"
	       "Settings: blank, defaults in use\r\n"
	       "WiFi connected\r\n"
	       "TESTCHIP IP: 127.0.0.1\r\n"
	       "TESTCHIP WebServer Port: 9705\r\n"
	       "TESTCHIP Mode: Web Server Running - Type = SDK API\r\n"
	       "Heap boot: free ");
	CHECK(strstr(host.log, "ESP8266") == NULL, "another chip's name: %s", host.log);
	host_stop(&host);
}

static unsigned traced[PORT_CALLERS_SLOTS];

static void trace_keep(void *self, unsigned slot)
{
	CHECK(self == &host, "the port's own pointer");
	traced[slot]++;
}

static bool trace_copy(void *self, unsigned slot, struct port_callers *callers)
{
	CHECK(self == &host && traced[slot] > 0, "slot %u is copied before it was kept", slot);
	memset(callers, 0, sizeof *callers);
	callers->heap_bytes = 51000;
	callers->free_bytes = 50000;
	callers->each[0] = (struct port_caller){ .address = 0x40210ff4, .bytes = 800, .blocks = 2 };
	callers->others = (struct port_caller){ .bytes = 200, .blocks = 3 };
	return slot == HEAP_BOOT;
}

/* What the heap-tracing image adds to the log, through the port's table. */
static void test_heap_trace(void)
{
	static const struct port_heap_trace trace = { .keep = trace_keep, .copy = trace_copy };

	prepare();
	boot(20);
	CHECK(strstr(host.log, "Heap callers") == NULL, "no trace without the port's: %s", host.log);
	host_stop(&host);
	prepare();
	host.port.heap_trace = &trace;
	boot(20);
	CHECK(strstr(host.log, "stack 1234 of 4096\r\nHeap callers boot: lowest 50000 of 51000, "
			       "0x40210ff4 800 B in 2, others 200 B in 3\r\n") != NULL,
	      "%s", host.log);
	host_stop(&host);
}

static void test_stored_and_damaged(void)
{
	prepare();
	store_settings(nothing);
	store_settings(nothing);
	boot(20);
	expect("Build: 0123456789abcdef\r\nReset reason: 0\r\nSettings: stored (sequence 2)\r\nWiFi");
	host.flash[1][100] ^= 1;
	boot(20);
	expect("Build: 0123456789abcdef\r\nReset reason: 4\r\nSettings: stored (sequence 1)\r\n"
	       "Settings: the other copy is damaged or was cut short\r\nWiFi");
	host.flash[0][100] ^= 1;
	boot(20);
	expect("Build: 0123456789abcdef\r\nReset reason: 4\r\nSettings: damaged, defaults in use\r\n");
	host_stop(&host);
}

static void tls_without_ca(struct settings *settings)
{
	settings->tls = settings->mqtt = 1;
	settings->mqtt_retry_attempts = 2;
	strcpy(settings->broker, "broker.test");
	strcpy(settings->ntp_server, "no such name");
	strcpy(settings->rx_topic, "requests");
}

static void test_tls_without_anything(void)
{
	prepare();
	store_settings(tls_without_ca);
	boot(1000);
	expect("Build: 0123456789abcdef\r\nReset reason: 0\r\nSettings: stored (sequence 1)\r\n"
	       "WiFi connected\r\n"
	       "ESP8266 IP: 127.0.0.1\r\n"
	       "Waiting for time....\r\n"
	       "No time from no such name: no such name\r\n"
	       "MQTT Rx Topic: requests\r\n"
	       "MQTT Tx Topic: mqtt_tx_18fe34a26629\r\n"
	       "ESP8266 Mode: MQTT Client Running\r\n"
	       "Heap boot: free ");
	CHECK(strstr(host.log, "Attempting MQTT connection...failed, rc=-2 try again in 5 seconds\r\n"
			       "TLS error 1002: no CA is stored, POST one to /ca\r\n") != NULL,
	      "%s", host.log);
	CHECK(strstr(host.log, "MQTT given up after 2 attempts, HTTP Server Restored\r\n"
			       "Restarting\r\n") != NULL,
	      "%s", host.log);
	CHECK(host.resets == 1, "and resets");
	CHECK(strstr(host.log, "WebServer") == NULL, "no web server beside TLS");
	boot(20);
	CHECK(strstr(host.log, "ESP8266 Mode: Web Server Running") != NULL, "back: %s", host.log);
	host_stop(&host);
}

static void tls_with_ca(struct settings *settings)
{
	tls_without_ca(settings);
	/* 127.0.0.1:9 answers no SNTP. */
	strcpy(settings->ntp_server, "127.0.0.1");
	settings->ntp_port = 9;
}

static void test_silent_time_server(void)
{
	struct settings settings;
	struct store store;
	uint32_t before;

	prepare();
	store_load(&store, &host.port, &settings);
	tls_with_ca(&settings);
	store_save_part(&store, &settings, STORE_CA, "any", 3);
	before = real_uptime(&host);
	boot(5000);
	CHECK(strstr(host.log, "No time from 127.0.0.1: no answer\r\n") != NULL, "%s", host.log);
	CHECK(strstr(host.log, "rc=-2 try again in 5 seconds\r\n"
			       "TLS error 53: the time is not known\r\n") != NULL,
	      "no connection without a time: %s", host.log);
	CHECK(real_uptime(&host) - before < 2 * (10000 + 5000) + 2000, "the wait has an end: %u ms",
	      real_uptime(&host) - before);
	host_stop(&host);
}

static void plain(struct settings *settings)
{
	settings->mqtt = 1;
}

static void test_plain(void)
{
	prepare();
	store_settings(plain);
	boot(20);
	CHECK(strstr(host.log, "ESP8266 WebServer Port: 9705\r\n"
			       "ESP8266 Mode: Web Server Running - Type = SDK API\r\n"
			       "MQTT Rx Topic: mqtt_rx_18fe34a26629\r\n"
			       "MQTT Tx Topic: mqtt_tx_18fe34a26629\r\n"
			       "ESP8266 Mode: MQTT Client Running\r\n") != NULL,
	      "MQTT and web: %s", host.log);
	CHECK(strstr(host.log, "MQTT reason: no broker is set (mqtt_bk)") != NULL, "%s", host.log);
	host_stop(&host);
}

static void test_network(void)
{
	prepare();
	store_settings(tls_with_ca);
	host.net = PORT_NET_JOINING;
	boot(5000);
	CHECK(strstr(host.log, "Could not connect to wifi, initializing AP\r\n"
			       "No access point on this board, waiting for the network\r\n") != NULL,
	      "%s", host.log);
	CHECK(strstr(host.log, "ESP8266 IP") == NULL, "%s", host.log);
	host_stop(&host);

	/* With one, the page is there to correct the settings, in any mode. */
	prepare();
	store_settings(tls_with_ca);
	host.net = PORT_NET_FAILED;
	host.has_access_point = true;
	boot(20);
	CHECK(strstr(host.log, "Could not connect to wifi, initializing AP\r\n"
			       "ESP8266 IP: 127.0.0.1\r\n"
			       "ESP8266 WebServer Port: 9705\r\n"
			       "ESP8266 Mode: Web Server Running - Type = SDK API\r\n") != NULL,
	      "%s", host.log);
	CHECK(strstr(host.log, "WiFi") == NULL, "no link comes and goes there: %s", host.log);
	host_stop(&host);
}

static void link_loss(struct settings *settings)
{
	plain(settings);
	settings->broker_address[0] = 127;
	settings->broker_address[3] = 1;
	settings->mqtt_port = 9; /* nothing listens there */
	settings->mqtt_retry_seconds = 1;
}

static void test_link_loss(void)
{
	const char *lost, *back;

	prepare();
	store_settings(link_loss);
	link_lost_at = 5;
	link_back_at = 200;
	boot(205);
	link_lost_at = link_back_at = 0;
	lost = strstr(host.log, "WiFi lost\r\n");
	back = lost != NULL ? strstr(lost, "WiFi connected\r\nESP8266 IP: 127.0.0.1\r\n") : NULL;
	CHECK(lost != NULL && back != NULL, "%s", host.log);
	CHECK(lost != NULL && back != NULL &&
		      (strstr(lost, "Attempting") == NULL || strstr(lost, "Attempting") > back),
	      "no attempt is wasted without a link: %s", host.log);
	CHECK(strstr(host.log, "given up") == NULL, "%s", host.log);
	host_stop(&host);
}

static void test_log_lines(void)
{
	struct log log;

	host_start(&host);
	log_start(&log, &host.port);
	log_open(&log, "Attempting...");
	log_close(&log, "failed, rc=%d", -2);
	log_open(&log, "Attempting...");
	log_line(&log, "an\x1b[31m%s", "other\r\nBuild: faked");
	log_line(&log, "third");
	log_close(&log, "connected");
	CHECK(strcmp(host.log, "Attempting...failed, rc=-2\r\n"
			       "Attempting...\r\n"
			       "an?[31mother??Build: faked\r\n"
			       "third\r\n"
			       "Attempting...connected\r\n") == 0,
	      "%s", host.log);
	host_stop(&host);
}

static void test_clock(void)
{
	static const struct {
		uint64_t seconds;
		const char *text;
	} cases[] = {
		{ 0, "Thu Jan  1 00:00:00 1970" },
		{ 951782400, "Tue Feb 29 00:00:00 2000" },
		{ 951868799, "Tue Feb 29 23:59:59 2000" },
		{ 951868800, "Wed Mar  1 00:00:00 2000" },
		{ 1798761599, "Thu Dec 31 23:59:59 2026" },
		{ 4107542400, "Mon Mar  1 00:00:00 2100" },
	};
	struct clock clock;
	char text[CLOCK_TEXT_SIZE];

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		clock_text(cases[i].seconds, text);
		CHECK(strcmp(text, cases[i].text) == 0, "%s, not %s", text, cases[i].text);
	}
	host_start(&host);
	clock_start(&clock, &host.port);
	CHECK(clock_unix(&clock) == 0, "not known");
	clock_set(&clock, 1000000000);
	for (int day = 0; day < 100; day++) { /* past the wrap of uptime_ms */
		host.pushed_ms += 86400000;
		clock_uptime_ms(&clock);
	}
	CHECK(clock_unix(&clock) - (1000000000 + 100 * 86400) < 5, "it does not wrap: %llu",
	      (unsigned long long)clock_unix(&clock));
	host_stop(&host);
}

int main(void)
{
	test_blank();
	test_another_chip();
	test_heap_trace();
	test_stored_and_damaged();
	test_tls_without_anything();
	test_silent_time_server();
	test_plain();
	test_network();
	test_link_loss();
	test_log_lines();
	test_clock();
	return checks_end("boot log");
}
