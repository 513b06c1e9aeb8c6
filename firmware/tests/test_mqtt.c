/* The MQTT client against a broker that the test plays: good, wrong and broken. */
#include <arpa/inet.h>
#include <errno.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_core.h"
#include "check.h"
#include "mqtt.h"
#include "mqtt_packet.h"

static struct host_core fixture;
static int listener = -1, peer = -1;
static uint8_t got[4096];
static size_t got_length;

static void open_listener(void)
{
	struct sockaddr_in at = { .sin_family = AF_INET };
	socklen_t length = sizeof at;

	at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
	listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(listener, (struct sockaddr *)&at, sizeof at) != 0 || listen(listener, 4) != 0 ||
	    getsockname(listener, (struct sockaddr *)&at, &length) != 0)
		abort();
	memcpy(fixture.core.settings.broker_address, (uint8_t[]){ 127, 0, 0, 1 }, 4);
	fixture.core.settings.mqtt_port = ntohs(at.sin_port);
}

static void start(void)
{
	host_core_start(&fixture);
	fixture.core.mode = MODE_MQTT_PLAIN;
	open_listener();
	if (!mqtt_start(&fixture.core))
		abort();
}

static void close_peer(void)
{
	if (peer >= 0)
		close(peer);
	peer = -1;
}

static void stop(void)
{
	close_peer();
	close(listener);
	host_core_stop(&fixture);
}

/* Lets both sides run until the client sent `wanted` bytes in all or `text` is
 * in the log. */
static bool run_for(uint32_t most_ms, size_t wanted, const char *text)
{
	uint32_t until = core_now(&fixture.core) + most_ms;

	while (!core_due(&fixture.core, until)) {
		mqtt_poll(&fixture.core);
		if (peer < 0) {
			peer = accept(listener, NULL, NULL);
		} else {
			ssize_t done = recv(peer, got + got_length, sizeof got - got_length,
					    MSG_DONTWAIT);

			if (done > 0)
				got_length += (size_t)done;
		}
		if (wanted > 0 && got_length >= wanted)
			return true;
		if (text != NULL && host_core_logged(&fixture, text))
			return true;
		fixture.host.port.idle(&fixture.host, 1);
	}
	return false;
}

static bool run(size_t wanted, const char *text)
{
	return run_for(2000, wanted, text);
}

static void send_bytes(const void *bytes, size_t length)
{
	CHECK(send(peer, bytes, length, MSG_NOSIGNAL) == (ssize_t)length, "send");
}

#define SEND(...) send_bytes((uint8_t[]){ __VA_ARGS__ }, sizeof((uint8_t[]){ __VA_ARGS__ }))

#define CONNECT_SIZE (2 + 10 + 2 + 20)
#define SUBSCRIBE_SIZE (2 + 2 + 2 + 20 + 1)

/* Up to a subscribed client. */
static void connect_client(void)
{
	got_length = 0;
	CHECK(run(CONNECT_SIZE, NULL), "CONNECT, got %zu", got_length);
	SEND(0x20, 2, 0, 0);
	CHECK(run(CONNECT_SIZE + SUBSCRIBE_SIZE, NULL), "SUBSCRIBE, got %zu", got_length);
	SEND(0x90, 3, 0, 1, 0);
	CHECK(run(0, "Heap connected:"), "subscribed: %s", fixture.host.log);
	got_length = 0;
}

static size_t publish(uint8_t *to, const char *topic, const char *payload)
{
	return mqtt_write_publish(to, 2000, topic, payload);
}

static void request(const char *payload, const char *reply)
{
	uint8_t packet[2000], expected[2000];
	size_t length = publish(packet, "mqtt_rx_18fe34a26629", payload);
	size_t wanted = publish(expected, "mqtt_tx_18fe34a26629", reply);

	got_length = 0;
	send_bytes(packet, length);
	CHECK(run(wanted, NULL), "%s: no reply", payload);
	CHECK(got_length == wanted && memcmp(got, expected, wanted) == 0, "%s: %.*s", payload,
	      (int)got_length, got);
}

static void test_session(void)
{
	static const uint8_t connect[] = "\x10\x20\0\4MQTT\4\2\0\17\0\24ESP8266-18fe34a26629";
	uint8_t packet[2000];

	start();
	got_length = 0;
	CHECK(run(CONNECT_SIZE, NULL), "CONNECT");
	CHECK(memcmp(got, connect, CONNECT_SIZE) == 0, "clean session, 15 s, the MAC as client id");
	SEND(0x20, 2, 0, 0);
	CHECK(run(CONNECT_SIZE + SUBSCRIBE_SIZE, NULL), "SUBSCRIBE");
	/* A message may overtake the SUBACK. */
	send_bytes(packet, publish(packet, "mqtt_rx_18fe34a26629", "/?request=LedOn"));
	SEND(0x90, 3, 0, 1, 0);
	CHECK(run(CONNECT_SIZE + SUBSCRIBE_SIZE + 20, "nothing"), "reply");
	CHECK(host_core_logged(&fixture, "Attempting MQTT connection...connected\r\n"), "%s", fixture.host.log);
	CHECK(fixture.host.led, "done");
	request("/?request=LedOff", "LED is now OFF");
	request("/?request=BlinkLed&nblink=2", "LED is now blinking 2 times.");
	request("/?request=NoSuch", "Invalid Request");
	request("", "Invalid Request");
	request("/", "Invalid Request");
	request("request=LedOn", "Invalid Request");
	request("/?request=LedOn%00", "Invalid Request");

	/* Other topics and retained messages are not for it. */
	got_length = 0;
	send_bytes(packet, publish(packet, "mqtt_rx_18fe34a2662", "/?request=LedOn"));
	publish(packet, "mqtt_rx_18fe34a26629", "/?request=HttpOn");
	packet[0] |= 1;
	send_bytes(packet, 2 + 2 + 20 + 16);
	CHECK(run(0, "MQTT retained message ignored"), "%s", fixture.host.log);
	CHECK(got_length == 0 && !fixture.core.reset_wanted, "no answer");

	/* Too long a message is passed over, and the next one is answered. */
	{
		static char big[1500];

		memset(big, 'x', sizeof big - 1);
		send_bytes(packet, publish(packet, "mqtt_rx_18fe34a26629", big));
		CHECK(run(0, "MQTT message of 1521 bytes skipped"), "%s", fixture.host.log);
	}
	request("/?request=LedOn", "LED is now ON");

	/* Nothing sent for 10 s: a ping; no answer to it: lost. */
	got_length = 0;
	fixture.host.pushed_ms += 10100;
	CHECK(run(2, NULL) && got[0] == 0xc0, "ping");
	SEND(0xd0, 0);
	fixture.host.pushed_ms += 9000;
	CHECK(!run_for(100, 0, "lost"), "a ping's answer keeps it: %s", fixture.host.log);
	got_length = 0;
	fixture.host.pushed_ms += 10100;
	CHECK(run(2, NULL) && got[0] == 0xc0, "ping");
	fixture.host.pushed_ms += 10100;
	CHECK(run(0, "MQTT connection lost: no answer to a ping"), "%s", fixture.host.log);
	close_peer();
	host_core_clear_log(&fixture);
	connect_client();
	stop();
}

static void test_http_on(void)
{
	start();
	fixture.core.settings.mqtt = 1;
	connect_client();
	request("/?request=HttpOn", "HTTP Server Restored and MQTT Disabled");
	CHECK(fixture.core.reset_wanted && !fixture.core.settings.mqtt, "stored and to be reset");
	for (int i = 0; i < 100 && !mqtt_is_idle(&fixture.core); i++) {
		mqtt_poll(&fixture.core);
		fixture.host.port.idle(&fixture.host, 1);
	}
	CHECK(mqtt_is_idle(&fixture.core), "it left");
	got_length = 0;
	CHECK(run(2, NULL) && got[0] == 0xe0, "with a DISCONNECT after the reply");
	stop();
}

static void test_refusals(void)
{
	static const char *const words[] = {
		"rc=1 try again in 5 seconds\r\nMQTT reason: the broker does not speak MQTT 3.1.1",
		"rc=2 try again",
		"rc=3 try again",
		"rc=4 try again in 5 seconds\r\nMQTT reason: wrong user or password",
		"rc=5 try again",
		"rc=77 try again in 5 seconds\r\nMQTT reason: refused by the broker",
	};

	start();
	for (uint8_t code = 1; code <= 6; code++) {
		host_core_clear_log(&fixture);
		got_length = 0;
		CHECK(run(CONNECT_SIZE, NULL), "CONNECT");
		SEND(0x20, 2, 0, code == 6 ? 77 : code);
		CHECK(run(0, words[code - 1]), "%s", fixture.host.log);
		close_peer();
		fixture.host.pushed_ms += 5100;
	}
	/* No CONNACK at all, something else, nothing that is MQTT, a closed door. */
	host_core_clear_log(&fixture);
	got_length = 0;
	CHECK(run(CONNECT_SIZE, NULL), "CONNECT");
	fixture.host.pushed_ms += 10100;
	CHECK(run(0, "failed, rc=-4 try again"), "%s", fixture.host.log);
	close_peer();
	fixture.host.pushed_ms += 5100;
	got_length = 0;
	CHECK(run(CONNECT_SIZE, NULL), "CONNECT");
	SEND(0x90, 3, 0, 1, 0);
	CHECK(run(0, "failed, rc=-3 try again"), "%s", fixture.host.log);
	close_peer();
	fixture.host.pushed_ms += 5100;
	host_core_clear_log(&fixture);
	close(listener);
	CHECK(run(0, "failed, rc=-2 try again in 5 seconds\r\nMQTT reason: the broker refused the connection"),
	      "%s", fixture.host.log);
	stop();
}

static void test_gives_up(void)
{
	struct settings seen;
	struct store store;

	start();
	fixture.core.settings.mqtt = 1;
	fixture.core.settings.mqtt_retry_attempts = 3;
	fixture.core.settings.mqtt_retry_seconds = 1;
	close(listener);
	listener = -1;
	for (int i = 0; i < 5; i++) {
		run_for(200, 0, "nothing that is logged");
		fixture.host.pushed_ms += 1100;
		if (fixture.core.reset_wanted)
			break;
	}
	CHECK(host_core_logged(&fixture, "MQTT given up after 3 attempts, HTTP Server Restored\r\n"), "%s",
	      fixture.host.log);
	CHECK(fixture.core.reset_wanted && mqtt_is_idle(&fixture.core), "and resets");
	CHECK(store_load(&store, &fixture.host.port, &seen) == STORE_LOADED && seen.mqtt == 0, "stored");
	stop();
}

static void test_password(void)
{
	static const uint8_t tail[] = "\0\2me\0\6secret";

	start();
	strcpy(fixture.core.settings.mqtt_user, "me");
	strcpy(fixture.core.settings.mqtt_password, "secret");
	fixture.core.settings.mqtt_use_password = 1;
	got_length = 0;
	CHECK(run(CONNECT_SIZE + 12, NULL), "CONNECT");
	CHECK(got[9] == 0xc2 && memcmp(got + CONNECT_SIZE, tail, 12) == 0, "user and password");
	stop();
}

static void test_will(void)
{
	static const uint8_t will[] = "\0\31mqtt_tx_18fe34a26629/will\0\24ESP8266-18fe34a26629";

	start();
	fixture.core.settings.mqtt_will = 1;
	got_length = 0;
	CHECK(run(CONNECT_SIZE + sizeof will - 1, NULL), "CONNECT");
	CHECK(got[9] == 0x06 && memcmp(got + CONNECT_SIZE, will, sizeof will - 1) == 0,
	      "a will of QoS 0, not retained");
	stop();
}

/* Whatever a broker sends, and in whatever pieces: no crash, nothing leaks. */
static void test_broken_broker(void)
{
	size_t before;
	uint8_t noise[3000];

	start();
	fixture.core.settings.mqtt_retry_attempts = 0;
	fixture.core.settings.mqtt_retry_seconds = 1;
	before = fixture.host.heap_used;
	for (unsigned round = 0; round < 1500; round++) {
		size_t length = 0;
		size_t wanted = (size_t)rand() % 400;

		got_length = 0;
		if (!run(CONNECT_SIZE, NULL)) {
			CHECK(false, "round %u: no CONNECT: %s", round, fixture.host.log);
			break;
		}
		if (round % 3 > 0)
			SEND(0x20, 2, 0, 0);
		if (round % 3 > 1)
			SEND(0x90, 3, 0, 1, 0);
		while (length < wanted) {
			static const uint8_t firsts[] = { 0x20, 0x30, 0x31, 0x32, 0x36, 0x90, 0xd0 };

			noise[length++] = rand() % 3 ? firsts[rand() % 7] : (uint8_t)rand();
			noise[length++] = (uint8_t)(rand() % (rand() % 2 ? 6 : 256));
			for (int i = rand() % 8; i > 0; i--)
				noise[length++] = (uint8_t)rand();
		}
		for (size_t at = 0; at < length;) {
			size_t part = 1 + (size_t)rand() % 50;

			if (part > length - at)
				part = length - at;
			if (send(peer, noise + at, part, MSG_NOSIGNAL) < 0)
				break;
			at += part;
			mqtt_poll(&fixture.core);
		}
		close_peer();
		/* Until it noticed, and is due to try again. */
		for (int i = 0; i < 200 && !host_core_logged(&fixture, " lost: ") &&
				!host_core_logged(&fixture, "failed, ");
		     i++)
			mqtt_poll(&fixture.core);
		host_core_clear_log(&fixture);
		fixture.host.pushed_ms += 1100;
	}
	fixture.core.reset_wanted = true;
	for (int i = 0; i < 10; i++)
		mqtt_poll(&fixture.core);
	CHECK(fixture.host.heap_used == before, "nothing leaks");
	stop();
}

/* Each of the allocations of a TLS connection fails in turn. */
static void starve(long most)
{
	size_t before = fixture.host.heap_used;
	long n;

	for (n = 0; n < 20; n++) {
		host_core_clear_log(&fixture);
		fixture.host.allocs_left = n;
		got_length = 0;
		if (run(1, "failed, rc=-2 try again in 1 seconds\r\nTLS error") && got_length > 0)
			break; /* a ClientHello: enough for all */
		CHECK(host_core_logged(&fixture, "TLS error 1000: no memory ("), "%ld allocations: %s", n,
		      fixture.host.log);
		CHECK(fixture.host.heap_used == before, "nothing leaks after %ld", n);
		close_peer();
		fixture.host.pushed_ms += 1100;
	}
	CHECK(n == most, "the handshake takes %ld allocations, not %ld", most, n);
	fixture.host.allocs_left = -1;
	close_peer();
	CHECK(run(0, "TLS error 1001: the stream was closed"), "%s", fixture.host.log);
	CHECK(fixture.host.heap_used == before, "nothing leaks");
	fixture.host.pushed_ms += 1100;
}

/* No connection without memory, randomness, or with a CA gone bad. */
static void test_tls_without_means(const char *folder)
{
	static uint8_t der[STORE_CA_MAX];
	char path[512];
	FILE *file;
	size_t length;
	/* A key, and a certificate of one byte. */
	static const uint8_t own[32 + 2 + 1] = { [32] = 1 };

	snprintf(path, sizeof path, "%s/certs/ec256.der", folder);
	file = fopen(path, "rb");
	length = file != NULL ? fread(der, 1, sizeof der, file) : 0;
	CHECK(length > 0, "no %s", path);
	if (file != NULL)
		fclose(file);

	start();
	fixture.core.mode = MODE_MQTT_TLS;
	fixture.core.settings.mqtt_retry_attempts = 0;
	fixture.core.settings.mqtt_retry_seconds = 1;
	strcpy(fixture.core.settings.broker, "broker.test");
	CHECK(store_save_part(&fixture.core.store, &fixture.core.settings, STORE_CA, der, length), "store");
	clock_set(&fixture.core.clock, 1800000000);
	starve(4);
	/* What is read from the flash is not looked at before a broker asks. */
	CHECK(store_save_part(&fixture.core.store, &fixture.core.settings, STORE_IDENTITY, own, sizeof own),
	      "store");
	starve(5);
	CHECK(store_save_part(&fixture.core.store, &fixture.core.settings, STORE_IDENTITY, NULL, 0), "store");
	fixture.core.settings.tls_pin[0] = 1;
	starve(3);
	fixture.core.settings.tls_pin[0] = 0;
	fixture.core.settings.tls_suites = 200;
	host_core_clear_log(&fixture);
	CHECK(run(0, "TLS error 1007: the stored choice of suites is none"), "%s", fixture.host.log);
	fixture.core.settings.tls_suites = 0;
	fixture.host.pushed_ms += 1100;

	host_core_clear_log(&fixture);
	fixture.host.random_fails = true;
	CHECK(run(0, "TLS error 1003: no randomness"), "%s", fixture.host.log);
	fixture.host.random_fails = false;

	CHECK(store_save_part(&fixture.core.store, &fixture.core.settings, STORE_CA, "0garbage", 8), "store");
	host_core_clear_log(&fixture);
	fixture.host.pushed_ms += 1100;
	CHECK(run(0, "TLS error 1005: the stored CA cannot be used"), "%s", fixture.host.log);

	fixture.core.clock.known = false;
	host_core_clear_log(&fixture);
	fixture.core.settings.ntp_server[0] = 0;
	fixture.host.pushed_ms += 1100;
	CHECK(run(0, "TLS error 53: the time is not known"), "%s", fixture.host.log);
	CHECK(host_core_logged(&fixture, "no time server is set"), "%s", fixture.host.log);
	stop();
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	srand(3);
	test_tls_without_means(argv[1]);
	test_session();
	test_http_on();
	test_refusals();
	test_gives_up();
	test_password();
	test_will();
	test_broken_broker();
	return checks_end("MQTT client");
}
