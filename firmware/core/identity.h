/*
 * The client's own certificate and its key: what may be stored, and what a
 * handshake needs. The key is P-256: larger ones and RSA take seconds on a chip
 * of this class.
 *
 * Stored are the key's 32 bytes, the highest first, and then the certificates, the
 * client's own first: for each its length (16 bits, little-endian) and its DER.
 */
#ifndef HILRIG_IDENTITY_H
#define HILRIG_IDENTITY_H

#include <bearssl.h>

#include "core.h"
#include "digest.h"

#define IDENTITY_KEY_SIZE 32
#define IDENTITY_CHAIN_MAX 4

/* Reads PEM in pieces: certificates and one key (SEC1 or PKCS#8), in any order. */
struct identity_reader {
	const char *why;   /* the reason for the refusal, or NULL */
	bool inside;       /* a PEM object */
	bool has_key;
	unsigned certificates;
	size_t begin;      /* of the certificate that is being read; 0: none is */
	size_t length;
	br_pem_decoder_context pem;
	br_skey_decoder_context key;
	uint8_t bytes[STORE_IDENTITY_MAX]; /* as stored */
};

void identity_start(struct identity_reader *reader);
void identity_feed(struct identity_reader *reader, const void *bytes, size_t length);
/* NULL when `bytes` may be stored, else the reason for the refusal. Allocates about
 * 1 KiB while it runs. */
const char *identity_end(struct core *core, struct identity_reader *reader);

/* "none", or the SHA-256 of the stored certificate. */
bool identity_digest(const struct store *store, char text[DIGEST_TEXT_SIZE]);

/* For a handshake. */
struct identity;

/* Gives the stored certificates to the TLS client, for a broker that asks for them. NULL
 * in `identity` if none are stored. A TLS error, or TLS_ERROR_NONE. */
int identity_load(struct core *core, br_ssl_client_context *client, struct identity **identity);
void identity_free(struct core *core, struct identity *identity);

#endif
