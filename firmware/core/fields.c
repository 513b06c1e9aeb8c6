#include "fields.h"

#include <stdio.h>
#include <string.h>

#include "suites.h"

#define AT(member) .size = sizeof(((struct settings *)0)->member), .offset = offsetof(struct settings, member)
#define OCTET(key, text, member, index)                                                         \
	{ .name = key, .label = text, .kind = FIELD_NUMBER, .size = 1,                          \
	  .offset = offsetof(struct settings, member) + (index), .least = 0, .most = 255 }
#define OCTETS(prefix, text, member)                                                            \
	OCTET(prefix "_0", text, member, 0), OCTET(prefix "_1", "", member, 1),                 \
		OCTET(prefix "_2", "", member, 2), OCTET(prefix "_3", "", member, 3)

const struct field fields[FIELDS] = {
	{ "ssid", "Wi-Fi name", FIELD_TEXT, AT(ssid) },
	{ "password", "Wi-Fi password", FIELD_SECRET, AT(password) },
	{ "svrport", "Web server port", FIELD_NUMBER, AT(http_port), 1, 65535 },
	OCTETS("ip", "IP address (0.0.0.0: DHCP)", ip),
	OCTETS("nm", "Netmask", netmask),
	OCTETS("gw", "Gateway", gateway),
	OCTETS("ap", "Own address as access point", ap_ip),
	{ "fota_pw", "FOTA password (kept, not used)", FIELD_SECRET, AT(fota_password) },
	{ "fota_pt", "FOTA port (kept, not used)", FIELD_NUMBER, AT(fota_port), 1, 65535 },
	{ "mqtt_bk", "Broker's name", FIELD_HOST, AT(broker) },
	{ "mqtt_ba", "Broker's address (empty: ask DNS)", FIELD_ADDRESS, AT(broker_address) },
	{ "mqtt_pt", "Broker's port", FIELD_NUMBER, AT(mqtt_port), 1, 65535 },
	{ "mqtt_ci", "Client id", FIELD_TEXT, AT(client_id) },
	{ "mqtt_un", "User", FIELD_TEXT, AT(mqtt_user) },
	{ "mqtt_pw", "Password", FIELD_SECRET, AT(mqtt_password) },
	{ "mqtt_rt", "Rx topic", FIELD_TOPIC, AT(rx_topic) },
	{ "mqtt_tt", "Tx topic", FIELD_TOPIC, AT(tx_topic) },
	{ "mqtt_rs", "Seconds between attempts", FIELD_NUMBER, AT(mqtt_retry_seconds), 1, 3600 },
	{ "mqtt_ra", "Attempts (0: no end)", FIELD_NUMBER, AT(mqtt_retry_attempts), 0, 65535 },
	{ "mqtt_pw_en", "Use user and password", FIELD_BOX, AT(mqtt_use_password) },
	{ "mqtt_ssl_en", "TLS", FIELD_BOX, AT(tls) },
	{ "mqtt_cl_en", "MQTT", FIELD_BOX, AT(mqtt) },
	{ "mqtt_wl", "Last will", FIELD_BOX, AT(mqtt_will) },
	{ "tls_mfl", "Largest TLS record (512 to 16384)", FIELD_SIZE, AT(tls_fragment) },
	{ "tls_cs", "TLS suites (all, aead, cbc, static-rsa, rsa)", FIELD_SUITES, AT(tls_suites) },
	{ "tls_al", "TLS application protocol (ALPN)", FIELD_TEXT, AT(tls_alpn) },
	{ "tls_pn", "SHA-256 of the broker's certificate", FIELD_DIGEST, AT(tls_pin) },
	{ "tls_rs", "Resume TLS sessions", FIELD_BOX, AT(tls_resume) },
	{ "ntp_sv", "Time server", FIELD_HOST, AT(ntp_server) },
	{ "ntp_pt", "Time server's port", FIELD_NUMBER, AT(ntp_port), 1, 65535 },
	{ "ser_baud", "Serial speed (baud)", FIELD_NUMBER, AT(baud), 300, 4000000 },
	{ "ser_serv", "Serial server (kept, not used)", FIELD_TEXT, AT(serial_server) },
};

const struct field *field_find(const char *name)
{
	for (size_t i = 0; i < FIELDS; i++)
		if (strcmp(fields[i].name, name) == 0)
			return &fields[i];
	return NULL;
}

/* Decimal digits only: no sign, no blank, no more than fits. */
static bool number(const char *text, uint32_t *value)
{
	*value = 0;
	if (*text == 0)
		return false;
	for (; *text != 0; text++) {
		if (*text < '0' || *text > '9' || *value > 99999999)
			return false;
		*value = *value * 10 + (uint32_t)(*text - '0');
	}
	return true;
}

static bool address(const char *text, uint8_t to[4])
{
	for (int i = 0; i < 4; i++) {
		unsigned octet = 0;
		int digits = 0;

		for (; *text >= '0' && *text <= '9' && digits < 4; text++, digits++)
			octet = octet * 10 + (unsigned)(*text - '0');
		if (digits == 0 || digits > 3 || octet > 255 || *text != (i < 3 ? '.' : 0))
			return false;
		text++;
		to[i] = (uint8_t)octet;
	}
	return true;
}

/* Well-formed UTF-8 without control characters: a broker may drop a client
 * that sends anything else (MQTT 3.1.1, 1.5.3). */
static bool clean_text(const char *text)
{
	const uint8_t *at = (const uint8_t *)text;

	while (*at != 0) {
		uint8_t lead = *at++;
		int more = 0;
		uint32_t code = lead;

		if (lead < 0x20 || lead == 0x7f)
			return false;
		if (lead >= 0x80) {
			more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
			if (lead < 0xc2 || lead > 0xf4)
				return false;
			code = lead & (0x3fu >> more);
		}
		for (int i = 0; i < more; i++, at++) {
			if ((*at & 0xc0) != 0x80)
				return false;
			code = code << 6 | (*at & 0x3fu);
		}
		if ((more == 2 && (code < 0x800 || (code >= 0xd800 && code < 0xe000))) ||
		    (more == 3 && (code < 0x10000 || code > 0x10ffff)) ||
		    (code >= 0x80 && code < 0xa0))
			return false;
	}
	return true;
}

static bool host(const char *text)
{
	for (; *text != 0; text++)
		if (!((*text >= 'a' && *text <= 'z') || (*text >= 'A' && *text <= 'Z') ||
		      (*text >= '0' && *text <= '9') || *text == '.' || *text == '-' ||
		      *text == '_'))
			return false;
	return true;
}

static void put_number(const struct field *field, struct settings *settings, uint32_t value)
{
	uint8_t *at = (uint8_t *)settings + field->offset;
	uint16_t half = (uint16_t)value;

	if (field->size == 1)
		*at = (uint8_t)value;
	else if (field->size == 2)
		memcpy(at, &half, 2);
	else
		memcpy(at, &value, 4);
}

static uint32_t get_number(const struct field *field, const struct settings *settings)
{
	const uint8_t *at = (const uint8_t *)settings + field->offset;
	uint16_t half;
	uint32_t value;

	if (field->size == 1)
		return *at;
	if (field->size == 2) {
		memcpy(&half, at, 2);
		return half;
	}
	memcpy(&value, at, 4);
	return value;
}

static const char *set_text(const struct field *field, struct settings *settings, const char *value)
{
	char *at = (char *)settings + field->offset;
	size_t length = strlen(value);

	if (length >= field->size)
		return "too long";
	if (!clean_text(value))
		return "control characters or no UTF-8";
	/* The whole field, so that no old secret stays after the NUL. */
	memset(at, 0, field->size);
	memcpy(at, value, length);
	return NULL;
}

static const char *set_suites(const struct field *field, struct settings *settings, const char *value)
{
	for (uint32_t i = 0; i < SUITES_CHOICES; i++)
		if (strcmp(value, suites_words[i]) == 0) {
			put_number(field, settings, i);
			return NULL;
		}
	return "not all, aead, cbc, static-rsa or rsa";
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9' ? c - '0' :
	       c >= 'a' && c <= 'f' ? c - 'a' + 10 :
	       c >= 'A' && c <= 'F' ? c - 'A' + 10 :
				      -1;
}

static const char *set_digest(const struct field *field, struct settings *settings, const char *value)
{
	uint8_t *at = (uint8_t *)settings + field->offset;
	size_t length = strlen(value);

	if (length != 0 && length != field->size * 2u)
		return "not 64 hex digits";
	for (size_t i = 0; i < length; i++)
		if (hex_digit(value[i]) < 0)
			return "not 64 hex digits";
	memset(at, 0, field->size);
	for (size_t i = 0; i < length; i++)
		at[i / 2] = (uint8_t)(at[i / 2] << 4 | hex_digit(value[i]));
	return NULL;
}

const char *field_set(const struct field *field, struct settings *settings, const char *value)
{
	uint32_t figure;
	uint8_t octets[4] = { 0 };

	switch ((enum field_kind)field->kind) {
	case FIELD_SECRET:
		return *value == 0 ? NULL : set_text(field, settings, value);
	case FIELD_HOST:
		return host(value) ? set_text(field, settings, value) : "not a host name";
	case FIELD_TOPIC:
		if (strpbrk(value, "+#") != NULL)
			return "a topic with a wildcard";
		return set_text(field, settings, value);
	case FIELD_TEXT:
		return set_text(field, settings, value);
	case FIELD_ADDRESS:
		if (*value != 0 && !address(value, octets))
			return "not an IPv4 address";
		memcpy((uint8_t *)settings + field->offset, octets, 4);
		return NULL;
	case FIELD_NUMBER:
		if (!number(value, &figure))
			return "not a number";
		if (figure < field->least || figure > field->most)
			return "out of range";
		put_number(field, settings, figure);
		return NULL;
	case FIELD_SIZE:
		if (!number(value, &figure) || (figure != 512 && figure != 1024 && figure != 2048 &&
						figure != 4096 && figure != 16384))
			return "not 512, 1024, 2048, 4096 or 16384";
		put_number(field, settings, figure);
		return NULL;
	case FIELD_BOX:
		if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0)
			return "not on or off";
		put_number(field, settings, value[1] == 'n');
		return NULL;
	case FIELD_SUITES:
		return set_suites(field, settings, value);
	case FIELD_DIGEST:
		return set_digest(field, settings, value);
	}
	return "unknown kind";
}

static bool is_mask(const uint8_t mask[4])
{
	uint32_t bits = (uint32_t)mask[0] << 24 | (uint32_t)mask[1] << 16 | (uint32_t)mask[2] << 8 |
			mask[3];

	return bits != 0 && (~bits & (~bits + 1)) == 0;
}

const char *fields_check(const struct settings *s, const uint8_t mac[6], const char **name)
{
	static const uint8_t none[4];
	char rx[SETTINGS_TEXT_MAX + 1];
	char tx[SETTINGS_TEXT_MAX + 1];

	*name = "ip_0";
	if (s->ip[0] >= 224 || s->ip[0] == 127 || (s->ip[0] == 0 && memcmp(s->ip, none, 4) != 0))
		return "not an address that a board can have";
	*name = "nm_0";
	if (!is_mask(s->netmask))
		return "not a netmask";
	*name = "ap_0";
	if (s->ap_ip[0] >= 224 || s->ap_ip[0] == 127 || s->ap_ip[0] == 0)
		return "not an address that a board can have";
	*name = "mqtt_tt";
	settings_rx_topic(s, mac, rx);
	settings_tx_topic(s, mac, tx);
	if (strcmp(rx, tx) == 0)
		return "the same as mqtt_rt: the board would answer itself";
	return NULL;
}

void field_text(const struct field *field, const struct settings *settings,
		char text[FIELD_TEXT_SIZE])
{
	static const uint8_t none[SETTINGS_PIN_SIZE];
	const uint8_t *at = (const uint8_t *)settings + field->offset;

	text[0] = 0;
	switch ((enum field_kind)field->kind) {
	case FIELD_SECRET:
		break;
	case FIELD_TEXT:
	case FIELD_HOST:
	case FIELD_TOPIC:
		snprintf(text, FIELD_TEXT_SIZE, "%s", (const char *)at);
		break;
	case FIELD_ADDRESS:
		if (at[0] != 0)
			snprintf(text, FIELD_TEXT_SIZE, "%u.%u.%u.%u", at[0], at[1], at[2], at[3]);
		break;
	case FIELD_NUMBER:
	case FIELD_SIZE:
		snprintf(text, FIELD_TEXT_SIZE, "%lu",
			 (unsigned long)get_number(field, settings));
		break;
	case FIELD_BOX:
		if (*at != 0)
			strcpy(text, "on");
		break;
	case FIELD_SUITES:
		snprintf(text, FIELD_TEXT_SIZE, "%s", *at < SUITES_CHOICES ? suites_words[*at] : "");
		break;
	case FIELD_DIGEST:
		if (memcmp(at, none, field->size) == 0)
			break;
		for (size_t i = 0; i < field->size; i++)
			snprintf(text + 2 * i, 3, "%02x", at[i]);
		break;
	}
}
