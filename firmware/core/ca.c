#include "ca.h"

#include <string.h>

#include "x509_decoder.h"

const char ca_no_memory[] = "no memory to decode it";

static void keep_name(void *context, const void *bytes, size_t length)
{
	struct ca *ca = context;

	if (length > sizeof ca->name - ca->name_length) {
		ca->name_cut = true;
		return;
	}
	memcpy(ca->name + ca->name_length, bytes, length);
	ca->name_length += length;
}

static void begin(struct ca *ca, br_x509_decoder_context *decoder)
{
	memset(ca, 0, sizeof *ca);
	x509_decoder_start(decoder, keep_name, ca);
}

static const char *take_rsa(struct ca *ca, const br_rsa_public_key *key)
{
	size_t length = key->nlen;
	const uint8_t *n = key->n;

	while (length > 0 && *n == 0)
		n++, length--;
	if (length < 128)
		return "its RSA key is shorter than 1024 bits";
	if (length > 512 || key->elen > 8 || key->elen == 0)
		return "its RSA key is longer than 4096 bits";
	memcpy(ca->key, n, length);
	memcpy(ca->key + length, key->e, key->elen);
	ca->anchor.pkey.key_type = BR_KEYTYPE_RSA;
	ca->anchor.pkey.key.rsa = (br_rsa_public_key){ ca->key, length, ca->key + length, key->elen };
	return NULL;
}

static const char *take_ec(struct ca *ca, const br_ec_public_key *key)
{
	if (key->curve != BR_EC_secp256r1 && key->curve != BR_EC_secp384r1 &&
	    key->curve != BR_EC_secp521r1)
		return "its curve is none of P-256, P-384, P-521";
	if (key->qlen > sizeof ca->key)
		return "its EC key is too long";
	memcpy(ca->key, key->q, key->qlen);
	ca->anchor.pkey.key_type = BR_KEYTYPE_EC;
	ca->anchor.pkey.key.ec = (br_ec_public_key){ key->curve, ca->key, key->qlen };
	return NULL;
}

static const char *finish(struct ca *ca, br_x509_decoder_context *decoder)
{
	const br_x509_pkey *key = br_x509_decoder_get_pkey(decoder);

	if (key == NULL)
		return "not an X.509 certificate, or a key that this board cannot use";
	if (!br_x509_decoder_isCA(decoder))
		return "not a CA certificate (basic constraints)";
	if (ca->name_cut)
		return "its name is longer than 256 bytes";
	ca->anchor.dn.data = ca->name;
	ca->anchor.dn.len = ca->name_length;
	ca->anchor.flags = BR_X509_TA_CA;
	if (key->key_type == BR_KEYTYPE_RSA)
		return take_rsa(ca, &key->key.rsa);
	return take_ec(ca, &key->key.ec);
}

const char *ca_decode(struct core *core, const uint8_t *der, size_t length)
{
	struct {
		br_x509_decoder_context decoder;
		struct ca ca;
	} *work = core_alloc(core, sizeof *work);
	const char *why;

	if (work == NULL)
		return ca_no_memory;
	begin(&work->ca, &work->decoder);
	br_x509_decoder_push(&work->decoder, der, length);
	why = finish(&work->ca, &work->decoder);
	core_free(core, work);
	return why;
}

const char *ca_load(struct core *core, struct ca *ca)
{
	br_x509_decoder_context *decoder;
	const char *why = NULL;
	uint8_t chunk[64];
	size_t length = core->store.length[STORE_CA];

	if (length == 0)
		return "no CA is stored";
	decoder = core_alloc(core, sizeof *decoder);
	if (decoder == NULL)
		return ca_no_memory;
	begin(ca, decoder);
	for (size_t at = 0; at < length && why == NULL; at += sizeof chunk) {
		size_t part = length - at < sizeof chunk ? length - at : sizeof chunk;

		if (store_read(&core->store, STORE_CA, at, chunk, part))
			br_x509_decoder_push(decoder, chunk, part);
		else
			why = "the flash cannot be read";
	}
	if (why == NULL)
		why = finish(ca, decoder);
	core_free(core, decoder);
	return why;
}

bool ca_digest(const struct store *store, char text[DIGEST_TEXT_SIZE])
{
	strcpy(text, "none");
	return store->length[STORE_CA] == 0 ||
	       digest_text(store, STORE_CA, 0, store->length[STORE_CA], text);
}
