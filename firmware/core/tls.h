/*
 * TLS 1.2 over a port's stream, by BearSSL. The broker's certificate is
 * verified against the stored CA, the given name and the time; or, if a digest
 * is set (tls_pn), it must be that very certificate. There is no third way.
 */
#ifndef HILRIG_TLS_H
#define HILRIG_TLS_H

#include "core.h"

struct tls;

enum tls_state {
	TLS_HANDSHAKE,
	TLS_OPEN,
	TLS_CLOSED, /* tls_error() says why */
};

/* What tls_error() can say beside BearSSL's own numbers (bearssl_ssl.h,
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

/* What a handshake came to. */
struct tls_facts {
	uint16_t version; /* 0x0303 is TLS 1.2; 0: it did not end well */
	uint16_t suite;   /* by IANA's number */
	uint16_t record;  /* the largest that is taken, bytes */
	uint32_t milliseconds;
	bool may_resume; /* tls_rs is on */
	bool resumed;
};

/* What keeps TLS from being tried at all: no CA, no time, or nothing. */
int tls_hindrance(const struct core *core);

/* Begins a handshake over an open stream, which stays the caller's, as the
 * settings say: the broker's name goes into SNI and is what the certificate
 * must be for, and below records of 16384 bytes the broker is asked to keep to
 * that (RFC 6066 max_fragment_length). NULL on failure, with the reason in
 * `error`. */
struct tls *tls_start(struct core *core, struct port_stream *stream, int *error);

/* Moves bytes both ways as far as they go now. */
enum tls_state tls_poll(struct tls *tls);

/* As a port's tcp_read and tcp_write, for what is inside. */
int tls_read(struct tls *tls, void *to, size_t length);
int tls_write(struct tls *tls, const void *from, size_t length);

/* True while bytes were taken that the stream did not take yet. */
bool tls_is_pending(struct tls *tls);

int tls_error(const struct tls *tls);
struct tls_facts tls_facts(const struct tls *tls);
void tls_free(struct tls *tls);

/* The facts in the log; nothing while there are none. */
void tls_log_facts(struct log *log, const struct tls_facts *facts);

/* An error in words, for the log. */
#define TLS_ERROR_TEXT_SIZE 112
void tls_error_text(int error, char text[TLS_ERROR_TEXT_SIZE]);

#endif
