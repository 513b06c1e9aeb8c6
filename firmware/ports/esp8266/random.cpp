// The chip's random number generator. It draws on the radio's noise, and is no better than
// a counter while the radio is off.
#include <Arduino.h>
#include <ESP8266WiFi.h>
#include <bearssl_rand.h>

extern "C" {
#include "random.h"
}

bool random_bytes(void *to, size_t length)
{
	uint8_t seed[64];
	br_hmac_drbg_context drbg;

	if (WiFi.getMode() == WIFI_OFF)
		return false;
	ESP.random(seed, sizeof seed);
	br_hmac_drbg_init(&drbg, &br_sha256_vtable, seed, sizeof seed);
	br_hmac_drbg_generate(&drbg, to, length);
	return true;
}
