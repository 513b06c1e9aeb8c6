/* What the fork has other than upstream: its certificate decoder; and it yields within long computations.
 * Here that is done in each record, in handshake and connection. */
#include <bearssl.h>

#include "fake.h"

#define YIELD_MS 1u

void __real_br_x509_decoder_init(br_x509_decoder_context *decoder,
				 void (*subject)(void *context, const void *bytes, size_t length),
				 void *subject_context);
void __wrap_br_x509_decoder_init(br_x509_decoder_context *decoder,
				 void (*subject)(void *context, const void *bytes, size_t length),
				 void *subject_context,
				 void (*issuer)(void *context, const void *bytes, size_t length),
				 void *issuer_context);
void __real_br_ssl_engine_recvrec_ack(br_ssl_engine_context *engine, size_t length);
void __wrap_br_ssl_engine_recvrec_ack(br_ssl_engine_context *engine, size_t length);

void __wrap_br_ssl_engine_recvrec_ack(br_ssl_engine_context *engine, size_t length)
{
	radio_run_within(YIELD_BEARSSL, YIELD_MS);
	__real_br_ssl_engine_recvrec_ack(engine, length);
}

void __wrap_br_x509_decoder_init(br_x509_decoder_context *decoder,
				 void (*subject)(void *context, const void *bytes, size_t length),
				 void *subject_context,
				 void (*issuer)(void *context, const void *bytes, size_t length),
				 void *issuer_context)
{
	if (issuer != NULL || issuer_context != NULL)
		chip_panic("the issuer's name is not wanted");
	__real_br_x509_decoder_init(decoder, subject, subject_context);
}
