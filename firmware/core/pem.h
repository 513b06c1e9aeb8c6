/* Reads a certificate as PEM or DER, in pieces, and keeps its DER. */
#ifndef HILRIG_PEM_H
#define HILRIG_PEM_H

#include <bearssl.h>
#include <stdint.h>

#include "store.h"

enum pem_state {
	PEM_START,  /* nothing read yet */
	PEM_DER,    /* raw DER follows */
	PEM_SEARCH, /* PEM: before the certificate */
	PEM_INSIDE,
	PEM_AFTER,
	PEM_FAILED,
};

struct pem {
	enum pem_state state;
	const char *why; /* in PEM_FAILED */
	size_t length;
	br_pem_decoder_context decoder;
	uint8_t der[STORE_CA_MAX];
};

void pem_start(struct pem *pem);
void pem_feed(struct pem *pem, const void *bytes, size_t length);
/* NULL when `der` is a whole certificate, else the reason for the refusal. */
const char *pem_end(struct pem *pem);

#endif
