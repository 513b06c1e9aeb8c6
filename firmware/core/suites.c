#include "suites.h"

#include <bearssl.h>

const char *const suites_words[SUITES_CHOICES] = { "all", "aead", "cbc", "static-rsa", "rsa" };

#define IN(choice) (1u << (choice))

/* Forward secrecy with an authenticated cipher first; CBC and static RSA are
 * last, for brokers that have nothing else. ChaCha20 is first because a chip
 * without AES hardware is faster with it. */
static const struct {
	uint16_t number;
	uint8_t choices;
} table[SUITES_MAX] = {
	{ BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256, IN(SUITES_AEAD) },
	{ BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256, IN(SUITES_AEAD) | IN(SUITES_RSA) },
	{ BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256, IN(SUITES_AEAD) },
	{ BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256, IN(SUITES_AEAD) | IN(SUITES_RSA) },
	{ BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384, IN(SUITES_AEAD) },
	{ BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384, IN(SUITES_AEAD) | IN(SUITES_RSA) },
	{ BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256, IN(SUITES_CBC) },
	{ BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256, IN(SUITES_CBC) | IN(SUITES_RSA) },
	{ BR_TLS_RSA_WITH_AES_128_GCM_SHA256, IN(SUITES_STATIC_RSA) | IN(SUITES_RSA) },
	{ BR_TLS_RSA_WITH_AES_256_GCM_SHA384, IN(SUITES_STATIC_RSA) | IN(SUITES_RSA) },
	{ BR_TLS_RSA_WITH_AES_128_CBC_SHA256,
	  IN(SUITES_CBC) | IN(SUITES_STATIC_RSA) | IN(SUITES_RSA) },
};

size_t suites_list(unsigned choice, uint16_t list[SUITES_MAX])
{
	size_t count = 0;

	if (choice >= SUITES_CHOICES)
		return 0;
	for (size_t i = 0; i < SUITES_MAX; i++)
		if (choice == SUITES_ALL || (table[i].choices & IN(choice)) != 0)
			list[count++] = table[i].number;
	return count;
}

bool suites_have_ecdsa(unsigned choice)
{
	return choice != SUITES_RSA && choice != SUITES_STATIC_RSA;
}
