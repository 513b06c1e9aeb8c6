/* The web server over a pair of sockets: answers, bounds, noise, lost memory. */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_core.h"
#include "check.h"
#include "fields.h"
#include "http.h"

static struct host_core fixture;
static char answer[65536];

static void start(void)
{
	host_core_start(&fixture);
	if (!http_start(&fixture.core))
		abort();
}

/* Reads what there is. False at the end of the stream. */
static bool drain(int fd, size_t *used)
{
	for (;;) {
		ssize_t got = recv(fd, answer + *used, sizeof answer - 1 - *used, MSG_DONTWAIT);

		if (got > 0)
			*used += (size_t)got;
		else
			return got < 0 && (errno == EAGAIN || errno == EINTR);
	}
}

/* Sends bytes in pieces and hands back the whole answer; the server has to
 * close, or the clock runs until it does. Its status, 0 for no answer. */
static int exchange_bytes(const char *bytes, size_t length, size_t piece)
{
	int fd = host_connect(&fixture.host);
	size_t used = 0;
	bool open = true;
	unsigned rounds = 0;

	for (size_t at = 0; at < length && open;) {
		size_t part = length - at < piece ? length - at : piece;
		ssize_t sent = send(fd, bytes + at, part, MSG_NOSIGNAL | MSG_DONTWAIT);

		if (sent > 0)
			at += (size_t)sent;
		http_poll(&fixture.core);
		open = drain(fd, &used);
	}
	while (open && rounds++ < 10000) {
		http_poll(&fixture.core);
		open = drain(fd, &used);
		fixture.host.pushed_ms += 10;
	}
	answer[used] = 0;
	close(fd);
	http_poll(&fixture.core);
	CHECK(!open, "the server closed: %.40s", bytes);
	CHECK(http_is_idle(&fixture.core), "the place is free again");
	return used > 12 ? atoi(answer + 9) : 0;
}

static int exchange(const char *text)
{
	return exchange_bytes(text, strlen(text), SIZE_MAX);
}

static int get(const char *path)
{
	static char text[40000];

	snprintf(text, sizeof text, "GET %s HTTP/1.1\r\nHost: x\r\n\r\n", path);
	return exchange(text);
}

static const char *body(void)
{
	const char *at = strstr(answer, "\r\n\r\n");

	return at == NULL ? "" : at + 4;
}

static void test_requests(void)
{
	start();
	/* No "Connection:" header, and none at all. */
	CHECK(exchange("GET /?request=LedOn HTTP/1.0\r\n\r\n") == 200, "%s", answer);
	CHECK(strcmp(body(), "LED is now ON") == 0, "%s", body());
	CHECK(fixture.host.led, "the LED is on");
	CHECK(get("/?request=LedOff") == 200 && strcmp(body(), "LED is now OFF") == 0, "%s", body());
	CHECK(get("/?request=BlinkLed&nblink=7") == 200, "%s", answer);
	CHECK(strcmp(body(), "LED is now blinking 7 times.") == 0, "%s", body());
	CHECK(get("/?request=GetSensors") == 200, "%s", answer);
	CHECK(strncmp(body(), "{\"Ain0\":\"100\",\"Ain1\":\"101\",", 26) == 0, "%s", body());
	CHECK(strstr(body(), "\"SYS_HeapLowest\":\"") && strstr(body(), "\"SYS_HeapBoot\":\""), "%s",
	      body());
	CHECK(get("/?request=Nothing") == 200 && strcmp(body(), "Invalid Request") == 0, "%s", body());
	CHECK(get("/?request=BlinkLed&nblink=0") == 200 && strcmp(body(), "Invalid Request") == 0,
	      "%s", body());
	CHECK(get("/?") == 200 && strcmp(body(), "Invalid Request") == 0, "%s", body());
	CHECK(get("/") == 302, "%s", answer);
	CHECK(get("/nothing") == 404, "%s", answer);
	CHECK(get("/configuration-of-a-long-name") == 404, "%s", answer);
	CHECK(exchange("DELETE /config HTTP/1.1\r\n\r\n") == 405, "%s", answer);
	CHECK(exchange("POST /config HTTP/1.1\r\nContent-Length: 0\r\n\r\n") == 405, "%s", answer);
	host_core_stop(&fixture);
}

static void test_mode_switch(void)
{
	start();
	CHECK(get("/?request=MqttSslOn") == 200 && strstr(body(), "needs a CA") != NULL, "%s", body());
	CHECK(!fixture.core.reset_wanted, "without a CA the board stays where it can be reached");
	store_save_part(&fixture.core.store, &fixture.core.settings, STORE_CA, "any", 3);
	CHECK(get("/?request=MqttSslOn") == 200, "%s", answer);
	CHECK(strcmp(body(), "MQTT SSL Broker Connection Restored and HTTP Disabled") == 0, "%s",
	      body());
	CHECK(fixture.core.reset_wanted && fixture.core.settings.tls && fixture.core.settings.mqtt,
	      "stored, and a reset asked for");
	host_core_stop(&fixture);

	start();
	CHECK(get("/?request=HttpOn") == 200, "%s", answer);
	CHECK(strcmp(body(), "HTTP Server Restored and MQTT Disabled") == 0, "%s", body());
	CHECK(!fixture.core.reset_wanted && fixture.host.writes == 0,
	      "it is in that mode: nothing is written, nothing restarts");
	host_core_stop(&fixture);
}

static void test_page(void)
{
	char name[64];
	size_t length;

	start();
	strcpy(fixture.core.settings.ssid, "<script>\"'&");
	strcpy(fixture.core.settings.mqtt_password, "hidden-secret");
	strcpy(fixture.core.settings.password, "hidden-wifi");
	CHECK(get("/config") == 200, "%.100s", answer);
	length = strlen(body());
	CHECK(strstr(answer, "Content-Length: ") != NULL &&
		      (size_t)atol(strstr(answer, "Content-Length: ") + 16) == length,
	      "the length is right (%zu)", length);
	for (size_t i = 0; i < FIELDS; i++) {
		snprintf(name, sizeof name, "name=\"%s\"", fields[i].name);
		CHECK(strstr(body(), name) != NULL, "no field %s", fields[i].name);
	}
	CHECK(strstr(body(), "name=\"save\"") != NULL, "no button");
	CHECK(strstr(body(), "<script>") == NULL, "HTML in a setting is escaped");
	CHECK(strstr(body(), "&lt;script&gt;&quot;&#39;&amp;") != NULL, "and shown");
	CHECK(strstr(body(), "hidden") == NULL, "passwords are not shown");
	CHECK(host_core_logged(&fixture, "Heap page: free "), "its heap is logged");
	CHECK(length > 1000 && strcmp(body() + length - 15, "</body></html>\n") == 0, "whole");

	/* The same through a peer that takes a few bytes at a time. */
	fixture.host.write_at_most = 61;
	CHECK(get("/config") == 200 && strlen(body()) == length, "in small pieces");
	host_core_stop(&fixture);
}

static void test_form(void)
{
	struct settings seen;
	struct store store;

	start();
	CHECK(get("/config?mqtt_bk=broker.test&mqtt_ba=10.0.2.2&mqtt_pt=8884&mqtt_cl_en=on&save=SAVE") ==
		      200,
	      "%.100s", answer);
	CHECK(strstr(body(), "Settings stored") != NULL && strstr(body(), "broker.test") != NULL, "page");
	store_load(&store, &fixture.host.port, &seen);
	CHECK(strcmp(seen.broker, "broker.test") == 0 && seen.mqtt_port == 8884 && seen.mqtt == 1 &&
		      seen.tls == 0,
	      "it is in the flash");
	CHECK(get("/config?mqtt_pt=1&mqtt_ba=1.2.3") == 400, "%.100s", answer);
	CHECK(strstr(body(), "mqtt_ba: not an IPv4 address") != NULL, "%s", body());
	store_load(&store, &fixture.host.port, &seen);
	CHECK(seen.mqtt_port == 8884, "of a refused form nothing is stored");
	fixture.host.power_is_off = true;
	CHECK(get("/config?mqtt_pt=2") == 500, "%.100s", answer);
	CHECK(fixture.core.settings.mqtt_port == 8884, "nor of one that the flash does not take");
	host_core_stop(&fixture);
}

/* The original broke on a request of 1024 bytes and on 33 fields. */
static void test_long_requests(void)
{
	static char text[70000];
	size_t used;

	start();
	for (size_t length = 900; length < 8100; length += 61) {
		used = (size_t)snprintf(text, sizeof text, "GET /config?mqtt_pt=%04zu", length);
		while (used < length)
			used += (size_t)snprintf(text + used, sizeof text - used, "&ip_0=0");
		snprintf(text + used, sizeof text - used, " HTTP/1.1\r\nHost: x\r\n\r\n");
		CHECK(exchange(text) == 200, "%zu bytes: %.60s", used, answer);
		CHECK(fixture.core.settings.mqtt_port == length, "%zu bytes are read to the end", used);
	}
	for (size_t length = 8193; length < 60000; length = length * 2) {
		used = (size_t)snprintf(text, sizeof text, "GET /config?ssid=");
		memset(text + used, 'a', length);
		strcpy(text + used + length, " HTTP/1.1\r\n\r\n");
		CHECK(exchange(text) == 414, "%zu bytes: %.60s", length, answer);
		used = (size_t)snprintf(text, sizeof text, "GET /config HTTP/1.1\r\nCookie: ");
		memset(text + used, 'a', length);
		strcpy(text + used + length, "\r\n\r\n");
		CHECK(exchange(text) == 431, "%zu bytes: %.60s", length, answer);
		/* A method, path or name without end. */
		memset(text, 'A', length);
		text[length] = 0;
		CHECK(exchange(text) == 414, "%zu bytes: %.60s", length, answer);
	}
	used = (size_t)snprintf(text, sizeof text, "GET / HTTP/1.1\r\n");
	for (int i = 0; i < 5000; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "A:b\r\n");
	strcpy(text + used, "\r\n");
	CHECK(exchange(text) == 431, "%.60s", answer);
	/* Hundred fields, byte by byte. */
	used = (size_t)snprintf(text, sizeof text, "GET /config?ip_0=0");
	for (int i = 0; i < 100; i++)
		used += (size_t)snprintf(text + used, sizeof text - used, "&svrport=%d", 1000 + i);
	snprintf(text + used, sizeof text - used, " HTTP/1.1\r\n\r\n");
	CHECK(exchange_bytes(text, strlen(text), 1) == 200, "%.60s", answer);
	CHECK(fixture.core.settings.http_port == 1099, "the last one counts");
	host_core_stop(&fixture);
}

static void test_malformed(void)
{
	static const struct {
		const char *text;
		int status;
	} cases[] = {
		{ "\r\n\r\n", 400 },
		{ "GET\r\n\r\n", 400 },
		{ "get / HTTP/1.1\r\n\r\n", 400 },
		{ "GET / \r\n\r\n", 400 },
		{ "GET /\r\n\r\n", 400 },
		{ "GET config HTTP/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/2.0\r\n\r\n", 505 },
		{ "GET / SPDY/1.1\r\n\r\n", 400 },
		{ "GET / HTTP/1.1\r\nno colon\r\n\r\n", 400 },
		{ "GET /?a\nb HTTP/1.1\r\n\r\n", 400 },
		{ "POST /ca HTTP/1.1\r\n\r\n", 411 },
		{ "POST /ca HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n", 411 },
		{ "POST /ca HTTP/1.1\r\nContent-Length: x\r\n\r\n", 400 },
		{ "POST /ca HTTP/1.1\r\nContent-Length: -1\r\n\r\n", 400 },
		{ "POST /ca HTTP/1.1\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\n", 400 },
		{ "POST /ca HTTP/1.1\r\nContent-Length: 99999\r\n\r\n", 413 },
		{ "POST /ca HTTP/1.1\r\nContent-Length: 18446744073709551617\r\n\r\n", 413 },
		{ "POST /ca HTTP/1.1\r\nContent-Length: 000000000000000000000000000000000000001\r\n\r\n",
		  413 },
		{ "POST /ca HTTP/1.1\r\nContent-Length: 0\r\n\r\n", 400 },
	};

	start();
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		int status = exchange(cases[i].text);

		CHECK(status == cases[i].status, "%s: %d", cases[i].text, status);
	}
	host_core_stop(&fixture);
}

static void test_slow_and_gone(void)
{
	int fd;

	start();
	CHECK(exchange("") == 408, "who sends nothing is sent away: %.40s", answer);
	CHECK(exchange("GET /conf") == 408, "and who sends half: %.40s", answer);
	CHECK(exchange("POST /ca HTTP/1.1\r\nContent-Length: 100\r\n\r\n0") == 408, "%.40s", answer);
	fd = host_connect(&fixture.host);
	CHECK(write(fd, "GET /con", 8) == 8, "write");
	http_poll(&fixture.core);
	CHECK(!http_is_idle(&fixture.core), "it is being read");
	close(fd);
	http_poll(&fixture.core);
	CHECK(http_is_idle(&fixture.core), "who goes away makes room");
	/* Who reads nothing loses the answer, and the place after a while. */
	fd = host_connect(&fixture.host);
	CHECK(write(fd, "GET /config HTTP/1.0\r\n\r\n", 24) == 24, "write");
	fixture.host.write_at_most = 1;
	http_poll(&fixture.core);
	CHECK(http_is_idle(&fixture.core), "a peer that takes nothing is dropped");
	fixture.host.write_at_most = 0;
	close(fd);
	CHECK(get("/?request=LedOn") == 200, "and the next is served");
	CHECK(fixture.host.heap_used > 0, "the server itself stays loaded");
	host_core_stop(&fixture);
}

/* Every allocation of a request fails in turn. */
static void test_no_memory(void)
{
	size_t before;

	start();
	before = fixture.host.heap_used;
	fixture.host.allocs_left = 0;
	CHECK(get("/config?mqtt_pt=5") == 503, "%.60s", answer);
	CHECK(exchange("POST /ca HTTP/1.1\r\nContent-Length: 1\r\n\r\n0") == 503, "%.60s", answer);
	CHECK(get("/config") == 200, "the page needs none: %.60s", answer);
	CHECK(get("/?request=GetSensors") == 200 && strstr(body(), "\"SYS_HeapFailed\":\"2\""), "%s",
	      body());
	fixture.host.allocs_left = 1; /* the body's, but not the decoder's */
	CHECK(exchange("POST /ca HTTP/1.1\r\nContent-Length: 2\r\n\r\n\x30\x01") == 400, "%.60s", answer);
	CHECK(strstr(body(), "no memory") != NULL, "%s", body());
	CHECK(fixture.host.heap_used == before, "nothing leaks: %zu, %zu", before, fixture.host.heap_used);
	host_core_stop(&fixture);
}

static void test_noise(void)
{
	static const char *const words[] = { "GET ",	 "POST ",	"/config?", "/?request=",
					     "/ca",	 " HTTP/1.1",	"\r\n",	    "\r\n\r\n",
					     "mqtt_rt=", "%",		"&",	    "Content-Length: ",
					     "4608",	 "LedOn",	":",	    "-----BEGIN CERTIFICATE-----" };
	static char text[20000];
	size_t before;

	start();
	before = fixture.host.heap_used;
	for (unsigned round = 0; round < 1500; round++) {
		size_t used = 0;
		size_t wanted = (size_t)rand() % (round % 10 == 0 ? sizeof text - 200 : 300);

		while (used < wanted)
			if (rand() % 3 == 0)
				text[used++] = (char)rand();
			else
				used += (size_t)snprintf(text + used, 100, "%s",
							 words[(size_t)rand() % 16]);
		exchange_bytes(text, used, 1 + (size_t)rand() % 1500);
	}
	CHECK(fixture.host.heap_used == before, "nothing leaks");
	host_core_stop(&fixture);
	start();
	CHECK(get("/?request=LedOn") == 200, "and it serves on");
	host_core_stop(&fixture);
}

int main(void)
{
	srand(2);
	test_requests();
	test_mode_switch();
	test_page();
	test_form();
	test_long_requests();
	test_malformed();
	test_slow_and_gone();
	test_no_memory();
	test_noise();
	return checks_end("web server");
}
