/*
 * Certificate pinning: the broker's certificate must have the given SHA-256, in place of
 * the checks of its CA, its name and its dates.
 */
#ifndef HILRIG_PIN_H
#define HILRIG_PIN_H

#include <bearssl.h>

#include "settings.h"

struct pin {
	const br_x509_class *vtable; /* for br_ssl_engine_set_x509() */
	const uint8_t *wanted;
	bool leaf; /* the chain's first certificate is being read */
	br_sha256_context hash;
	br_x509_decoder_context decoder; /* for the key in it */
};

/* `wanted` must outlive the handshake. */
void pin_start(struct pin *pin, const uint8_t wanted[SETTINGS_PIN_SIZE]);

#endif
