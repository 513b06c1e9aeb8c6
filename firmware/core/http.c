#include "http.h"

#include <string.h>

#include "fault.h"
#include "http_answers.h"

/* A peer that sends no byte may occupy the only connection for this long. */
#define FIRST_BYTE_MS 3000u
/* Deadline for a whole request. */
#define REQUEST_MS 10000u

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

/* Method and path are known: chooses the target, if there is one. */
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
	} else if (strcmp(parse->path, "/cert") == 0) {
		http->target = TARGET_CERTIFICATE;
	}
	if (http->target != TARGET_FORM)
		return;
	http->form = core_alloc(core, sizeof *http->form);
	if (http->form == NULL)
		return;
	form_start(http->form, &core->settings);
	query_start(&http->query, form_take, http->form);
}

/* Allocates the reader of the body. False without memory. */
static bool start_reader(struct core *core)
{
	struct http *http = core->http;

	if (http->target == TARGET_CA) {
		http->pem = core_alloc(core, sizeof *http->pem + fault_ca_bytes());
		if (http->pem != NULL)
			pem_start(http->pem);
		return http->pem != NULL;
	}
	http->identity = core_alloc(core, sizeof *http->identity);
	if (http->identity != NULL)
		identity_start(http->identity);
	return http->identity != NULL;
}

static void end_body(struct core *core)
{
	if (core->http->target == TARGET_CA)
		http_answer_ca(core);
	else
		http_answer_certificate(core);
}

static void start_body(struct core *core)
{
	struct http *http = core->http;
	const struct port *port = core->port;
	static const char proceed[] = "HTTP/1.1 100 Continue\r\n\r\n";

	if (!http->parse.has_length) {
		http_answer_text(core, 411, "Content-Length is missing.\n");
		return;
	}
	if (http->parse.length == 0 && http->target == TARGET_CERTIFICATE) {
		http_remove_certificate(core);
		return;
	}
	if (!start_reader(core)) {
		http_answer_text(core, 503, "No memory for the certificate.\n");
		return;
	}
	if (http->parse.expects_continue)
		port->tcp_write(port->self, http->stream, proceed, sizeof proceed - 1);
	http->body_left = http->parse.length;
	http->stage = STAGE_BODY;
	if (http->body_left == 0)
		end_body(core);
}

static void handle_headers(struct core *core)
{
	struct http *http = core->http;
	const struct http_parse *parse = &http->parse;

	if (parse->step == HTTP_FAILED) {
		http_answer_status(core, parse->status);
		return;
	}
	if (http->target == TARGET_NONE) {
		http_answer_text(core, 404, "Not found. There are /config, /ca, /cert and /?request=NAME.\n");
		return;
	}
	if (parse->method == HTTP_POST &&
	    (http->target == TARGET_CA || http->target == TARGET_CERTIFICATE)) {
		start_body(core);
		return;
	}
	if (parse->method == HTTP_DELETE && http->target == TARGET_CERTIFICATE) {
		http_remove_certificate(core);
		return;
	}
	if (parse->method != HTTP_GET) {
		http_answer_text(core, 405, "Only GET, POST to /ca and /cert, and DELETE of /cert.\n");
		return;
	}
	switch (http->target) {
	case TARGET_REQUEST:
		query_end(&http->query);
		http_answer_request(core);
		break;
	case TARGET_FORM:
		if (http->form == NULL) {
			http_answer_text(core, 503, "No memory for the form.\n");
			break;
		}
		query_end(&http->query);
		http_answer_form(core);
		break;
	case TARGET_PAGE:
		http_answer_page(core, NULL);
		break;
	case TARGET_CA:
		http_answer_ca(core);
		break;
	case TARGET_CERTIFICATE:
		http_answer_certificate(core);
		break;
	default:
		http_answer_text(core, 302, "See /config.\n");
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

		if (http->target == TARGET_CA)
			pem_feed(http->pem, bytes + at, part);
		else
			identity_feed(http->identity, bytes + at, part);
		http->body_left -= part;
		if (http->body_left == 0)
			end_body(core);
	}
}

/* Reads what has arrived, and answers. */
static void read_on(struct core *core)
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
			http_close(core); /* the peer left in the middle of its request */
		else if (core_due(core, http->deadline_ms))
			http_answer_text(core, 408, "The request took too long.\n");
		return;
	}
}

static void poll_reading(struct core *core)
{
	enum heap_phase before = heap_enter(&core->heap, HEAP_PAGE);

	read_on(core);
	heap_enter(&core->heap, before);
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
		http_close(core);
		return;
	}
	if (port->tcp_unacknowledged(port->self, http->stream) > 0)
		return;
	if (!http->drain || length < 0 || core_due(core, http->drain_until_ms))
		http_close(core);
}

/* False when no connection is waiting. */
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
	/* The next connection may have been waiting for this one. */
	return busy ? 0 : UINT32_MAX;
}
