/* libFuzzer target: any bytes as what a broker sends, and as requests. */
#include "host_core.h"
#include "mqtt_packet.h"
#include "requests.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct host_core fixture;
	struct mqtt_reader reader;
	struct mqtt_publish publish;
	char reply[REPLY_MAX];
	size_t taken;

	host_core_start(&fixture);
	mqtt_reader_start(&reader);
	for (size_t at = 0; at < length; at += taken) {
		enum mqtt_event event = mqtt_reader_feed(&reader, bytes + at, length - at, &taken);

		if (event == MQTT_GARBAGE)
			break;
		if (event == MQTT_PACKET && mqtt_read_publish(&reader, &publish))
			request_answer_text(&fixture.core, publish.payload, publish.payload_length,
					    reply);
	}
	request_answer_text(&fixture.core, (const char *)bytes, length, reply);
	host_core_stop(&fixture);
	return 0;
}
