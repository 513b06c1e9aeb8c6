/* MQTT 3.1.1 packets: the few that a QoS 0 client needs, written to and read
 * from bounded buffers. */
#ifndef HILRIG_MQTT_PACKET_H
#define HILRIG_MQTT_PACKET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Packet types (MQTT 3.1.1, 2.2.1). */
enum mqtt_type {
	MQTT_CONNACK = 2,
	MQTT_PUBLISH = 3,
	MQTT_SUBACK = 9,
	MQTT_PINGRESP = 13,
};

/* The largest body accepted, bytes: a topic of 64 and a request. Larger ones are
 * skipped. */
#define MQTT_BODY_MAX 384

/* Writing: each gives the packet's length, or 0 if it does not fit. */
struct mqtt_connect {
	const char *client_id;
	const char *user;     /* NULL: none */
	const char *password; /* NULL: none */
	const char *will_topic; /* NULL: no will; else at QoS 0, not retained */
	const char *will;
	uint16_t keepalive_seconds;
};
size_t mqtt_write_connect(uint8_t *to, size_t size, const struct mqtt_connect *connect);
size_t mqtt_write_subscribe(uint8_t *to, size_t size, uint16_t id, const char *topic);
size_t mqtt_write_publish(uint8_t *to, size_t size, const char *topic, const char *payload);
size_t mqtt_write_ping(uint8_t *to, size_t size);
size_t mqtt_write_disconnect(uint8_t *to, size_t size);

/* Reading, in pieces of any length. */
enum mqtt_event {
	MQTT_NEED_MORE,
	MQTT_PACKET,  /* `first` and `body` are a whole packet */
	MQTT_SKIPPED, /* a packet of `total` bytes was skipped */
	MQTT_GARBAGE, /* no MQTT: close the connection */
};

struct mqtt_reader {
	uint8_t step;
	uint8_t first; /* type and flags */
	uint8_t shift;
	uint32_t total; /* body, bytes */
	uint32_t seen;
	uint8_t body[MQTT_BODY_MAX];
};

void mqtt_reader_start(struct mqtt_reader *reader);
/* Reads up to `length` bytes; `taken` is how many it read. */
enum mqtt_event mqtt_reader_feed(struct mqtt_reader *reader, const uint8_t *bytes, size_t length,
				 size_t *taken);

/* Parts of a PUBLISH. False: malformed. */
struct mqtt_publish {
	const char *topic; /* no NUL */
	size_t topic_length;
	const char *payload;
	size_t payload_length;
	uint8_t qos;
	bool retained;
};
bool mqtt_read_publish(const struct mqtt_reader *reader, struct mqtt_publish *publish);

#endif
