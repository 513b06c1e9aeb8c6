#include "tls.h"

#include <bearssl.h>
#include <string.h>

#include "ca.h"
#include "fault.h"
#include "identity.h"
#include "pin.h"
#include "suites.h"

/* BearSSL's overhead on top of the largest record it accepts. */
#define RECEIVE_OVERHEAD 325
/* 512 bytes of plain text a record and BearSSL's overhead: what the board
 * sends is small. */
#define SEND_BUFFER 597

/* Needed by the handshake only, and freed after it: one of the two. */
struct verifier {
	br_x509_minimal_context x509;
	struct ca ca;
};
/* Kept from one connection to the next, to resume the session. */
struct tls_session {
	br_ssl_session_parameters parameters; /* an id of no bytes: none */
};

struct tls {
	struct core *core;
	struct port_stream *stream;
	struct verifier *verifier;
	struct pin *pin;
	struct identity *identity; /* for the handshake */
	uint8_t *receive;
	const char *protocol; /* offered by ALPN */
	uint32_t started_ms;
	struct tls_facts facts;
	int error; /* found here, not by BearSSL */
	bool open;
	bool write_closed; /* the peer accepts no more */
	br_ssl_client_context client;
	uint8_t send[SEND_BUFFER];
};

static bool set_algorithms(struct tls *tls)
{
	static const br_hash_class *const hashes[] = { &br_sha256_vtable, &br_sha384_vtable,
						       &br_sha512_vtable };
	br_ssl_engine_context *engine = &tls->client.eng;
	unsigned choice = tls->core->settings.tls_suites;
	uint16_t suites[SUITES_MAX];
	size_t count = suites_list(choice, suites);

	br_ssl_client_zero(&tls->client);
	br_ssl_engine_set_versions(engine, BR_TLS12, BR_TLS12);
	br_ssl_engine_set_suites(engine, suites, count);
	br_ssl_client_set_default_rsapub(&tls->client);
	br_ssl_engine_set_default_rsavrfy(engine);
	br_ssl_engine_set_default_ecdsa(engine);
	if (!suites_have_ecdsa(choice))
		br_ssl_engine_set_ecdsa(engine, NULL);
	br_ssl_engine_set_prf_sha256(engine, &br_tls12_sha256_prf);
	br_ssl_engine_set_prf_sha384(engine, &br_tls12_sha384_prf);
	br_ssl_engine_set_default_aes_cbc(engine);
	br_ssl_engine_set_default_aes_gcm(engine);
	br_ssl_engine_set_default_chapol(engine);
	for (size_t i = 0; i < sizeof hashes / sizeof hashes[0]; i++)
		br_ssl_engine_set_hash(engine, (int)(br_sha256_ID + i), hashes[i]);
	br_ssl_engine_add_flags(engine, BR_OPT_NO_RENEGOTIATION);
	return count > 0;
}

static void set_time(struct tls *tls)
{
	uint64_t seconds = clock_unix(&tls->core->clock);

	/* BearSSL counts days from 1 January of the year 0. */
	br_x509_minimal_set_time(&tls->verifier->x509, (uint32_t)(seconds / 86400) + 719528,
				 (uint32_t)(seconds % 86400));
}

/* Verifies the broker's certificate against the stored CA. */
static int trust_ca(struct tls *tls)
{
	struct core *core = tls->core;
	br_ssl_engine_context *engine = &tls->client.eng;
	br_x509_minimal_context *x509 = &tls->verifier->x509;
	const char *why = ca_load(core, &tls->verifier->ca);

	if (why != NULL)
		return why == ca_no_memory ? TLS_ERROR_NO_MEMORY : TLS_ERROR_BAD_CA;
	br_x509_minimal_init(x509, &br_sha256_vtable, &tls->verifier->ca.anchor, 1);
	br_x509_minimal_set_rsa(x509, br_ssl_engine_get_rsavrfy(engine));
	if (br_ssl_engine_get_ecdsa(engine) != NULL)
		br_x509_minimal_set_ecdsa(x509, br_ssl_engine_get_ec(engine),
					  br_ssl_engine_get_ecdsa(engine));
	for (int id = br_sha256_ID; id <= br_sha512_ID; id++)
		br_x509_minimal_set_hash(x509, id, br_ssl_engine_get_hash(engine, id));
	set_time(tls);
	fault_trust_anyone(x509);
	br_ssl_engine_set_x509(engine, &x509->vtable);
	return TLS_ERROR_NONE;
}

/* Verifies it against the digest that is set. */
static void trust_pin(struct tls *tls)
{
	pin_start(tls->pin, tls->core->settings.tls_pin);
	br_ssl_engine_set_x509(&tls->client.eng, &tls->pin->vtable);
}

static void set_buffers(struct tls *tls, uint16_t fragment)
{
	br_ssl_engine_context *engine = &tls->client.eng;
	unsigned log = 9;

	while ((1u << log) < fragment)
		log++;
	br_ssl_engine_set_buffers_bidi(engine, tls->receive, fragment + RECEIVE_OVERHEAD, tls->send,
				       sizeof tls->send);
	/* BearSSL asks for the size of the smaller of its two buffers, but only
	 * the receive buffer limits what the broker may send. 14 asks for
	 * nothing. */
	engine->log_max_frag_len = (unsigned char)log;
	engine->max_frag_len = fragment;
}

static bool allocate(struct tls *tls)
{
	struct core *core = tls->core;

	if (settings_have_pin(&core->settings))
		tls->pin = core_alloc(core, sizeof *tls->pin);
	else
		tls->verifier = core_alloc(core, sizeof *tls->verifier);
	tls->receive = core_alloc(core, core->settings.tls_fragment + RECEIVE_OVERHEAD);
	return (tls->pin != NULL || tls->verifier != NULL) && tls->receive != NULL;
}

static int prepare(struct tls *tls)
{
	struct core *core = tls->core;
	const struct settings *settings = &core->settings;
	const struct port *port = core->port;
	br_ssl_engine_context *engine = &tls->client.eng;
	const char *name = settings->broker[0] != 0 ? settings->broker : NULL;
	const struct tls_session *session = core->tls_session;
	uint8_t seed[32];
	int error = TLS_ERROR_NONE;

	if (!allocate(tls))
		return TLS_ERROR_NO_MEMORY;
	fault_hold_memory(core);
	if (!set_algorithms(tls))
		return TLS_ERROR_NO_SUITES;
	if (tls->pin != NULL)
		trust_pin(tls);
	else
		error = trust_ca(tls);
	if (error == TLS_ERROR_NONE)
		error = identity_load(core, &tls->client, &tls->identity);
	if (error != TLS_ERROR_NONE)
		return error;
	if (!port->random(port->self, seed, sizeof seed))
		return TLS_ERROR_NO_RANDOM;
	set_buffers(tls, settings->tls_fragment);
	tls->protocol = settings->tls_alpn;
	if (settings->tls_alpn[0] != 0)
		br_ssl_engine_set_protocol_names(engine, &tls->protocol, 1);
	br_ssl_engine_inject_entropy(engine, seed, sizeof seed);
	if (session != NULL)
		br_ssl_engine_set_session_parameters(engine, &session->parameters);
	if (!br_ssl_client_reset(&tls->client, name, session != NULL))
		return br_ssl_engine_last_error(engine);
	return TLS_ERROR_NONE;
}

int tls_hindrance(const struct core *core)
{
	/* With a pinned certificate neither CA nor date matters. */
	if (settings_have_pin(&core->settings))
		return TLS_ERROR_NONE;
	if (core->store.length[STORE_CA] == 0)
		return TLS_ERROR_NO_CA;
	return core->clock.known ? TLS_ERROR_NONE : TLS_ERROR_TIME_UNKNOWN;
}

/* Allocated before everything that a connection frees, so that it leaves no hole. */
static void make_session(struct core *core)
{
	if (!core->settings.tls_resume || core->tls_session != NULL)
		return;
	core->tls_session = core_alloc(core, sizeof *core->tls_session);
	/* Without memory for it each handshake is a full one. */
	if (core->tls_session != NULL)
		memset(core->tls_session, 0, sizeof *core->tls_session);
}

struct tls *tls_start(struct core *core, struct port_stream *stream, int *error)
{
	struct tls *tls;

	*error = tls_hindrance(core);
	if (*error != TLS_ERROR_NONE)
		return NULL;
	make_session(core);
	fault_split_heap(core);
	tls = core_alloc(core, sizeof *tls);
	if (tls == NULL) {
		*error = TLS_ERROR_NO_MEMORY;
		return NULL;
	}
	memset(tls, 0, sizeof *tls);
	tls->core = core;
	tls->stream = stream;
	tls->started_ms = core_now(core);
	*error = prepare(tls);
	if (*error == TLS_ERROR_NONE)
		return tls;
	tls_free(tls);
	return NULL;
}

static void note_facts(struct tls *tls)
{
	struct core *core = tls->core;
	br_ssl_session_parameters now;

	br_ssl_engine_get_session_parameters(&tls->client.eng, &now);
	tls->facts = (struct tls_facts){
		.version = now.version,
		.suite = now.cipher_suite,
		.record = core->settings.tls_fragment,
		.milliseconds = core_now(core) - tls->started_ms,
		.may_resume = core->settings.tls_resume,
	};
	if (core->tls_session != NULL) {
		const br_ssl_session_parameters *old = &core->tls_session->parameters;

		/* A broker that resumes sends the id back (RFC 5246, 7.4.1.3). */
		tls->facts.resumed = now.session_id_len > 0 &&
				     now.session_id_len == old->session_id_len &&
				     memcmp(now.session_id, old->session_id,
					    now.session_id_len) == 0;
		core->tls_session->parameters = now;
	}
	memset(&now, 0, sizeof now);
}

static void free_for_handshake(struct tls *tls)
{
	core_free(tls->core, tls->verifier);
	core_free(tls->core, tls->pin);
	identity_free(tls->core, tls->identity);
	tls->verifier = NULL;
	tls->pin = NULL;
	tls->identity = NULL;
}

static void end_handshake(struct tls *tls)
{
	tls->open = true;
	note_facts(tls);
	br_ssl_engine_set_x509(&tls->client.eng, NULL);
	br_ssl_client_set_client_certificate(&tls->client, NULL);
	free_for_handshake(tls);
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

	if ((state & BR_SSL_SENDREC) && !tls->write_closed) {
		bytes = br_ssl_engine_sendrec_buf(engine, &length);
		done = port->tcp_write(port->self, tls->stream, bytes, length);
		if (done > 0)
			br_ssl_engine_sendrec_ack(engine, (size_t)done);
		/* The last records have the reason of the close: they are still read. */
		tls->write_closed = done < 0;
		moved = done > 0;
	}
	if (tls->write_closed && !(state & BR_SSL_RECVREC))
		tls->error = TLS_ERROR_STREAM_CLOSED;
	if ((state & BR_SSL_RECVREC) && !moved) {
		bytes = br_ssl_engine_recvrec_buf(engine, &length);
		done = port->tcp_read(port->self, tls->stream, bytes, length);
		if (done > 0) {
			br_ssl_engine_recvrec_ack(engine, (size_t)done);
			if (!tls->open)
				fault_in_handshake();
		}
		if (done < 0 || (done == 0 && tls->write_closed))
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

struct tls_facts tls_facts(const struct tls *tls)
{
	return tls->facts;
}

void tls_free(struct tls *tls)
{
	struct core *core = tls->core;

	/* A session that failed is not offered again. */
	if (!tls->open && core->tls_session != NULL)
		memset(core->tls_session, 0, sizeof *core->tls_session);
	free_for_handshake(tls);
	core_free(core, tls->receive);
	memset(tls, 0, sizeof *tls); /* the session's keys */
	core_free(core, tls);
	fault_release_memory(core);
}
