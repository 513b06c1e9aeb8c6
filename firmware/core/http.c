#include "http.h"

#include <stdio.h>
#include <string.h>

#include "ca.h"
#include "config_page.h"
#include "form.h"
#include "http_parse.h"
#include "mode.h"
#include "pem.h"
#include "query.h"
#include "requests.h"

/* A peer that sends no byte holds the only place for so long. */
#define FIRST_BYTE_MS 3000u
/* A whole request has to be there by then. */
#define REQUEST_MS 10000u
/* After the answer: how long the peer's acknowledgement is waited for. */
#define LEAVE_MS 3000u
/* After a refusal the rest of the request is read for so long, as closing with
 * unread bytes would reset the connection and lose the answer. */
#define DRAIN_MS 1000u

enum stage {
	STAGE_FREE,
	STAGE_READING, /* request line and headers */
	STAGE_BODY,    /* of POST /ca */
	STAGE_LEAVING, /* the answer is on its way */
};

enum target {
	TARGET_NONE,
	TARGET_HOME,
	TARGET_REQUEST,
	TARGET_PAGE,
	TARGET_FORM,
	TARGET_CA,
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
	struct out out;
};

bool http_start(struct core *core)
{
	struct http *http = core_alloc(core, sizeof *http);

	if (http == NULL)
		return false;
	memset(http, 0, sizeof *http);
	if (!core->port->tcp_listen(core->port->self, core->settings.http_port)) {
		core_free(core, http);
		return false;
	}
	core->http = http;
	return true;
}

bool http_is_idle(const struct core *core)
{
	return core->http == NULL || core->http->stage == STAGE_FREE;
}

static void free_body(struct core *core)
{
	struct http *http = core->http;

	core_free(core, http->form);
	core_free(core, http->pem);
	http->form = NULL;
	http->pem = NULL;
}

static void close_stream(struct core *core)
{
	struct http *http = core->http;

	free_body(core);
	core->port->tcp_close(core->port->self, http->stream);
	http->stream = NULL;
	http->stage = STAGE_FREE;
}

static const char *words_of(int status)
{
	switch (status) {
	case 200:
		return "OK";
	case 302:
		return "Found";
	case 400:
		return "Bad Request";
	case 404:
		return "Not Found";
	case 405:
		return "Method Not Allowed";
	case 408:
		return "Request Timeout";
	case 411:
		return "Length Required";
	case 413:
		return "Content Too Large";
	case 414:
		return "URI Too Long";
	case 431:
		return "Request Header Fields Too Large";
	case 500:
		return "Internal Server Error";
	case 503:
		return "Service Unavailable";
	default:
		return "HTTP Version Not Supported";
	}
}

static void send_head(struct http *http, int status, const char *type, unsigned long length)
{
	char number[24];

	snprintf(number, sizeof number, "HTTP/1.1 %d ", status);
	out_text(&http->out, number);
	out_text(&http->out, words_of(status));
	out_text(&http->out, "\r\nContent-Type: ");
	out_text(&http->out, type);
	if (status == 302)
		out_text(&http->out, "\r\nLocation: /config");
	if (status == 405)
		out_text(&http->out, "\r\nAllow: GET");
	snprintf(number, sizeof number, "%lu", length);
	out_text(&http->out, "\r\nContent-Length: ");
	out_text(&http->out, number);
	out_text(&http->out, "\r\nCache-Control: no-store\r\nConnection: close\r\n\r\n");
}

/* The answer is with the port: wait until it has left. */
static void leave(struct core *core)
{
	struct http *http = core->http;

	free_body(core);
	if (!out_end(&http->out)) {
		close_stream(core);
		return;
	}
	http->stage = STAGE_LEAVING;
	http->deadline_ms = core_now(core) + LEAVE_MS;
	http->drain_until_ms = core_now(core) + DRAIN_MS;
}

static void answer(struct core *core, int status, const char *type, const char *text)
{
	struct http *http = core->http;

	out_start(&http->out, core, http->stream);
	send_head(http, status, type, strlen(text));
	out_text(&http->out, text);
	http->drain = status >= 400;
	leave(core);
}

static void answer_text(struct core *core, int status, const char *text)
{
	answer(core, status, "text/plain; charset=utf-8", text);
}

static void answer_page(struct core *core, const char *note)
{
	struct http *http = core->http;
	enum heap_phase before = heap_enter(&core->heap, HEAP_PAGE);
	unsigned long length;

	http->drain = false;
	out_start(&http->out, core, NULL);
	config_page_render(&http->out, note);
	length = http->out.total;
	out_start(&http->out, core, http->stream);
	send_head(http, 200, "text/html; charset=utf-8", length);
	config_page_render(&http->out, note);
	leave(core);
	heap_enter(&core->heap, before);
	heap_log(&core->heap, &core->log, HEAP_PAGE);
}

static void answer_form(struct core *core)
{
	struct http *http = core->http;
	const char *why;
	char text[96];

	why = form_end(http->form, core->port->mac);
	if (why != NULL) {
		snprintf(text, sizeof text, "Not stored. %s: %s\n", http->form->refused, why);
		answer_text(core, 400, text);
		return;
	}
	if (!store_save(&core->store, &http->form->settings)) {
		log_line(&core->log, "Settings: not stored, the flash failed");
		answer_text(core, 500, "Not stored. The flash failed.\n");
		return;
	}
	core->settings = http->form->settings;
	log_line(&core->log, "Settings: stored (sequence %lu)", (unsigned long)core->store.sequence);
	core_free(core, http->form); /* the page phase is measured without it */
	http->form = NULL;
	answer_page(core, "Settings stored. They count from the next reset on.");
}

static void answer_request(struct core *core)
{
	char reply[REPLY_MAX];

	request_answer(core, &core->http->request, reply);
	answer(core, 200, reply[0] == '{' ? "application/json" : "text/plain; charset=utf-8", reply);
}

static void answer_ca(struct core *core)
{
	char text[16 + CA_DIGEST_TEXT_SIZE];
	struct http *http = core->http;
	bool stored = http->pem != NULL;

	if (stored) {
		const char *why = pem_end(http->pem);

		if (why == NULL)
			why = ca_decode(core, http->pem->der, http->pem->length);
		if (why != NULL) {
			snprintf(text, sizeof text, "CA refused: ");
			out_start(&http->out, core, http->stream);
			send_head(http, 400, "text/plain; charset=utf-8", strlen(text) + strlen(why) + 1);
			out_text(&http->out, text);
			out_text(&http->out, why);
			out_text(&http->out, "\n");
			http->drain = true;
			leave(core);
			return;
		}
		if (!store_save_part(&core->store, &core->settings, STORE_CA, http->pem->der,
				     http->pem->length)) {
			answer_text(core, 500, "CA not stored. The flash failed.\n");
			return;
		}
	}
	strcpy(text, stored ? "CA stored: " : "");
	if (!ca_digest(core, text + strlen(text))) {
		answer_text(core, 500, "The flash cannot be read.\n");
		return;
	}
	if (stored)
		log_line(&core->log, "%s", text);
	answer_text(core, 200, text);
}

/* Method and path are known: what is it about, and is it wanted at all. */
static void choose_target(struct core *core)
{
	struct http *http = core->http;
	const struct http_parse *parse = &http->parse;
	bool query = parse->step == HTTP_QUERY;

	if (parse->path_cut)
		return;
	if (strcmp(parse->path, "/") == 0) {
		http->target = query ? TARGET_REQUEST : TARGET_HOME;
		memset(&http->request, 0, sizeof http->request);
		query_start(&http->query, request_take, &http->request);
	} else if (strcmp(parse->path, "/config") == 0) {
		http->target = query ? TARGET_FORM : TARGET_PAGE;
	} else if (strcmp(parse->path, "/ca") == 0) {
		http->target = TARGET_CA;
	}
	if (http->target != TARGET_FORM)
		return;
	http->form = core_alloc(core, sizeof *http->form);
	if (http->form == NULL)
		return;
	form_start(http->form, &core->settings);
	query_start(&http->query, form_take, http->form);
}

static void start_body(struct core *core)
{
	struct http *http = core->http;
	const struct port *port = core->port;
	static const char go_on[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!http->parse.has_length) {
		answer_text(core, 411, "Content-Length is missing.\n");
		return;
	}
	http->pem = core_alloc(core, sizeof *http->pem);
	if (http->pem == NULL) {
		answer_text(core, 503, "No memory for the certificate.\n");
		return;
	}
	pem_start(http->pem);
	if (http->parse.expects_continue)
		port->tcp_write(port->self, http->stream, go_on, sizeof go_on - 1);
	http->body_left = http->parse.length;
	http->stage = STAGE_BODY;
	if (http->body_left == 0)
		answer_ca(core);
}

static void handle_headers(struct core *core)
{
	struct http *http = core->http;
	const struct http_parse *parse = &http->parse;

	if (parse->step == HTTP_FAILED) {
		answer_text(core, parse->status, words_of(parse->status));
		return;
	}
	if (http->target == TARGET_NONE) {
		answer_text(core, 404, "Not found. There are /config, /ca and /?request=NAME.\n");
		return;
	}
	if (parse->method == HTTP_POST && http->target == TARGET_CA) {
		start_body(core);
		return;
	}
	if (parse->method != HTTP_GET) {
		answer_text(core, 405, "Only GET, and POST to /ca.\n");
		return;
	}
	switch (http->target) {
	case TARGET_REQUEST:
		query_end(&http->query);
		answer_request(core);
		break;
	case TARGET_FORM:
		if (http->form == NULL) {
			answer_text(core, 503, "No memory for the form.\n");
			break;
		}
		query_end(&http->query);
		answer_form(core);
		break;
	case TARGET_PAGE:
		answer_page(core, NULL);
		break;
	case TARGET_CA:
		answer_ca(core);
		break;
	default:
		answer_text(core, 302, "See /config.\n");
	}
}

static void feed(struct core *core, const char *bytes, size_t length)
{
	struct http *http = core->http;
	size_t at = 0;

	while (at < length && http->stage == STAGE_READING) {
		char byte = bytes[at++];

		switch (http_parse_feed(&http->parse, byte)) {
		case HTTP_PATH_READ:
			choose_target(core);
			break;
		case HTTP_QUERY_BYTE:
			if (http->target == TARGET_REQUEST || http->form != NULL)
				query_feed(&http->query, byte);
			break;
		case HTTP_END:
			handle_headers(core);
			break;
		default:
			break;
		}
	}
	if (http->stage == STAGE_BODY && at < length) {
		size_t part = length - at < http->body_left ? length - at : http->body_left;

		pem_feed(http->pem, bytes + at, part);
		http->body_left -= part;
		if (http->body_left == 0)
			answer_ca(core);
	}
}

static void poll_reading(struct core *core)
{
	struct http *http = core->http;
	const struct port *port = core->port;
	char bytes[128];

	while (http->stage == STAGE_READING || http->stage == STAGE_BODY) {
		int length = port->tcp_read(port->self, http->stream, bytes, sizeof bytes);

		if (length > 0) {
			if (http->parse.bytes == 0 && http->parse.step == HTTP_METHOD)
				http->deadline_ms = core_now(core) + REQUEST_MS;
			feed(core, bytes, (size_t)length);
			continue;
		}
		if (length < 0)
			close_stream(core); /* went away in the middle: nobody to answer */
		else if (core_due(core, http->deadline_ms))
			answer_text(core, 408, "The request took too long.\n");
		return;
	}
}

static void poll_leaving(struct core *core)
{
	struct http *http = core->http;
	const struct port *port = core->port;
	char bytes[128];
	int length;

	do
		length = port->tcp_read(port->self, http->stream, bytes, sizeof bytes);
	while (length > 0);
	if (core_due(core, http->deadline_ms) ||
	    port->tcp_state(port->self, http->stream) == PORT_STREAM_FAILED) {
		close_stream(core);
		return;
	}
	if (port->tcp_unacknowledged(port->self, http->stream) > 0)
		return;
	if (!http->drain || length < 0 || core_due(core, http->drain_until_ms))
		close_stream(core);
}

/* False when nobody waits. */
static bool poll_free(struct core *core)
{
	struct http *http = core->http;

	http->stream = core->port->tcp_accept(core->port->self);
	if (http->stream == NULL)
		return false;
	http->stage = STAGE_READING;
	http->target = TARGET_NONE;
	http->deadline_ms = core_now(core) + FIRST_BYTE_MS;
	http_parse_start(&http->parse);
	return true;
}

uint32_t http_poll(struct core *core)
{
	struct http *http = core->http;
	bool busy;

	if (http == NULL)
		return UINT32_MAX;
	busy = http->stage != STAGE_FREE || (!core->reset_wanted && poll_free(core));
	if (http->stage == STAGE_READING || http->stage == STAGE_BODY)
		poll_reading(core);
	if (http->stage == STAGE_LEAVING)
		poll_leaving(core);
	if (http->stage != STAGE_FREE)
		return 20;
	/* The next one may have been waiting while this one had the place. */
	return busy ? 0 : UINT32_MAX;
}
