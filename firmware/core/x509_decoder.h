/*
 * BearSSL's certificate decoder, as the port's BearSSL has it. A port whose BearSSL reports
 * the issuer's name as well (the fork of the ESP8266's Arduino core) is compiled with
 * BEARSSL_DECODER_HAS_ISSUER; the core does not need that name.
 */
#ifndef HILRIG_X509_DECODER_H
#define HILRIG_X509_DECODER_H

#include <bearssl.h>

/* `subject` gets the subject's name, in pieces; or NULL. */
static inline void x509_decoder_start(br_x509_decoder_context *decoder,
				      void (*subject)(void *context, const void *bytes,
						      size_t length),
				      void *context)
{
#ifdef BEARSSL_DECODER_HAS_ISSUER
	br_x509_decoder_init(decoder, subject, context, NULL, NULL);
#else
	br_x509_decoder_init(decoder, subject, context);
#endif
}

#endif
