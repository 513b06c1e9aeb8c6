/* Which cipher suites are offered. A smaller choice shows which brokers a client with fewer
 * suites can talk to. */
#ifndef HILRIG_SUITES_H
#define HILRIG_SUITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The setting `tls_cs` by its words. The flash has the index in this list, so a
 * further choice goes to its end. */
enum suites {
	SUITES_ALL,
	SUITES_AEAD,       /* ECDHE with GCM or ChaCha20 */
	SUITES_CBC,        /* ECDHE and RSA key exchange, with CBC */
	SUITES_STATIC_RSA, /* RSA key exchange */
	SUITES_RSA,        /* a client without ECDSA */
	SUITES_CHOICES,
};

extern const char *const suites_words[SUITES_CHOICES];

/* The largest number of suites. */
#define SUITES_MAX 11

/* The numbers of the suites, the preferred first. Returns how many; 0 for an unknown choice. */
size_t suites_list(unsigned choice, uint16_t list[SUITES_MAX]);

/* Whether a certificate's or a broker's ECDSA signature can be verified. */
bool suites_have_ecdsa(unsigned choice);

#endif
