/*
 * TLS 1.2 over a port's stream, by BearSSL. The broker's certificate is
 * verified against the stored CA, the given name and the time; or, if a digest
 * is set (tls_pn), it must be exactly that certificate. There is no other way.
 */
#ifndef HILRIG_TLS_H
#define HILRIG_TLS_H

#include "core.h"

struct tls;

enum tls_state {
	TLS_HANDSHAKE,
	TLS_OPEN,
	TLS_CLOSED, /* tls_error() has the reason */
};

/* The results of tls_error() beside BearSSL's own numbers (bearssl_ssl.h,
 * bearssl_x509.h; 256+n: alert n received, 512+n: alert n sent). */
enum tls_error {
	TLS_ERROR_NONE = 0,
	TLS_ERROR_TIME_UNKNOWN = 53, /* BR_ERR_X509_TIME_UNKNOWN */
	TLS_ERROR_NO_MEMORY = 1000,
	TLS_ERROR_STREAM_CLOSED = 1001,
	TLS_ERROR_NO_CA = 1002,
	TLS_ERROR_NO_RANDOM = 1003,
	TLS_ERROR_TIMEOUT = 1004,
	TLS_ERROR_BAD_CA = 1005,
	TLS_ERROR_OTHER_PIN = 1006,
	TLS_ERROR_NO_SUITES = 1007,
	TLS_ERROR_BAD_IDENTITY = 1008,
};

/* The result of a handshake. */
struct tls_facts {
	uint16_t version; /* 0x0303 is TLS 1.2; 0: it failed */
	uint16_t suite;   /* by IANA's number */
	uint16_t record;  /* the largest that is accepted, bytes */
	uint32_t milliseconds;
	bool may_resume; /* tls_rs is on */
	bool resumed;
};

/* Why TLS cannot even be tried: no CA, no time; or TLS_ERROR_NONE. */
int tls_hindrance(const struct core *core);

/* Begins a handshake by the settings, over an open stream, which the caller still
 * owns: the broker's name goes into SNI, the certificate must be for that name,
 * and for records below 16384 bytes the broker is asked to keep to that size
 * (RFC 6066 max_fragment_length). NULL on failure, with the reason in `error`. */
struct tls *tls_start(struct core *core, struct port_stream *stream, int *error);

/* Moves as many bytes both ways as it can now. */
enum tls_state tls_poll(struct tls *tls);

/* Like a port's tcp_read and tcp_write, for the plain text. */
int tls_read(struct tls *tls, void *to, size_t length);
int tls_write(struct tls *tls, const void *from, size_t length);

/* True while written bytes wait for the stream. */
bool tls_is_pending(struct tls *tls);

int tls_error(const struct tls *tls);
struct tls_facts tls_facts(const struct tls *tls);
void tls_free(struct tls *tls);

/* Logs the facts, if there are any. */
void tls_log_facts(struct log *log, const struct tls_facts *facts);

/* An error in words, for the log. */
#define TLS_ERROR_TEXT_SIZE 112
void tls_error_text(int error, char text[TLS_ERROR_TEXT_SIZE]);

#endif
