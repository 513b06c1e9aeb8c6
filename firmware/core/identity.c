#include "identity.h"

#include <string.h>

#include "tls.h"
#include "x509_decoder.h"

static const char too_long[] = "key and certificates are longer than 2048 bytes";

void identity_start(struct identity_reader *reader)
{
	memset(reader, 0, sizeof *reader);
	reader->length = IDENTITY_KEY_SIZE;
	br_pem_decoder_init(&reader->pem);
	br_skey_decoder_init(&reader->key);
}

static void refuse(struct identity_reader *reader, const char *why)
{
	if (reader->why == NULL)
		reader->why = why;
}

static void keep_certificate(void *context, const void *bytes, size_t length)
{
	struct identity_reader *reader = context;

	if (length > sizeof reader->bytes - reader->length) {
		refuse(reader, too_long);
		return;
	}
	memcpy(reader->bytes + reader->length, bytes, length);
	reader->length += length;
}

static void keep_key(void *context, const void *bytes, size_t length)
{
	struct identity_reader *reader = context;

	br_skey_decoder_push(&reader->key, bytes, length);
}

static void begin_object(struct identity_reader *reader)
{
	const char *name = br_pem_decoder_name(&reader->pem);

	reader->inside = true;
	reader->begin = 0;
	br_pem_decoder_setdest(&reader->pem, NULL, NULL);
	if (strcmp(name, "CERTIFICATE") == 0) {
		if (reader->certificates++ == IDENTITY_CHAIN_MAX)
			refuse(reader, "more than 4 certificates");
		if (sizeof reader->bytes - reader->length < 2)
			refuse(reader, too_long);
		if (reader->why != NULL)
			return;
		reader->begin = reader->length;
		reader->length += 2;
		br_pem_decoder_setdest(&reader->pem, keep_certificate, reader);
	} else if (strcmp(name, "PRIVATE KEY") == 0 || strcmp(name, "EC PRIVATE KEY") == 0) {
		if (reader->has_key)
			refuse(reader, "more than one key");
		reader->has_key = true;
		br_pem_decoder_setdest(&reader->pem, keep_key, reader);
	} else if (strcmp(name, "ENCRYPTED PRIVATE KEY") == 0) {
		refuse(reader, "the key is encrypted");
	} else if (strcmp(name, "RSA PRIVATE KEY") == 0) {
		refuse(reader, "the key is not P-256");
	} else if (strcmp(name, "EC PARAMETERS") != 0) { /* openssl ecparam writes these as well */
		refuse(reader, "a PEM object that is neither CERTIFICATE nor key");
	}
}

static void end_object(struct identity_reader *reader)
{
	size_t length = reader->length - reader->begin - 2;

	reader->inside = false;
	if (reader->begin == 0)
		return;
	reader->bytes[reader->begin] = (uint8_t)length;
	reader->bytes[reader->begin + 1] = (uint8_t)(length >> 8);
}

void identity_feed(struct identity_reader *reader, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	while (length > 0 && reader->why == NULL) {
		size_t taken = br_pem_decoder_push(&reader->pem, at, length);

		at += taken;
		length -= taken;
		switch (br_pem_decoder_event(&reader->pem)) {
		case BR_PEM_BEGIN_OBJ:
			begin_object(reader);
			break;
		case BR_PEM_END_OBJ:
			end_object(reader);
			break;
		case BR_PEM_ERROR:
			refuse(reader, "the PEM is damaged");
			break;
		default:
			break;
		}
	}
}

/* Copies the key to its place in `bytes`. */
static const char *take_key(struct identity_reader *reader)
{
	const br_ec_private_key *key = br_skey_decoder_get_ec(&reader->key);
	const uint8_t *x;
	size_t length;

	if (br_skey_decoder_last_error(&reader->key) != 0)
		return "the key is damaged, or of a kind that this board cannot use";
	if (key == NULL || key->curve != BR_EC_secp256r1)
		return "the key is not P-256";
	x = key->x;
	length = key->xlen;
	while (length > 0 && *x == 0)
		x++, length--;
	if (length > IDENTITY_KEY_SIZE)
		return "the key is damaged";
	memset(reader->bytes, 0, IDENTITY_KEY_SIZE - length);
	memcpy(reader->bytes + IDENTITY_KEY_SIZE - length, x, length);
	return NULL;
}

static bool keys_match(uint8_t *key, const br_x509_pkey *of_certificate)
{
	const br_ec_public_key *theirs = &of_certificate->key.ec;
	br_ec_private_key private = { BR_EC_secp256r1, key, IDENTITY_KEY_SIZE };
	uint8_t point[BR_EC_KBUF_PUB_MAX_SIZE];
	br_ec_public_key ours;

	return of_certificate->key_type == BR_KEYTYPE_EC && theirs->curve == BR_EC_secp256r1 &&
	       br_ec_compute_pub(br_ec_get_default(), &ours, point, &private) == theirs->qlen &&
	       memcmp(ours.q, theirs->q, theirs->qlen) == 0;
}

/* The length of the certificate at this offset; 0 for none. */
static size_t certificate_at(const uint8_t *bytes, size_t length, size_t at)
{
	size_t stored;

	if (at + 2 > length)
		return 0;
	stored = (size_t)bytes[at] | (size_t)bytes[at + 1] << 8;
	return stored <= length - at - 2 ? stored : 0;
}

static const char *check_certificates(struct identity_reader *reader,
				      br_x509_decoder_context *decoder)
{
	size_t at = IDENTITY_KEY_SIZE;

	while (at < reader->length) {
		size_t length = certificate_at(reader->bytes, reader->length, at);
		const br_x509_pkey *key;

		x509_decoder_start(decoder, NULL, NULL);
		br_x509_decoder_push(decoder, reader->bytes + at + 2, length);
		key = br_x509_decoder_get_pkey(decoder);
		if (key == NULL)
			return "not an X.509 certificate, or a key that this board cannot use";
		if (at == IDENTITY_KEY_SIZE && !keys_match(reader->bytes, key))
			return "the key is not the first certificate's";
		at += 2 + length;
	}
	return NULL;
}

const char *identity_end(struct core *core, struct identity_reader *reader)
{
	br_x509_decoder_context *decoder;
	const char *why;

	/* The last line may lack its newline. */
	identity_feed(reader, "\n", reader->inside);
	if (reader->why != NULL)
		return reader->why;
	if (reader->inside)
		return "the PEM has no end";
	if (reader->certificates == 0)
		return "no certificate in PEM was sent";
	if (!reader->has_key)
		return "the certificate's key is missing";
	why = take_key(reader);
	if (why != NULL)
		return why;
	decoder = core_alloc(core, sizeof *decoder);
	if (decoder == NULL)
		return "no memory to decode it";
	why = check_certificates(reader, decoder);
	core_free(core, decoder);
	return why;
}

bool identity_digest(const struct store *store, char text[DIGEST_TEXT_SIZE])
{
	uint8_t size[2];

	strcpy(text, "none");
	if (store->length[STORE_IDENTITY] == 0)
		return true;
	return store_read(store, STORE_IDENTITY, IDENTITY_KEY_SIZE, size, sizeof size) &&
	       digest_text(store, STORE_IDENTITY, IDENTITY_KEY_SIZE + 2,
			   (size_t)size[0] | (size_t)size[1] << 8, text);
}

struct identity {
	br_ec_private_key key;
	br_x509_certificate chain[IDENTITY_CHAIN_MAX];
	size_t length;
	uint8_t bytes[];
};

static bool find_chain(struct identity *identity, size_t *count)
{
	size_t at = IDENTITY_KEY_SIZE;

	for (*count = 0; at < identity->length; (*count)++) {
		size_t length = certificate_at(identity->bytes, identity->length, at);

		if (length == 0 || *count == IDENTITY_CHAIN_MAX)
			return false;
		identity->chain[*count] = (br_x509_certificate){ identity->bytes + at + 2, length };
		at += 2 + length;
	}
	return *count > 0;
}

int identity_load(struct core *core, br_ssl_client_context *client, struct identity **made)
{
	size_t length = core->store.length[STORE_IDENTITY];
	struct identity *identity;
	size_t count;

	*made = NULL;
	if (length == 0)
		return TLS_ERROR_NONE;
	identity = core_alloc(core, sizeof *identity + length);
	if (identity == NULL)
		return TLS_ERROR_NO_MEMORY;
	identity->length = length;
	*made = identity;
	if (!store_read(&core->store, STORE_IDENTITY, 0, identity->bytes, length) ||
	    !find_chain(identity, &count))
		return TLS_ERROR_BAD_IDENTITY;
	identity->key = (br_ec_private_key){ BR_EC_secp256r1, identity->bytes, IDENTITY_KEY_SIZE };
	/* The signer's key type matters only to static ECDH, which is not offered. */
	br_ssl_client_set_single_ec(client, identity->chain, count, &identity->key, BR_KEYTYPE_SIGN,
				    BR_KEYTYPE_EC, br_ec_get_default(),
				    br_ecdsa_sign_asn1_get_default());
	return TLS_ERROR_NONE;
}

void identity_free(struct core *core, struct identity *identity)
{
	if (identity == NULL)
		return;
	memset(identity->bytes, 0, identity->length); /* the key */
	core_free(core, identity);
}
