/* The fork's certificate decoder, over upstream's. */
#include <bearssl.h>

#include "fake.h"

void __real_br_x509_decoder_init(br_x509_decoder_context *decoder,
				 void (*subject)(void *context, const void *bytes, size_t length),
				 void *subject_context);
void __wrap_br_x509_decoder_init(br_x509_decoder_context *decoder,
				 void (*subject)(void *context, const void *bytes, size_t length),
				 void *subject_context,
				 void (*issuer)(void *context, const void *bytes, size_t length),
				 void *issuer_context);

void __wrap_br_x509_decoder_init(br_x509_decoder_context *decoder,
				 void (*subject)(void *context, const void *bytes, size_t length),
				 void *subject_context,
				 void (*issuer)(void *context, const void *bytes, size_t length),
				 void *issuer_context)
{
	if (issuer != NULL || issuer_context != NULL)
		chip_panic("nobody wants the issuer's name");
	__real_br_x509_decoder_init(decoder, subject, subject_context);
}
