#include "mqtt_packet.h"

#include <string.h>

struct writer {
	uint8_t *at;
	size_t left;
	bool full;
};

static void put(struct writer *writer, const void *bytes, size_t length)
{
	if (length > writer->left) {
		writer->full = true;
		return;
	}
	memcpy(writer->at, bytes, length);
	writer->at += length;
	writer->left -= length;
}

static void put_byte(struct writer *writer, uint8_t byte)
{
	put(writer, &byte, 1);
}

static void put_half(struct writer *writer, size_t value)
{
	put_byte(writer, (uint8_t)(value >> 8));
	put_byte(writer, (uint8_t)value);
}

static void put_text(struct writer *writer, const char *text)
{
	size_t length = strlen(text);

	put_half(writer, length);
	put(writer, text, length);
}

/* Fixed header (MQTT 3.1.1, 2.2). */
static struct writer begin(uint8_t *to, size_t size, uint8_t first, size_t body)
{
	struct writer writer = { to, size, body > 268435455 };

	put_byte(&writer, first);
	do {
		uint8_t seven = body & 0x7f;

		body >>= 7;
		put_byte(&writer, body > 0 ? seven | 0x80 : seven);
	} while (body > 0);
	return writer;
}

static size_t end(const struct writer *writer, const uint8_t *to)
{
	return writer->full ? 0 : (size_t)(writer->at - to);
}

size_t mqtt_write_connect(uint8_t *to, size_t size, const struct mqtt_connect *c)
{
	size_t body = 10 + 2 + strlen(c->client_id);
	uint8_t flags = 0x02; /* clean session */
	struct writer writer;

	if (c->will_topic != NULL) {
		body += 2 + strlen(c->will_topic) + 2 + strlen(c->will);
		flags |= 0x04;
	}
	if (c->user != NULL) {
		body += 2 + strlen(c->user);
		flags |= 0x80;
	}
	if (c->user != NULL && c->password != NULL) {
		body += 2 + strlen(c->password);
		flags |= 0x40;
	}
	writer = begin(to, size, 0x10, body);
	put_text(&writer, "MQTT");
	put_byte(&writer, 4);
	put_byte(&writer, flags);
	put_half(&writer, c->keepalive_seconds);
	put_text(&writer, c->client_id);
	if (flags & 0x04) {
		put_text(&writer, c->will_topic);
		put_text(&writer, c->will);
	}
	if (flags & 0x80)
		put_text(&writer, c->user);
	if (flags & 0x40)
		put_text(&writer, c->password);
	return end(&writer, to);
}

size_t mqtt_write_subscribe(uint8_t *to, size_t size, uint16_t id, const char *topic)
{
	struct writer writer = begin(to, size, 0x82, 2 + 2 + strlen(topic) + 1);

	put_half(&writer, id);
	put_text(&writer, topic);
	put_byte(&writer, 0);
	return end(&writer, to);
}

size_t mqtt_write_publish(uint8_t *to, size_t size, const char *topic, const char *payload)
{
	size_t length = strlen(payload);
	struct writer writer = begin(to, size, 0x30, 2 + strlen(topic) + length);

	put_text(&writer, topic);
	put(&writer, payload, length);
	return end(&writer, to);
}

size_t mqtt_write_ping(uint8_t *to, size_t size)
{
	struct writer writer = begin(to, size, 0xc0, 0);

	return end(&writer, to);
}

size_t mqtt_write_disconnect(uint8_t *to, size_t size)
{
	struct writer writer = begin(to, size, 0xe0, 0);

	return end(&writer, to);
}

enum { STEP_FIRST, STEP_LENGTH, STEP_BODY };

void mqtt_reader_start(struct mqtt_reader *reader)
{
	reader->step = STEP_FIRST;
	reader->first = 0;
	reader->shift = 0;
	reader->total = 0;
	reader->seen = 0;
}

static enum mqtt_event finish(struct mqtt_reader *reader)
{
	reader->step = STEP_FIRST;
	return reader->total > MQTT_BODY_MAX ? MQTT_SKIPPED : MQTT_PACKET;
}

static enum mqtt_event feed_length(struct mqtt_reader *reader, uint8_t byte)
{
	if (reader->shift > 21)
		return MQTT_GARBAGE; /* a length has four bytes at most */
	reader->total |= (uint32_t)(byte & 0x7f) << reader->shift;
	reader->shift += 7;
	if (byte & 0x80)
		return reader->shift > 21 ? MQTT_GARBAGE : MQTT_NEED_MORE;
	reader->step = STEP_BODY;
	return reader->total == 0 ? finish(reader) : MQTT_NEED_MORE;
}

static size_t take_body(struct mqtt_reader *reader, const uint8_t *bytes, size_t length)
{
	uint32_t left = reader->total - reader->seen;
	size_t part = length < left ? length : left;

	if (reader->total <= MQTT_BODY_MAX)
		memcpy(reader->body + reader->seen, bytes, part);
	reader->seen += (uint32_t)part;
	return part;
}

enum mqtt_event mqtt_reader_feed(struct mqtt_reader *reader, const uint8_t *bytes, size_t length,
				 size_t *taken)
{
	enum mqtt_event event = MQTT_NEED_MORE;
	size_t at = 0;

	while (at < length && event == MQTT_NEED_MORE) {
		switch (reader->step) {
		case STEP_FIRST:
			mqtt_reader_start(reader);
			reader->first = bytes[at++];
			reader->step = STEP_LENGTH;
			break;
		case STEP_LENGTH:
			event = feed_length(reader, bytes[at++]);
			break;
		default:
			at += take_body(reader, bytes + at, length - at);
			if (reader->seen == reader->total)
				event = finish(reader);
		}
	}
	*taken = at;
	return event;
}

bool mqtt_read_publish(const struct mqtt_reader *reader, struct mqtt_publish *publish)
{
	size_t topic_length;
	size_t at = 2;

	if (reader->total < 2)
		return false;
	topic_length = (size_t)reader->body[0] << 8 | reader->body[1];
	publish->qos = reader->first >> 1 & 3;
	publish->retained = reader->first & 1;
	publish->topic = (const char *)reader->body + at;
	publish->topic_length = topic_length;
	at += topic_length + (publish->qos > 0 ? 2 : 0);
	if (publish->qos == 3 || topic_length == 0 || at > reader->total)
		return false;
	publish->payload = (const char *)reader->body + at;
	publish->payload_length = reader->total - at;
	return true;
}
