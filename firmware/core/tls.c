#include "tls.h"

#include <bearssl.h>
#include <string.h>

#include "ca.h"
#include "fault.h"

/* BearSSL's overhead on top of the largest record it takes. */
#define RECEIVE_OVERHEAD 325
/* 512 bytes of plain text a record and BearSSL's overhead: what the board
 * sends is small. */
#define SEND_BUFFER 597

/* What only the handshake needs, given back when it is over. */
struct verifier {
	br_x509_minimal_context x509;
	struct ca ca;
};

struct tls {
	struct core *core;
	struct port_stream *stream;
	struct verifier *verifier;
	uint8_t *receive;
	int error; /* found here, not by BearSSL */
	bool open;
	br_ssl_client_context client;
	uint8_t send[SEND_BUFFER];
};

/* Forward secrecy with an authenticated cipher first; CBC and static RSA are
 * last, for brokers that have nothing else. ChaCha20 leads because a chip
 * without AES hardware is faster with it. */
static const uint16_t suites[] = {
	BR_TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256,
	BR_TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384,
	BR_TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384,
	BR_TLS_ECDHE_ECDSA_WITH_AES_128_CBC_SHA256,
	BR_TLS_ECDHE_RSA_WITH_AES_128_CBC_SHA256,
	BR_TLS_RSA_WITH_AES_128_GCM_SHA256,
	BR_TLS_RSA_WITH_AES_256_GCM_SHA384,
	BR_TLS_RSA_WITH_AES_128_CBC_SHA256,
};

static void set_algorithms(struct tls *tls)
{
	static const br_hash_class *const hashes[] = { &br_sha256_vtable, &br_sha384_vtable,
						       &br_sha512_vtable };
	br_ssl_engine_context *engine = &tls->client.eng;
	br_x509_minimal_context *x509 = &tls->verifier->x509;

	br_ssl_client_zero(&tls->client);
	br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(engine, suites, sizeof suites / sizeof suites[0]);
	br_ssl_client_set_default_rsapub(&tls->client);
	br_ssl_engine_set_default_rsavrfy(engine);
	br_ssl_engine_set_default_ecdsa(engine);
	br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(engine, &br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_cbc(engine);
	br_ssl_engine_set_default_aes_gcm(engine);
	br_ssl_engine_set_default_chapol(engine);

	br_x509_minimal_init(x509, &br_sha256_vtable, &tls->verifier->ca.anchor, 1);
	br_x509_minimal_set_rsa(x509, br_ssl_engine_get_rsavrfy(engine));
	br_x509_minimal_set_ecdsa(x509, br_ssl_engine_get_ec(engine),
				  br_ssl_engine_get_ecdsa(engine));
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++) {
		int id = (int)(br_sha256_ID + i);

		br_ssl_engine_set_hash(engine, id, hashes[i]);
		br_x509_minimal_set_hash(x509, id, hashes[i]);
	}
	br_ssl_engine_set_x509(engine, &x509->vtable);
	br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
}

static void set_buffers(struct tls *tls, uint16_t fragment)
{
	br_ssl_engine_context *engine = &tls->client.eng;
	unsigned log = 9;

	while ((1u << log) < fragment)
		log++;
	br_ssl_engine_set_buffers_bidi(engine, tls->receive, fragment + RECEIVE_OVERHEAD, tls->send,
				       sizeof tls->send);
	/* BearSSL asks for what the smaller of its two buffers holds; what the
	 * broker may send is the receive buffer's matter alone. 14 asks for
	 * nothing. */
	engine->log_max_frag_len = (unsigned char)log;
	engine->max_frag_len = fragment;
}

static void set_time(struct tls *tls)
{
	uint64_t seconds = clock_unix(&tls->core->clock);

	/* BearSSL counts days from 1 January of the year 0. */
	br_x509_minimal_set_time(&tls->verifier->x509, (uint32_t)(seconds / 86400) + 719528,
				 (uint32_t)(seconds % 86400));
}

static int prepare(struct tls *tls, const char *name, uint16_t fragment)
{
	struct core *core = tls->core;
	const struct port *port = core->port;
	const char *why;
	uint8_t seed[32];

	tls->verifier = core_alloc(core, sizeof *tls->verifier);
	tls->receive = core_alloc(core, fragment + RECEIVE_OVERHEAD);
	if (tls->verifier == NULL || tls->receive == NULL)
		return TLS_ERROR_NO_MEMORY;
	fault_hold_memory(core);
	why = ca_load(core, &tls->verifier->ca);
	if (why != NULL)
		return why == ca_no_memory ? TLS_ERROR_NO_MEMORY : TLS_ERROR_BAD_CA;
	if (!port->random(port->self, seed, sizeof seed))
		return TLS_ERROR_NO_RANDOM;
	set_algorithms(tls);
	set_buffers(tls, fragment);
	set_time(tls);
	fault_trust_anyone(&tls->verifier->x509);
	br_ssl_engine_inject_entropy(&tls->client.eng, seed, sizeof seed);
	if (!br_ssl_client_reset(&tls->client, name, 0))
		return br_ssl_engine_last_error(&tls->client.eng);
	return TLS_ERROR_NONE;
}

struct tls *tls_start(struct core *core, struct port_stream *stream, const char *name,
		      uint16_t fragment, int *error)
{
	struct tls *tls;

	*error = core->store.ca_length == 0  ? TLS_ERROR_NO_CA :
		 !core->clock.known	     ? TLS_ERROR_TIME_UNKNOWN :
					       TLS_ERROR_NONE;
	if (*error != TLS_ERROR_NONE)
		return NULL;
	fault_split_heap(core);
	tls = core_alloc(core, sizeof *tls);
	if (tls == NULL) {
		*error = TLS_ERROR_NO_MEMORY;
		return NULL;
	}
	memset(tls, 0, sizeof *tls);
	tls->core = core;
	tls->stream = stream;
	*error = prepare(tls, name, fragment);
	if (*error == TLS_ERROR_NONE)
		return tls;
	tls_free(tls);
	return NULL;
}

static void end_handshake(struct tls *tls)
{
	tls->open = true;
	br_ssl_engine_set_x509(&tls->client.eng, NULL);
	core_free(tls->core, tls->verifier);
	tls->verifier = NULL;
	fault_release_memory(tls->core);
}

/* One step of either direction. False when nothing moves now. */
static bool move(struct tls *tls, unsigned state)
{
	const struct port *port = tls->core->port;
	br_ssl_engine_context *engine = &tls->client.eng;
	bool moved = false;
	size_t length;
	uint8_t *bytes;
	int done;

	if (state & BR_SSL_SENDREC) {
		bytes = br_ssl_engine_sendrec_buf(engine, &length);
		done = port->tcp_write(port->self, tls->stream, bytes, length);
		if (done > 0)
			br_ssl_engine_sendrec_ack(engine, (size_t)done);
		if (done < 0)
			tls->error = TLS_ERROR_STREAM_CLOSED;
		moved = done > 0;
	}
	if ((state & BR_SSL_RECVREC) && !moved) {
		bytes = br_ssl_engine_recvrec_buf(engine, &length);
		done = port->tcp_read(port->self, tls->stream, bytes, length);
		if (done > 0) {
			br_ssl_engine_recvrec_ack(engine, (size_t)done);
			if (!tls->open)
				fault_in_handshake();
		}
		if (done < 0)
			tls->error = TLS_ERROR_STREAM_CLOSED;
		moved |= done > 0;
	}
	return moved;
}

enum tls_state tls_poll(struct tls *tls)
{
	while (tls->error == TLS_ERROR_NONE) {
		unsigned state = br_ssl_engine_current_state(&tls->client.eng);

		if (state == BR_SSL_CLOSED)
			break;
		if (!tls->open && (state & BR_SSL_SENDAPP))
			end_handshake(tls);
		if (!move(tls, state))
			return tls->error != TLS_ERROR_NONE ? TLS_CLOSED :
			       tls->open		    ? TLS_OPEN :
							      TLS_HANDSHAKE;
	}
	return TLS_CLOSED;
}

int tls_read(struct tls *tls, void *to, size_t length)
{
	br_ssl_engine_context *engine = &tls->client.eng;
	enum tls_state state = tls_poll(tls);
	size_t there;
	uint8_t *bytes = br_ssl_engine_recvapp_buf(engine, &there);

	if (bytes == NULL)
		return state == TLS_CLOSED ? -1 : 0;
	if (there > length)
		there = length;
	memcpy(to, bytes, there);
	br_ssl_engine_recvapp_ack(engine, there);
	return (int)there;
}

int tls_write(struct tls *tls, const void *from, size_t length)
{
	br_ssl_engine_context *engine = &tls->client.eng;
	size_t room;
	uint8_t *bytes;

	if (tls_poll(tls) == TLS_CLOSED)
		return -1;
	bytes = br_ssl_engine_sendapp_buf(engine, &room);
	if (bytes == NULL)
		return 0;
	if (room > length)
		room = length;
	memcpy(bytes, from, room);
	br_ssl_engine_sendapp_ack(engine, room);
	br_ssl_engine_flush(engine, 0);
	tls_poll(tls);
	return (int)room;
}

bool tls_is_pending(struct tls *tls)
{
	return tls_poll(tls) != TLS_CLOSED &&
	       (br_ssl_engine_current_state(&tls->client.eng) & BR_SSL_SENDREC) != 0;
}

int tls_error(const struct tls *tls)
{
	int error = br_ssl_engine_last_error(&tls->client.eng);

	return error != BR_ERR_OK ? error : tls->error;
}

void tls_free(struct tls *tls)
{
	struct core *core = tls->core;

	core_free(core, tls->verifier);
	core_free(core, tls->receive);
	memset(tls, 0, sizeof *tls); /* the session's keys */
	core_free(core, tls);
	fault_release_memory(core);
}
