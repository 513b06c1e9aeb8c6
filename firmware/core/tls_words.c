#include <bearssl.h>

#include "tls.h"

static const struct {
	int error;
	const char *words;
} table[] = {
	{ BR_ERR_BAD_PARAM, "a wrong parameter, or no randomness" },
	{ BR_ERR_BAD_STATE, "used in a wrong state" },
	{ BR_ERR_UNSUPPORTED_VERSION, "the broker does not speak TLS 1.2" },
	{ BR_ERR_BAD_VERSION, "a record of another TLS version" },
	{ BR_ERR_BAD_LENGTH, "a message of a wrong length" },
	{ BR_ERR_TOO_LARGE, "a record larger than the receive buffer (tls_mfl)" },
	{ BR_ERR_BAD_MAC, "a record that does not decrypt" },
	{ BR_ERR_NO_RANDOM, "no randomness" },
	{ BR_ERR_UNKNOWN_TYPE, "a record of unknown type: no TLS there?" },
	{ BR_ERR_UNEXPECTED, "an unexpected message" },
	{ BR_ERR_BAD_ALERT, "a damaged alert" },
	{ BR_ERR_BAD_HANDSHAKE, "a damaged handshake" },
	{ BR_ERR_BAD_CIPHER_SUITE, "a cipher suite that was not offered" },
	{ BR_ERR_BAD_FRAGLEN, "another fragment length than asked for" },
	{ BR_ERR_BAD_SECRENEG, "a renegotiation that is not secure" },
	{ BR_ERR_EXTRA_EXTENSION, "an extension that was not asked for" },
	{ BR_ERR_BAD_SIGNATURE, "a wrong signature in the key exchange" },
	{ BR_ERR_WRONG_KEY_USAGE, "a certificate that is not for this use" },
	{ BR_ERR_NO_CLIENT_AUTH, "the broker asks for a client certificate" },
	{ BR_ERR_X509_INVALID_VALUE, "a damaged certificate" },
	{ BR_ERR_X509_EMPTY_CHAIN, "no certificate from the broker" },
	{ BR_ERR_X509_BAD_SIGNATURE, "a certificate with a wrong signature" },
	{ BR_ERR_X509_TIME_UNKNOWN, "the time is not known" },
	{ BR_ERR_X509_EXPIRED, "the certificate is expired or not yet valid" },
	{ BR_ERR_X509_DN_MISMATCH, "the chain of certificates does not hold together" },
	{ BR_ERR_X509_BAD_SERVER_NAME, "the certificate is for another name" },
	{ BR_ERR_X509_CRITICAL_EXTENSION, "an unknown critical extension in the certificate" },
	{ BR_ERR_X509_NOT_CA, "an issuer that is no CA" },
	{ BR_ERR_X509_FORBIDDEN_KEY_USAGE, "the certificate's key is not for this use" },
	{ BR_ERR_X509_WEAK_PUBLIC_KEY, "the certificate's key is too weak" },
	{ BR_ERR_X509_NOT_TRUSTED, "the certificate is not trusted (another CA)" },
	{ TLS_ERROR_NO_MEMORY, "no memory" },
	{ TLS_ERROR_STREAM_CLOSED, "the stream was closed" },
	{ TLS_ERROR_NO_CA, "no CA is stored, POST one to /ca" },
	{ TLS_ERROR_NO_RANDOM, "no randomness on this board" },
	{ TLS_ERROR_TIMEOUT, "no answer in time" },
	{ TLS_ERROR_BAD_CA, "the stored CA cannot be used" },
};

const char *tls_error_words(int error)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (table[i].error == error)
			return table[i].words;
	if (error >= BR_ERR_SEND_FATAL_ALERT && error < BR_ERR_SEND_FATAL_ALERT + 256)
		return "alert sent";
	if (error >= BR_ERR_RECV_FATAL_ALERT && error < BR_ERR_RECV_FATAL_ALERT + 256)
		return "alert received";
	return error == BR_ERR_OK ? "closed by the broker" : "see bearssl_ssl.h and bearssl_x509.h";
}
