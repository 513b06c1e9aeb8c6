/* What the two halves of the web server share: http.c takes connections and reads
 * requests, http_answers.c answers them. Nobody else includes this. */
#ifndef HILRIG_HTTP_SERVER_H
#define HILRIG_HTTP_SERVER_H

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
void http_close(struct core *core);

/* Each begins to answer; the connection closes when the answer has left. */
void http_answer_text(struct core *core, int status, const char *text);
/* With the status's own words. */
void http_answer_status(struct core *core, int status);
void http_answer_page(struct core *core, const char *note);
void http_answer_form(struct core *core);
void http_answer_request(struct core *core);
/* GET, and POST whose body was read. */
void http_answer_ca(struct core *core);
void http_answer_certificate(struct core *core);
/* DELETE, and POST without a body. */
void http_remove_certificate(struct core *core);

#endif
