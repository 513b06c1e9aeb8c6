#include "pin.h"

#include <string.h>

#include "tls.h"
#include "x509_decoder.h"

/* BearSSL passes the vtable's address, which is the first member. */
static struct pin *pin_of(const br_x509_class **context)
{
	return (struct pin *)(void *)context;
}

static void start_chain(const br_x509_class **context, const char *name)
{
	struct pin *pin = pin_of(context);

	(void)name;
	pin->leaf = true;
	br_sha256_init(&pin->hash);
	x509_decoder_start(&pin->decoder, NULL, NULL);
}

static void start_certificate(const br_x509_class **context, uint32_t length)
{
	(void)context;
	(void)length;
}

static void append(const br_x509_class **context, const unsigned char *bytes, size_t length)
{
	struct pin *pin = pin_of(context);

	/* Certificates after the leaf do not matter. */
	if (!pin->leaf)
		return;
	br_sha256_update(&pin->hash, bytes, length);
	br_x509_decoder_push(&pin->decoder, bytes, length);
}

static void end_certificate(const br_x509_class **context)
{
	pin_of(context)->leaf = false;
}

static unsigned end_chain(const br_x509_class **context)
{
	struct pin *pin = pin_of(context);
	uint8_t digest[SETTINGS_PIN_SIZE];

	if (pin->leaf)
		return BR_ERR_X509_EMPTY_CHAIN;
	br_sha256_out(&pin->hash, digest);
	if (memcmp(digest, pin->wanted, sizeof digest) != 0)
		return TLS_ERROR_OTHER_PIN;
	return (unsigned)br_x509_decoder_last_error(&pin->decoder);
}

static const br_x509_pkey *key(const br_x509_class *const *context, unsigned *usages)
{
	const struct pin *pin = (const struct pin *)(const void *)context;

	if (usages != NULL)
		*usages = BR_KEYTYPE_KEYX | BR_KEYTYPE_SIGN;
	return &pin->decoder.pkey;
}

void pin_start(struct pin *pin, const uint8_t wanted[SETTINGS_PIN_SIZE])
{
	static const br_x509_class vtable = {
		sizeof(struct pin), start_chain, start_certificate, append, end_certificate,
		end_chain,	    key,
	};

	pin->vtable = &vtable;
	pin->wanted = wanted;
}
