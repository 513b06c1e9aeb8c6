/* The CA certificate: what may be stored, and the trust anchor made of it. */
#ifndef HILRIG_CA_H
#define HILRIG_CA_H

#include <bearssl.h>

#include "core.h"
#include "digest.h"

/* Longest distinguished name and key that an anchor holds, bytes. The key is
 * an RSA modulus of 4096 bits and its exponent, or a curve point. */
#define CA_NAME_MAX 256
#define CA_KEY_MAX 520

/* A trust anchor and the bytes it points to. */
struct ca {
	br_x509_trust_anchor anchor;
	size_t name_length;
	bool name_cut;
	uint8_t name[CA_NAME_MAX];
	uint8_t key[CA_KEY_MAX];
};

/* The one reason that does not concern the certificate. */
extern const char ca_no_memory[];

/* Checks DER from outside. NULL, or the reason for the refusal.
 * Allocates about 2 KiB while it runs. */
const char *ca_decode(struct core *core, const uint8_t *der, size_t length);

/* Makes the anchor from the stored certificate. NULL, or the reason for the failure. */
const char *ca_load(struct core *core, struct ca *ca);

/* "none" or the SHA-256 of the stored DER in hex. */
bool ca_digest(const struct store *store, char text[DIGEST_TEXT_SIZE]);

#endif
