#include <stdio.h>

#include <bearssl.h>

#include "tls.h"

struct words {
	int number;
	const char *words;
};

static const struct words errors[] = {
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
	{ BR_ERR_BAD_CCS, "a wrong change of the cipher" },
	{ BR_ERR_BAD_ALERT, "a damaged alert" },
	{ BR_ERR_BAD_HANDSHAKE, "a damaged handshake" },
	{ BR_ERR_OVERSIZED_ID, "a session id that is too long" },
	{ BR_ERR_BAD_CIPHER_SUITE, "a cipher suite that was not offered" },
	{ BR_ERR_BAD_COMPRESSION, "compression, which was not offered" },
	{ BR_ERR_BAD_FRAGLEN, "another fragment length than asked for" },
	{ BR_ERR_BAD_SECRENEG, "a renegotiation that is not secure" },
	{ BR_ERR_EXTRA_EXTENSION, "an extension that was not asked for" },
	{ BR_ERR_BAD_SNI, "a wrong answer to the server's name" },
	{ BR_ERR_BAD_HELLO_DONE, "a damaged end of the broker's hello" },
	{ BR_ERR_LIMIT_EXCEEDED, "a key that is too large for this board" },
	{ BR_ERR_BAD_FINISHED, "a handshake that was changed on its way" },
	{ BR_ERR_RESUME_MISMATCH, "a resumed session with another version or suite" },
	{ BR_ERR_INVALID_ALGORITHM, "a curve or a hash that was not offered" },
	{ BR_ERR_BAD_SIGNATURE, "a wrong signature in the key exchange" },
	{ BR_ERR_WRONG_KEY_USAGE, "a certificate that is not for this use" },
	{ BR_ERR_NO_CLIENT_AUTH, "the broker asks for a client certificate" },
	{ BR_ERR_X509_INVALID_VALUE, "a damaged certificate" },
	{ BR_ERR_X509_TRUNCATED, "a certificate that is cut short" },
	{ BR_ERR_X509_EMPTY_CHAIN, "no certificate from the broker" },
	{ BR_ERR_X509_INNER_TRUNC, "a damaged certificate" },
	{ BR_ERR_X509_BAD_TAG_CLASS, "a damaged certificate" },
	{ BR_ERR_X509_BAD_TAG_VALUE, "a damaged certificate" },
	{ BR_ERR_X509_INDEFINITE_LENGTH, "a certificate that is not DER" },
	{ BR_ERR_X509_EXTRA_ELEMENT, "a damaged certificate" },
	{ BR_ERR_X509_UNEXPECTED, "a damaged certificate" },
	{ BR_ERR_X509_NOT_CONSTRUCTED, "a damaged certificate" },
	{ BR_ERR_X509_NOT_PRIMITIVE, "a damaged certificate" },
	{ BR_ERR_X509_PARTIAL_BYTE, "a damaged certificate" },
	{ BR_ERR_X509_BAD_BOOLEAN, "a damaged certificate" },
	{ BR_ERR_X509_OVERFLOW, "a certificate with a number that is too large" },
	{ BR_ERR_X509_BAD_DN, "a damaged name in the certificate" },
	{ BR_ERR_X509_BAD_TIME, "a damaged date in the certificate" },
	{ BR_ERR_X509_UNSUPPORTED, "a certificate with a key or a signature that this board cannot use" },
	{ BR_ERR_X509_LIMIT_EXCEEDED, "a certificate with a key that is too large for this board" },
	{ BR_ERR_X509_WRONG_KEY_TYPE, "a certificate signed by another kind of key" },
	{ BR_ERR_X509_BAD_SIGNATURE, "a certificate with a wrong signature" },
	{ BR_ERR_X509_TIME_UNKNOWN, "the time is not known" },
	{ BR_ERR_X509_EXPIRED, "the certificate is expired or not yet valid" },
	{ BR_ERR_X509_DN_MISMATCH, "the issuer of a certificate in the chain is not the next one" },
	{ BR_ERR_X509_BAD_SERVER_NAME, "the certificate is for another name" },
	{ BR_ERR_X509_CRITICAL_EXTENSION, "an unknown critical extension in the certificate" },
	{ BR_ERR_X509_NOT_CA, "an issuer that is not a CA" },
	{ BR_ERR_X509_FORBIDDEN_KEY_USAGE, "the certificate's key is not for this use" },
	{ BR_ERR_X509_WEAK_PUBLIC_KEY, "the certificate's key is too weak" },
	{ BR_ERR_X509_NOT_TRUSTED, "the certificate is not trusted (another CA)" },
	{ TLS_ERROR_NO_MEMORY, "no memory" },
	{ TLS_ERROR_STREAM_CLOSED, "the stream was closed" },
	{ TLS_ERROR_NO_CA, "no CA is stored, POST one to /ca" },
	{ TLS_ERROR_NO_RANDOM, "no randomness on this board" },
	{ TLS_ERROR_TIMEOUT, "no answer in time" },
	{ TLS_ERROR_BAD_CA, "the stored CA cannot be used" },
	{ TLS_ERROR_OTHER_PIN, "another certificate than the one that is set (tls_pn)" },
	{ TLS_ERROR_NO_SUITES, "the stored choice of suites is none (tls_cs)" },
	{ TLS_ERROR_BAD_IDENTITY, "the stored client certificate cannot be used" },
};

/* IANA's names, with an explanation where the name alone does not help. */
static const struct words alerts[] = {
	{ 0, "close_notify" },
	{ 10, "unexpected_message" },
	{ 20, "bad_record_mac" },
	{ 22, "record_overflow" },
	{ 40, "handshake_failure: no suite, curve or signature in common, or no certificate" },
	{ 42, "bad_certificate" },
	{ 43, "unsupported_certificate" },
	{ 44, "certificate_revoked" },
	{ 45, "certificate_expired" },
	{ 46, "certificate_unknown" },
	{ 47, "illegal_parameter" },
	{ 48, "unknown_ca" },
	{ 49, "access_denied" },
	{ 50, "decode_error" },
	{ 51, "decrypt_error" },
	{ 70, "protocol_version: it does not speak TLS 1.2" },
	{ 71, "insufficient_security" },
	{ 80, "internal_error" },
	{ 86, "inappropriate_fallback" },
	{ 90, "user_canceled" },
	{ 100, "no_renegotiation" },
	{ 109, "missing_extension" },
	{ 110, "unsupported_extension" },
	{ 112, "unrecognized_name: it does not know mqtt_bk" },
	{ 113, "bad_certificate_status_response" },
	{ 115, "unknown_psk_identity" },
	{ 116, "certificate_required: it wants one of the client" },
	{ 120, "no_application_protocol: tls_al is none of its own" },
};

/* NULL if there are none. */
static const char *find(const struct words *table, size_t count, int number)
{
	for (size_t i = 0; i < count; i++)
		if (table[i].number == number)
			return table[i].words;
	return NULL;
}

#define FIND(table, number) find(table, sizeof(table) / sizeof((table)[0]), number)

void tls_error_text(int error, char text[TLS_ERROR_TEXT_SIZE])
{
	const char *words = FIND(errors, error);
	bool sent = error >= BR_ERR_SEND_FATAL_ALERT;

	if (error == BR_ERR_OK)
		words = "closed by the broker";
	if (words == NULL && error >= BR_ERR_RECV_FATAL_ALERT &&
	    error < BR_ERR_SEND_FATAL_ALERT + 256) {
		words = FIND(alerts, error & 0xff);
		snprintf(text, TLS_ERROR_TEXT_SIZE, "alert %s, %s", sent ? "sent" : "received",
			 words != NULL ? words : "one without a name");
		return;
	}
	snprintf(text, TLS_ERROR_TEXT_SIZE, "%s",
		 words != NULL ? words : "see bearssl_ssl.h and bearssl_x509.h");
}

void tls_log_facts(struct log *log, const struct tls_facts *facts)
{
	if (facts->version == 0)
		return;
	/* 0x0303 is TLS 1.2 (RFC 5246, 6.2.1). */
	log_line(log, "TLS: version 1.%u, suite 0x%04X, record %u, handshake %lu ms",
		 (facts->version & 0xffu) - 1, facts->suite, facts->record,
		 (unsigned long)facts->milliseconds);
	if (facts->may_resume)
		log_line(log, "TLS session: %s", facts->resumed ? "resumed" : "full handshake");
}

