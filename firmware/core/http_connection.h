/* The one connection of the web server, and how it ends. http.c accepts connections and reads
 * requests, http_answers.c answers them. */
#ifndef HILRIG_HTTP_CONNECTION_H
#define HILRIG_HTTP_CONNECTION_H

#include "core.h"
#include "form.h"
#include "http_parse.h"
#include "identity.h"
#include "out.h"
#include "pem.h"
#include "query.h"
#include "requests.h"

enum stage {
	STAGE_FREE,
	STAGE_READING, /* request line and headers */
	STAGE_BODY,    /* of a POST */
	STAGE_LEAVING, /* the answer is on its way */
};

enum target {
	TARGET_NONE,
	TARGET_HOME,
	TARGET_REQUEST,
	TARGET_PAGE,
	TARGET_FORM,
	TARGET_CA,
	TARGET_CERTIFICATE, /* the client's own */
};

struct http {
	struct port_stream *stream;
	enum stage stage;
	enum target target;
	bool drain;
	uint32_t deadline_ms;
	uint32_t drain_until_ms;
	uint32_t body_left;
	struct http_parse parse;
	struct query query;
	struct request request;
	struct form *form; /* from the heap, while a form is read */
	struct pem *pem;   /* from the heap, while a CA is read */
	struct identity_reader *identity; /* from the heap, while a certificate is read */
	struct out out;
};

/* Frees what was allocated to read the request. */
void http_free_body(struct core *core);

/* Closes the connection; the next one can be accepted. */
void http_close(struct core *core);

#endif
