/* The CA certificate over POST /ca: good ones in every shape, all others refused. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_core.h"
#include "ca.h"
#include "check.h"
#include "pem.h"

static struct host_core fixture;
static struct pem pem;
static const char *folder;

static size_t load(const char *name, char *to, size_t size)
{
	char path[512];
	FILE *file;
	size_t length;

	snprintf(path, sizeof path, "%s/certs/%s", folder, name);
	file = fopen(path, "rb");
	if (file == NULL) {
		perror(path);
		exit(1);
	}
	length = fread(to, 1, size - 1, file);
	to[length] = 0;
	fclose(file);
	return length;
}

/* NULL when it may be stored. */
static const char *upload(const char *bytes, size_t length, size_t piece)
{
	const char *why;

	pem_start(&pem);
	for (size_t at = 0; at < length; at += piece)
		pem_feed(&pem, bytes + at, piece < length - at ? piece : length - at);
	why = pem_end(&pem);
	return why != NULL ? why : ca_decode(&fixture.core, pem.der, pem.length);
}

static void test_good(void)
{
	static const char *const names[] = { "ec256", "ec384", "rsa2048", "rsa4096" };
	static char text[8192], der[8192];
	char name[64], digest[DIGEST_TEXT_SIZE];

	for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
		struct ca *ca = malloc(sizeof *ca);
		size_t text_length, der_length;
		const char *why;

		snprintf(name, sizeof name, "%s.pem", names[i]);
		text_length = load(name, text, sizeof text);
		snprintf(name, sizeof name, "%s.der", names[i]);
		der_length = load(name, der, sizeof der);
		for (size_t piece = 1; piece < 1000; piece = piece * 3) {
			why = upload(text, text_length, piece);
			CHECK(why == NULL, "%s as PEM: %s", names[i], why);
			CHECK(pem.length == der_length && memcmp(pem.der, der, der_length) == 0,
			      "%s: PEM gives its DER", names[i]);
			why = upload(der, der_length, piece);
			CHECK(why == NULL, "%s as DER: %s", names[i], why);
		}
		/* Text around it, as openssl x509 -text writes, and no last newline. */
		memmove(text + 10, text, text_length);
		memcpy(text, "some text\n", 10);
		why = upload(text, text_length + 9, 100);
		CHECK(why == NULL, "%s with text around: %s", names[i], why);

		CHECK(store_save_part(&fixture.core.store, &fixture.core.settings, STORE_CA, der, der_length), "store");
		why = ca_load(&fixture.core, ca);
		CHECK(why == NULL, "%s as an anchor: %s", names[i], why);
		CHECK(ca->anchor.flags == BR_X509_TA_CA && ca->anchor.dn.len > 10, "anchor");
		CHECK(ca_digest(&fixture.core.store, digest) && strlen(digest) == 64, "%s", digest);
		free(ca);
	}
	CHECK(fixture.host.heap_used == 0, "nothing leaks");
}

static void refused(const char *bytes, size_t length, const char *reason)
{
	const char *why = upload(bytes, length, 77);

	CHECK(why != NULL, "taken: %.40s", bytes);
	CHECK(why != NULL && strstr(why, reason) != NULL, "%s, not %s", why, reason);
}

static void test_refused(void)
{
	static char text[20000], more[8192];
	size_t length, more_length;

	refused("", 0, "nothing was sent");
	refused("hello", 5, "neither DER nor PEM");
	refused("0", 1, "not an X.509");
	length = load("broker.pem", text, sizeof text);
	refused(text, length, "not a CA certificate");
	length = load("ed25519.pem", text, sizeof text);
	refused(text, length, "key that this board cannot use");
	length = load("secp256k1.pem", text, sizeof text);
	refused(text, length, "cannot use");
	length = load("ec256.key", text, sizeof text);
	refused(text, length, "not a CERTIFICATE");
	length = load("ec256.pem", text, sizeof text);
	refused(text, length - 26, "the PEM has no end"); /* without its last line */
	refused(text, length - 30, "the PEM is damaged");
	more_length = load("rsa2048.pem", more, sizeof more);
	memcpy(text + length, more, more_length);
	refused(text, length + more_length, "more than one");
	text[100] = '!';
	refused(text, length, "");
	memset(text, '0', 2561);
	text[0] = 0x30;
	refused(text, 2561, "longer than 2560");
	strcpy(text, "-----BEGIN CERTIFICATE-----\n");
	for (int i = 0; i < 80; i++)
		strcat(text, "MIIBAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA\n");
	refused(text, strlen(text), "longer than 2560");
	CHECK(fixture.host.heap_used == 0, "nothing leaks");
}

/* Any byte of a good one changed, any end cut off, any noise: it answers. */
static void test_noise(void)
{
	static const char *const names[] = { "ec256.der", "rsa2048.der", "ec256.pem" };
	static char good[4096], bad[4096];
	unsigned taken = 0;

	for (size_t n = 0; n < 3; n++) {
		size_t length = load(names[n], good, sizeof good);

		for (size_t at = 0; at < length; at++) {
			memcpy(bad, good, length);
			bad[at] = (char)(bad[at] ^ (1 + rand() % 255));
			taken += upload(bad, length, 64) == NULL;
			CHECK(n == 2 || upload(good, at, 64) != NULL, "%s cut at %zu", names[n], at);
		}
	}
	for (unsigned round = 0; round < 20000; round++) {
		size_t length = (size_t)rand() % 300;

		for (size_t i = 0; i < length; i++)
			bad[i] = (char)(rand() % 4 ? rand() % 0x32 : rand());
		bad[0] = 0x30;
		taken += upload(bad, length, 50) == NULL;
	}
	CHECK(fixture.host.heap_used == 0, "nothing leaks (%u changed ones decoded)", taken);
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	folder = argv[1];
	srand(4);
	host_core_start(&fixture);
	test_good();
	test_refused();
	test_noise();
	host_core_stop(&fixture);
	return checks_end("CA certificate");
}
