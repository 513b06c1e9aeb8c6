#include "settings.h"

#include <stdio.h>
#include <string.h>

void settings_defaults(struct settings *settings)
{
	memset(settings, 0, sizeof *settings);
	settings->baud = 115200;
	settings->http_port = 9705;
	settings->mqtt_port = 8883;
	settings->fota_port = 18266;
	settings->ntp_port = 123;
	settings->mqtt_retry_seconds = 5;
	settings->mqtt_retry_attempts = 10;
	settings->tls_fragment = 0; /* the port's: store_load() */
	memcpy(settings->netmask, (const uint8_t[]){ 255, 255, 255, 0 }, 4);
	memcpy(settings->ap_ip, (const uint8_t[]){ 192, 168, 4, 1 }, 4);
	strcpy(settings->ntp_server, "pool.ntp.org");
}

void settings_terminate(struct settings *s)
{
	s->ssid[sizeof s->ssid - 1] = 0;
	s->password[sizeof s->password - 1] = 0;
	s->broker[sizeof s->broker - 1] = 0;
	s->mqtt_user[sizeof s->mqtt_user - 1] = 0;
	s->mqtt_password[sizeof s->mqtt_password - 1] = 0;
	s->client_id[sizeof s->client_id - 1] = 0;
	s->rx_topic[sizeof s->rx_topic - 1] = 0;
	s->tx_topic[sizeof s->tx_topic - 1] = 0;
	s->ntp_server[sizeof s->ntp_server - 1] = 0;
	s->fota_password[sizeof s->fota_password - 1] = 0;
	s->serial_server[sizeof s->serial_server - 1] = 0;
	s->tls_alpn[sizeof s->tls_alpn - 1] = 0;
}

bool settings_have_pin(const struct settings *s)
{
	static const uint8_t none[SETTINGS_PIN_SIZE];

	return memcmp(s->tls_pin, none, sizeof none) != 0;
}

static void own_or_mac(const char *own, const char *prefix, char separator, const uint8_t mac[6],
		       char to[SETTINGS_TEXT_MAX + 1])
{
	if (own[0] != 0)
		snprintf(to, SETTINGS_TEXT_MAX + 1, "%s", own);
	else
		snprintf(to, SETTINGS_TEXT_MAX + 1, "%s%c%02x%02x%02x%02x%02x%02x", prefix, separator,
			 mac[0], mac[1], mac[2], mac[3], mac[4], mac[5]);
}

void settings_rx_topic(const struct settings *s, const uint8_t mac[6], char to[SETTINGS_TEXT_MAX + 1])
{
	own_or_mac(s->rx_topic, "mqtt_rx", '_', mac, to);
}

void settings_tx_topic(const struct settings *s, const uint8_t mac[6], char to[SETTINGS_TEXT_MAX + 1])
{
	own_or_mac(s->tx_topic, "mqtt_tx", '_', mac, to);
}

void settings_client_id(const struct settings *s, const char *device, const uint8_t mac[6],
			char to[SETTINGS_TEXT_MAX + 1])
{
	own_or_mac(s->client_id, device, '-', mac, to);
}
