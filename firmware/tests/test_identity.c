/* The client's certificate over POST /cert: good ones in every shape, all others refused. */
#include <stdarg.h>
#include <stdlib.h>

#include "host_core.h"
#include "check.h"
#include "identity.h"
#include "tls.h"

static struct host_core fixture;
static struct identity_reader reader;
static const char *folder;
static char text[20000];

/* The files one after the other, into `text`. */
static size_t join(const char *first, ...)
{
	size_t length = 0;
	va_list names;

	va_start(names, first);
	for (const char *name = first; name != NULL; name = va_arg(names, const char *)) {
		char path[512];
		FILE *file;

		snprintf(path, sizeof path, "%s/certs/%s", folder, name);
		file = fopen(path, "rb");
		if (file == NULL) {
			perror(path);
			exit(1);
		}
		length += fread(text + length, 1, sizeof text - 1 - length, file);
		fclose(file);
	}
	va_end(names);
	text[length] = 0;
	return length;
}

/* NULL when it may be stored. */
static const char *upload(const char *bytes, size_t length, size_t piece)
{
	identity_start(&reader);
	for (size_t at = 0; at < length; at += piece)
		identity_feed(&reader, bytes + at, piece < length - at ? piece : length - at);
	return identity_end(&fixture.core, &reader);
}

#define TAKEN(length, what)                                                                        \
	do {                                                                                       \
		const char *why_ = upload(text, length, 71);                                       \
		CHECK(why_ == NULL, "%s: %s", what, why_);                                         \
	} while (0)

static void refused(size_t length, const char *reason)
{
	const char *why = upload(text, length, 77);

	CHECK(why != NULL && strstr(why, reason) != NULL, "%s, not %s", why, reason);
}

static void test_good(void)
{
	static uint8_t first[STORE_IDENTITY_MAX];
	size_t length, stored;
	char digest[DIGEST_TEXT_SIZE];
	struct identity *identity;
	br_ssl_client_context *client = calloc(1, sizeof *client);

	length = join("client.pem", "client.key", NULL);
	for (size_t piece = 1; piece < 1000; piece *= 3)
		CHECK(upload(text, length, piece) == NULL, "PKCS#8 in pieces of %zu: %s", piece,
		      reader.why);
	stored = reader.length;
	memcpy(first, reader.bytes, stored);
	TAKEN(join("client.key", "client.pem", NULL), "the key first");
	CHECK(reader.length == stored && memcmp(first, reader.bytes, stored) == 0, "the same");
	TAKEN(join("client.sec1", "client.pem", NULL), "SEC1 after its EC PARAMETERS");
	CHECK(reader.length == stored && memcmp(first, reader.bytes, stored) == 0, "the same");
	TAKEN(join("client.pem", "ec256.pem", "rsa2048.pem", "client.key", NULL), "a chain");
	length = join("client.pem", "client.key", NULL);
	TAKEN(length - 1, "without the last newline");

	CHECK(identity_digest(&fixture.core.store, digest) && strcmp(digest, "none") == 0, "%s", digest);
	CHECK(identity_load(&fixture.core, client, &identity) == TLS_ERROR_NONE && identity == NULL,
	      "nothing is stored");
	CHECK(store_save_part(&fixture.core.store, &fixture.core.settings, STORE_IDENTITY, reader.bytes,
			      reader.length),
	      "store");
	CHECK(identity_digest(&fixture.core.store, digest) && strlen(digest) == 64, "%s", digest);
	CHECK(identity_load(&fixture.core, client, &identity) == TLS_ERROR_NONE && identity != NULL &&
		      client->client_auth_vtable != NULL,
	      "for a handshake");
	identity_free(&fixture.core, identity);

	/* What no upload would store. */
	store_save_part(&fixture.core.store, &fixture.core.settings, STORE_IDENTITY, "damaged", 7);
	CHECK(identity_load(&fixture.core, client, &identity) == TLS_ERROR_BAD_IDENTITY, "too short");
	identity_free(&fixture.core, identity);
	first[IDENTITY_KEY_SIZE + 1] = 0xff;
	store_save_part(&fixture.core.store, &fixture.core.settings, STORE_IDENTITY, first, stored);
	CHECK(identity_load(&fixture.core, client, &identity) == TLS_ERROR_BAD_IDENTITY, "too long");
	identity_free(&fixture.core, identity);
	CHECK(fixture.host.heap_used == 0, "nothing leaks");
	free(client);
}

static void test_refused(void)
{
	refused(0, "no certificate in PEM");
	strcpy(text, "hello\n");
	refused(6, "no certificate in PEM");
	refused(join("client.der", NULL), "");
	refused(join("client.pem", NULL), "key is missing");
	refused(join("client.key", NULL), "no certificate");
	refused(join("client.pem", "broker.key", NULL), "not the first certificate's");
	refused(join("ec256.pem", "client.pem", "client.key", NULL), "not the first certificate's");
	refused(join("client.pem", "client.key", "client.key", NULL), "more than one key");
	refused(join("client.pem", "client.locked", NULL), "encrypted");
	refused(join("broker_of_rsa.pem", "broker_of_rsa.key", NULL), "not P-256");
	refused(join("ec384.pem", "ec384.key", NULL), "not P-256");
	refused(join("ed25519.pem", "ed25519.key", NULL), "cannot use");
	refused(join("client.pem", "client.csr", "client.key", NULL), "neither");
	refused(join("client.pem", "client.pem", "client.pem", "client.pem", "client.pem",
		     "client.key", NULL),
		"more than 4");
	refused(join("client.pem", "rsa4096.pem", "rsa4096.pem", "client.key", NULL), "longer than 2048");
	refused(join("client.key", "client.pem", NULL) - 30, "");
	refused(join("client.pem", "client.key", NULL) - 30, "");
	join("client.pem", "client.key", NULL);
	text[100] = '!';
	refused(strlen(text), "the PEM is damaged");
	CHECK(fixture.host.heap_used == 0, "nothing leaks");
}

/* Any byte changed, any end cut off: it answers, and what it takes can be used. */
static void test_noise(void)
{
	static char bad[20000];
	size_t length = join("client.sec1", "client.pem", "ec256.pem", NULL);
	unsigned taken = 0;

	for (size_t at = 0; at < length; at++) {
		memcpy(bad, text, length);
		bad[at] = (char)(bad[at] ^ (1 + rand() % 255));
		taken += upload(bad, length, 64) == NULL;
		upload(text, at, 64);
	}
	CHECK(fixture.host.heap_used == 0, "nothing leaks (%u changed ones taken)", taken);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	folder = argv[1];
	srand(5);
	host_core_start(&fixture);
	test_good();
	test_refused();
	test_noise();
	host_core_stop(&fixture);
	return checks_end("client certificate");
}
