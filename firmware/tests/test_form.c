/* Queries, fields and forms: what may be stored, and that all the rest is refused. */
#include <stdlib.h>

#include "check.h"
#include "fields.h"
#include "form.h"
#include "query.h"
#include "requests.h"

/* As they come from store_load(). */
static void defaults(struct settings *settings)
{
	settings_defaults(settings);
	settings->tls_fragment = 16384;
}

static const uint8_t mac[6] = { 0x18, 0xfe, 0x34, 0xa2, 0x66, 0x29 };
static struct settings start;
static struct form form;

/* NULL when the form may be stored. */
static const char *submit(const char *text)
{
	struct query query;

	form_start(&form, &start);
	query_start(&query, form_take, &form);
	for (; *text != 0; text++)
		query_feed(&query, *text);
	query_end(&query);
	return form_end(&form, mac);
}

static void refused(const char *text, const char *field)
{
	const char *why = submit(text);

	CHECK(why != NULL, "taken: %.60s", text);
	CHECK(strcmp(form.refused, field) == 0, "%.60s: blamed %s", text, form.refused);
}

#define TAKEN(text) CHECK(submit(text) == NULL, "%.60s: %s: %s", text, form.refused, form.why)

static char *repeat(char *to, const char *prefix, char c, size_t count)
{
	size_t length = strlen(prefix);

	memcpy(to, prefix, length);
	memset(to + length, c, count);
	to[length + count] = 0;
	return to;
}

static void test_every_field(void)
{
	for (size_t i = 0; i < FIELDS; i++) {
		CHECK(fields[i].name != NULL && strlen(fields[i].name) <= QUERY_KEY_MAX,
		      "field %zu has a name that a query can carry", i);
		CHECK(field_find(fields[i].name) == &fields[i], "%s is found and not twice",
		      fields[i].name);
		CHECK(fields[i].offset + fields[i].size <= sizeof(struct settings), "%s",
		      fields[i].name);
	}
}

/* The original's overflows: 20-byte topics, 16-character passwords. */
static void test_lengths(void)
{
	static const struct {
		const char *name;
		size_t most;
	} texts[] = {
		{ "ssid", 32 },	   { "password", 64 }, { "fota_pw", 64 }, { "mqtt_bk", 64 },
		{ "mqtt_ci", 64 }, { "mqtt_un", 64 },  { "mqtt_pw", 64 }, { "mqtt_rt", 64 },
		{ "mqtt_tt", 64 }, { "ntp_sv", 64 },   { "ser_serv", 15 },
	};
	char key[24], text[9000];

	for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
		snprintf(key, sizeof key, "%s=", texts[i].name);
		for (size_t length = 1; length <= texts[i].most; length++) {
			const struct field *field = field_find(texts[i].name);
			struct settings expected = start;

			CHECK(submit(repeat(text, key, 'a', length)) == NULL, "%s of %zu: %s",
			      texts[i].name, length, form.why);
			memset((char *)&expected + field->offset, 0, field->size);
			memset((char *)&expected + field->offset, 'a', length);
			CHECK(memcmp(&form.settings, &expected, sizeof expected) == 0,
			      "%s of %zu changed this field alone", texts[i].name, length);
		}
		for (size_t length = texts[i].most + 1; length < 8000; length = length * 3 / 2)
			refused(repeat(text, key, 'a', length), texts[i].name);
	}
}

static void test_numbers(void)
{
	TAKEN("mqtt_pt=1&svrport=65535&ser_baud=9600&mqtt_rs=3600&mqtt_ra=0");
	CHECK(form.settings.mqtt_port == 1 && form.settings.http_port == 65535 &&
		      form.settings.baud == 9600 && form.settings.mqtt_retry_seconds == 3600 &&
		      form.settings.mqtt_retry_attempts == 0,
	      "numbers are stored");
	refused("mqtt_pt=0", "mqtt_pt");
	refused("mqtt_pt=65536", "mqtt_pt");
	refused("mqtt_pt=4294967297", "mqtt_pt");
	refused("mqtt_pt=99999999999999999999", "mqtt_pt");
	refused("mqtt_pt=", "mqtt_pt");
	refused("mqtt_pt=-1", "mqtt_pt");
	refused("mqtt_pt=+1", "mqtt_pt");
	refused("mqtt_pt=0x10", "mqtt_pt");
	refused("mqtt_pt=80%20", "mqtt_pt");
	refused("mqtt_pt=1e3", "mqtt_pt");
	refused("mqtt_rs=0", "mqtt_rs");
	refused("ser_baud=0", "ser_baud");
	TAKEN("tls_mfl=512");
	TAKEN("tls_mfl=16384");
	refused("tls_mfl=8192", "tls_mfl");
	refused("tls_mfl=0", "tls_mfl");
}

/* What TLS offers and whom it trusts. */
static void test_tls(void)
{
	static const char *const words[] = { "all", "aead", "cbc", "static-rsa", "rsa" };
	char text[128], shown[FIELD_TEXT_SIZE];

	for (unsigned i = 0; i < sizeof words / sizeof words[0]; i++) {
		snprintf(text, sizeof text, "tls_cs=%s", words[i]);
		TAKEN(text);
		CHECK(form.settings.tls_suites == i, "%s is %u", words[i], form.settings.tls_suites);
		field_text(field_find("tls_cs"), &form.settings, shown);
		CHECK(strcmp(shown, words[i]) == 0, "%s is shown as %s", words[i], shown);
	}
	refused("tls_cs=", "tls_cs");
	refused("tls_cs=ALL", "tls_cs");
	refused("tls_cs=allx", "tls_cs");
	TAKEN("tls_al=x-amzn-mqtt-ca1"); /* 14 bytes: the longest in use */
	refused("tls_al=sixteen-bytes-xx", "tls_al");
	TAKEN("tls_rs=on&mqtt_wl=on");
	CHECK(form.settings.tls_resume == 1 && form.settings.mqtt_will == 1, "boxes");

	memset(text, 'A', sizeof text);
	memcpy(text, "tls_pn=0123456789abcdef", 23);
	text[7 + 64] = 0;
	TAKEN(text);
	CHECK(settings_have_pin(&form.settings) && form.settings.tls_pin[1] == 0x23 &&
		      form.settings.tls_pin[31] == 0xaa,
	      "digits of both cases");
	field_text(field_find("tls_pn"), &form.settings, shown);
	CHECK(strncmp(shown, "0123456789abcdefaaaa", 20) == 0 && strlen(shown) == 64, "%s", shown);
	text[7 + 63] = 'g';
	refused(text, "tls_pn");
	text[7 + 63] = 0;
	refused(text, "tls_pn");
	TAKEN("tls_pn=");
	CHECK(!settings_have_pin(&form.settings), "and none again");
}

static void test_addresses(void)
{
	static const char *const wrong[] = { "256.0.0.1", "1.2.3", "1.2.3.4.5", "1.2.3.4 ", "a.b.c.d",
					     "1..2.3",	  ".1.2.3", "0001.2.3.4", "1.2.3.4567" };
	char text[64];

	TAKEN("mqtt_ba=10.0.2.2");
	CHECK(memcmp(form.settings.broker_address, (uint8_t[]){ 10, 0, 2, 2 }, 4) == 0, "address");
	TAKEN("mqtt_ba=");
	for (size_t i = 0; i < sizeof wrong / sizeof wrong[0]; i++) {
		snprintf(text, sizeof text, "mqtt_ba=%s", wrong[i]);
		refused(text, "mqtt_ba");
	}
	TAKEN("ip_0=192&ip_1=168&ip_2=0&ip_3=133&nm_0=255&nm_1=255&nm_2=255&nm_3=0");
	refused("ip_0=256", "ip_0");
	refused("ip_0=255&ip_1=255&ip_2=255&ip_3=255", "ip_0"); /* a reader's report */
	refused("ip_0=127&ip_3=1", "ip_0");
	refused("ip_3=7", "ip_0");
	refused("nm_1=0", "nm_0");
	refused("nm_0=0&nm_1=0&nm_2=0&nm_3=0", "nm_0");
	refused("ap_0=0", "ap_0");
}

static void test_text(void)
{
	refused("mqtt_rt=a/%2B/b", "mqtt_rt");
	refused("mqtt_tt=%23", "mqtt_tt");
	refused("mqtt_rt=a%00b", "mqtt_rt");
	refused("mqtt_rt=a%0ab", "mqtt_rt");
	refused("ssid=%ff", "ssid");
	refused("ssid=%c0%80", "ssid");	      /* overlong */
	refused("ssid=%ed%a0%80", "ssid");    /* surrogate */
	refused("ssid=%f4%90%80%80", "ssid"); /* beyond Unicode */
	refused("ssid=%e2%82", "ssid");
	refused("ssid=%c2%9b", "ssid"); /* a terminal's CSI as one character */
	refused("ssid=%zz", "ssid");
	refused("ssid=%4", "ssid");
	TAKEN("ssid=%e2%82%ac+%f0%9f%98%80");
	CHECK(strcmp(form.settings.ssid, "\xe2\x82\xac \xf0\x9f\x98\x80") == 0, "UTF-8 stays");
	refused("mqtt_bk=a%20b", "mqtt_bk");
	refused("mqtt_bk=%3Cscript%3E", "mqtt_bk");
	refused("mqtt_rt=t&mqtt_tt=t", "mqtt_tt");
	refused("mqtt_tt=mqtt_rx_18fe34a26629", "mqtt_tt");
	TAKEN("mqtt_rt=t&mqtt_tt=u");
}

static void test_boxes_and_secrets(void)
{
	start.tls = 1;
	strcpy(start.mqtt_password, "secret");
	TAKEN("mqtt_pt=1883");
	CHECK(form.settings.tls == 1, "a box that is not in a partial query stays");
	TAKEN("mqtt_pt=1883&save=SAVE");
	CHECK(form.settings.tls == 0, "a box that is not in the whole form is off");
	TAKEN("mqtt_cl_en=on&mqtt_ssl_en=on&save=SAVE");
	CHECK(form.settings.mqtt == 1 && form.settings.tls == 1 &&
		      form.settings.mqtt_use_password == 0,
	      "ticked ones are on");
	TAKEN("mqtt_ssl_en=off");
	CHECK(form.settings.tls == 0, "off is accepted");
	refused("mqtt_ssl_en=yes", "mqtt_ssl_en");
	TAKEN("mqtt_pw=&save=SAVE");
	CHECK(strcmp(form.settings.mqtt_password, "secret") == 0, "an empty password leaves the old one");
	TAKEN("mqtt_pw=x");
	CHECK(strcmp(form.settings.mqtt_password, "x") == 0 && form.settings.mqtt_password[2] == 0,
	      "nothing of a longer one is left");
	defaults(&start);
}

static void test_unknown_and_many(void)
{
	static char text[40000];
	size_t used = 0;

	refused("nosuch=1", "nosuch");
	refused("%3Cb%3E=1", "?b?");
	refused("averyveryverylongname_that_is_no_field=1", "averyveryverylon");
	refused("mqtt_bk_and_more=1", "mqtt_bk_and_more");
	TAKEN("");
	TAKEN("&&&");
	/* 33 fields overflowed the original: all of ours, again and again. */
	for (int round = 0; round < 40; round++)
		for (size_t i = 0; i < FIELDS; i++) {
			char value[FIELD_TEXT_SIZE];

			field_text(&fields[i], &start, value);
			if (fields[i].kind == FIELD_BOX)
				strcpy(value, "off");
			used += (size_t)snprintf(text + used, sizeof text - used, "&%s=%s",
						 fields[i].name, value);
		}
	TAKEN(text);
	CHECK(memcmp(&form.settings, &start, sizeof start) == 0,
	      "the page's own values change nothing (%zu bytes)", used);
}

/* Any bytes: nothing breaks, and what is taken is well-formed. */
static void test_noise(void)
{
	static const char bits[] = "=&%+mqtt_rtsvport0123456789abcdef\xff\xc3";
	static char text[600];
	unsigned taken = 0;

	for (unsigned round = 0; round < 20000; round++) {
		size_t length = (size_t)rand() % (sizeof text - 1);

		for (size_t i = 0; i < length; i++)
			text[i] = round % 2 ? bits[(size_t)rand() % (sizeof bits - 1)] :
					      (char)(1 + rand() % 255);
		text[length] = 0;
		taken += submit(text) == NULL;
	}
	CHECK(taken < 20000, "noise is refused");
}

static void test_request_names(void)
{
	static const struct {
		const char *text;
		bool bad;
		const char *name;
	} cases[] = {
		{ "request=LedOn", false, "LedOn" },
		{ "request=BlinkLed&nblink=3", false, "BlinkLed" },
		{ "request=LedOn&request=LedOff", true, "LedOn" },
		{ "request=LedOn%00", true, "" },
		{ "request=%", true, "" },
		{ "request=ANameThatIsLongerThanTheBuffer", true, "" },
		{ "request=BlinkLed&nblink=", true, "BlinkLed" },
		{ "request=BlinkLed&nblink=1&nblink=2", true, "BlinkLed" },
		{ "request=BlinkLed&nblink=1x", true, "BlinkLed" },
		{ "request=BlinkLed&nblink=9999", true, "BlinkLed" },
		{ "", false, "" },
	};

	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct request request = { 0 };
		struct query query;

		query_start(&query, request_take, &request);
		for (const char *at = cases[i].text; *at != 0; at++)
			query_feed(&query, *at);
		query_end(&query);
		CHECK(request.bad == cases[i].bad, "%s", cases[i].text);
		CHECK(request.bad || strcmp(request.name, cases[i].name) == 0, "%s", cases[i].text);
	}
}

int main(void)
{
	srand(1);
	defaults(&start);
	test_every_field();
	test_lengths();
	test_numbers();
	test_tls();
	test_addresses();
	test_text();
	test_boxes_and_secrets();
	test_unknown_and_many();
	test_noise();
	test_request_names();
	return checks_end("form and fields");
}
