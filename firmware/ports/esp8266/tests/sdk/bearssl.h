/* BearSSL as the Arduino core 3.1.2 is linked with it: a fork (github.com/earlephilhower/bearssl-esp8266)
 * whose certificate decoder reports the issuer's name as well. All else that the firmware uses is
 * upstream's, whose headers these are. */
#ifndef BEARSSL_FORK_H
#define BEARSSL_FORK_H

#define br_x509_decoder_init upstream_x509_decoder_init
#include_next <bearssl.h>
#undef br_x509_decoder_init

#ifdef __cplusplus
extern "C"
#endif
void br_x509_decoder_init(br_x509_decoder_context *decoder,
			  void (*subject)(void *context, const void *bytes, size_t length),
			  void *subject_context,
			  void (*issuer)(void *context, const void *bytes, size_t length),
			  void *issuer_context);

#endif
