/* MQTT packets, written and read. */
#include "check.h"
#include "mqtt_packet.h"

/* The reader gives the same packets however the bytes are cut. */
static void test_reader_pieces(void)
{
	static uint8_t stream[60000];
	static char payload[6000];
	size_t length = 0;

	for (size_t size = 0; size < 4000; size = size * 2 + 1) {
		memset(payload, 'p', size);
		payload[size] = 0;
		length += mqtt_write_publish(stream + length, sizeof stream - length, "t", payload);
		length += mqtt_write_ping(stream + length, sizeof stream - length);
	}
	for (size_t piece = 1; piece < 700; piece++) {
		struct mqtt_reader reader;
		unsigned packets = 0, skipped = 0;

		mqtt_reader_start(&reader);
		for (size_t at = 0; at < length;) {
			size_t part = piece < length - at ? piece : length - at;
			uint8_t copy[700]; /* of its own, so that reading beyond is seen */
			size_t taken = 0;
			enum mqtt_event event;

			memcpy(copy, stream + at, part);
			event = mqtt_reader_feed(&reader, copy, part, &taken);
			packets += event == MQTT_PACKET;
			skipped += event == MQTT_SKIPPED;
			if (event == MQTT_GARBAGE || taken == 0)
				break;
			at += taken;
		}
		/* 0, 1, 3, ... 4095: 9 of 12 lengths fit. */
		if (packets != 12 + 9 || skipped != 3)
			CHECK(false, "pieces of %zu: %u packets, %u skipped", piece, packets, skipped);
	}
	CHECK(true, "all pieces");
	CHECK(mqtt_write_publish(stream, 20, "topic", "a payload that is too long") == 0,
	      "what does not fit is not written");
}

/* Lengths inside a PUBLISH that point out of it. */
static void test_malformed_publish(void)
{
	static const struct {
		uint8_t bytes[12];
		size_t length;
		bool good;
	} cases[] = {
		{ { 0x30, 3, 0, 1, 't' }, 5, true },
		{ { 0x30, 4, 0, 1, 't', 'p' }, 6, true },
		{ { 0x32, 5, 0, 1, 't', 0, 1 }, 7, true },
		{ { 0x30, 0 }, 2, false },
		{ { 0x30, 1, 0 }, 3, false },
		{ { 0x30, 2, 0, 0 }, 4, false },       /* no topic */
		{ { 0x30, 3, 0, 2, 't' }, 5, false },  /* topic longer than the body */
		{ { 0x30, 3, 0xff, 0xff, 't' }, 5, false },
		{ { 0x32, 4, 0, 1, 't', 0 }, 6, false }, /* half a packet id */
		{ { 0x36, 5, 0, 1, 't', 0, 1 }, 7, false }, /* QoS 3 */
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct mqtt_reader reader;
		struct mqtt_publish publish;
		size_t taken;

		mqtt_reader_start(&reader);
		CHECK(mqtt_reader_feed(&reader, cases[i].bytes, cases[i].length, &taken) ==
			      MQTT_PACKET,
		      "case %zu is a packet", i);
		CHECK(mqtt_read_publish(&reader, &publish) == cases[i].good, "case %zu", i);
	}
}

int main(void)
{
	test_reader_pieces();
	test_malformed_publish();
	return checks_end("MQTT packets");
}
