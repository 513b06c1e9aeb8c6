/* Which cipher suites are offered: a choice for brokers, and for saying which of them a
 * client that has less can still talk to. */
#ifndef HILRIG_SUITES_H
#define HILRIG_SUITES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* The setting `tls_cs` by its words; what stands in the flash is the place in
 * this list, so a further one goes to its end. */
enum suites {
	SUITES_ALL,
	SUITES_AEAD,       /* ECDHE with GCM or ChaCha20 */
	SUITES_CBC,        /* ECDHE and RSA key exchange, with CBC */
	SUITES_STATIC_RSA, /* RSA key exchange */
	SUITES_RSA,        /* a client that knows no ECDSA */
	SUITES_CHOICES,
};

extern const char *const suites_words[SUITES_CHOICES];

/* The most that there can be of them. */
#define SUITES_MAX 11

/* The numbers of the suites, the best first. How many; 0 for no known choice. */
size_t suites_list(unsigned choice, uint16_t list[SUITES_MAX]);

/* Whether a certificate's or a broker's ECDSA signature is understood. */
bool suites_have_ecdsa(unsigned choice);

#endif
