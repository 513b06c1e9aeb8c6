/* The settings of the configuration page, and the defaults of a blank board. */
#ifndef HILRIG_SETTINGS_H
#define HILRIG_SETTINGS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A text has at most this many bytes (UTF-8), and a NUL. */
#define SETTINGS_TEXT_MAX 64
#define SETTINGS_SSID_MAX 32 /* IEEE 802.11 */
#define SETTINGS_ALPN_MAX 15
#define SETTINGS_PIN_SIZE 32 /* SHA-256 */

/*
 * The flash has the bytes of this struct, so: no padding, no pointer, and a
 * change of the layout is a new STORE_LAYOUT. New members go to the end, and
 * zeros mean what a board did before they existed: a slot of an older layout
 * is a prefix of this one (store.c).
 */
struct settings {
	uint32_t baud;
	uint16_t http_port;
	uint16_t mqtt_port;
	uint16_t fota_port;
	uint16_t ntp_port;
	uint16_t mqtt_retry_seconds;  /* between two attempts */
	uint16_t mqtt_retry_attempts; /* before it gives up; 0: never */
	uint16_t tls_fragment;        /* largest record accepted, bytes; 0 in the flash is the port's default */
	uint8_t mqtt_use_password;
	uint8_t tls;
	uint8_t mqtt;
	uint8_t tls_suites; /* enum suites */
	uint8_t tls_resume;
	uint8_t mqtt_will;
	uint8_t ip[4]; /* 0.0.0.0: DHCP */
	uint8_t netmask[4];
	uint8_t gateway[4];
	uint8_t ap_ip[4];
	uint8_t broker_address[4]; /* 0.0.0.0: ask DNS for `broker` */
	char ssid[SETTINGS_SSID_MAX + 1];
	char password[SETTINGS_TEXT_MAX + 1];
	char broker[SETTINGS_TEXT_MAX + 1]; /* name for SNI and the check */
	char mqtt_user[SETTINGS_TEXT_MAX + 1];
	char mqtt_password[SETTINGS_TEXT_MAX + 1];
	char client_id[SETTINGS_TEXT_MAX + 1]; /* empty: DEVICE-MAC */
	char rx_topic[SETTINGS_TEXT_MAX + 1];  /* empty: mqtt_rx_MAC */
	char tx_topic[SETTINGS_TEXT_MAX + 1];  /* empty: mqtt_tx_MAC */
	char ntp_server[SETTINGS_TEXT_MAX + 1];
	char fota_password[SETTINGS_TEXT_MAX + 1];
	char serial_server[16];
	uint8_t tls_pin[SETTINGS_PIN_SIZE]; /* the broker's certificate; zeros: none */
	char tls_alpn[SETTINGS_ALPN_MAX + 1]; /* empty: none */
	uint8_t tail[2];
};

_Static_assert(sizeof(struct settings) == 4 + 7 * 2 + 6 + 5 * 4 + 33 + 9 * 65 + 16 + 32 + 16 + 2,
	       "struct settings has padding: its bytes are in the flash");
_Static_assert(sizeof(struct settings) % 4 == 0, "flash is written in words");

void settings_defaults(struct settings *settings);

/* Ends every text with a NUL, whatever the flash had. */
void settings_terminate(struct settings *settings);

/* Whether a digest of the broker's certificate is set. */
bool settings_have_pin(const struct settings *settings);

/* The effective values, with the board's MAC where the setting is empty. */
void settings_rx_topic(const struct settings *s, const uint8_t mac[6], char to[SETTINGS_TEXT_MAX + 1]);
void settings_tx_topic(const struct settings *s, const uint8_t mac[6], char to[SETTINGS_TEXT_MAX + 1]);
void settings_client_id(const struct settings *s, const char *device, const uint8_t mac[6],
			char to[SETTINGS_TEXT_MAX + 1]);

#endif
