#include "pem.h"

#include <string.h>

static const char too_long[] = "the certificate is longer than 2560 bytes of DER";

static void fail(struct pem *pem, const char *why)
{
	if (pem->state != PEM_FAILED)
		pem->why = why;
	pem->state = PEM_FAILED;
}

void pem_start(struct pem *pem)
{
	pem->state = PEM_START;
	pem->why = NULL;
	pem->length = 0;
	br_pem_decoder_init(&pem->decoder);
}

static void keep(struct pem *pem, const void *bytes, size_t length)
{
	if (pem->state == PEM_FAILED)
		return;
	if (length > sizeof pem->der - pem->length) {
		fail(pem, too_long);
		return;
	}
	memcpy(pem->der + pem->length, bytes, length);
	pem->length += length;
}

static void keep_decoded(void *context, const void *bytes, size_t length)
{
	keep(context, bytes, length);
}

static void handle_event(struct pem *pem)
{
	switch (br_pem_decoder_event(&pem->decoder)) {
	case BR_PEM_BEGIN_OBJ:
		if (pem->state == PEM_AFTER) {
			fail(pem, "more than one PEM object: send the CA alone");
		} else if (strcmp(br_pem_decoder_name(&pem->decoder), "CERTIFICATE") != 0) {
			fail(pem, "the PEM object is not a CERTIFICATE");
		} else {
			pem->state = PEM_INSIDE;
			br_pem_decoder_setdest(&pem->decoder, keep_decoded, pem);
		}
		break;
	case BR_PEM_END_OBJ:
		if (pem->state == PEM_INSIDE)
			pem->state = PEM_AFTER;
		break;
	case BR_PEM_ERROR:
		fail(pem, "the PEM is damaged");
		break;
	default:
		break;
	}
}

void pem_feed(struct pem *pem, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	if (pem->state == PEM_START && length > 0)
		pem->state = at[0] == 0x30 ? PEM_DER : PEM_SEARCH; /* 0x30: a DER SEQUENCE */
	if (pem->state == PEM_DER)
		keep(pem, at, length);
	while (length > 0 && pem->state > PEM_DER && pem->state < PEM_FAILED) {
		size_t taken = br_pem_decoder_push(&pem->decoder, at, length);

		at += taken;
		length -= taken;
		handle_event(pem);
	}
}

const char *pem_end(struct pem *pem)
{
	/* The last line may lack its newline. */
	pem_feed(pem, "\n", pem->state == PEM_INSIDE);
	switch (pem->state) {
	case PEM_FAILED:
		return pem->why;
	case PEM_START:
		return "nothing was sent";
	case PEM_SEARCH:
		return "neither DER nor PEM";
	case PEM_INSIDE:
		return "the PEM has no end";
	default:
		return pem->length == 0 ? "the certificate is empty" : NULL;
	}
}
