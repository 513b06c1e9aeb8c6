#include "http_answers.h"

#include <stdio.h>
#include <string.h>

#include "ca.h"
#include "config_page.h"

/* How long to wait for the peer's acknowledgement of the answer. */
#define LEAVE_MS 3000u
/* How long the rest of the request is read after a refusal: closing with unread
 * bytes would reset the connection and lose the answer. */
#define DRAIN_MS 1000u

static const char *status_text(int status)
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
	out_text(&http->out, status_text(status));
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

/* The port has the answer: wait until it has left. */
static void leave(struct core *core)
{
	struct http *http = core->http;

	http_free_body(core);
	if (!out_end(&http->out)) {
		http_close(core);
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

void http_answer_text(struct core *core, int status, const char *text)
{
	answer(core, status, "text/plain; charset=utf-8", text);
}

void http_answer_status(struct core *core, int status)
{
	http_answer_text(core, status, status_text(status));
}

void http_answer_page(struct core *core, const char *note)
{
	struct http *http = core->http;
	unsigned long length;

	http->drain = false;
	out_start(&http->out, core, NULL);
	config_page_render(&http->out, note);
	length = http->out.total;
	out_start(&http->out, core, http->stream);
	send_head(http, 200, "text/html; charset=utf-8", length);
	config_page_render(&http->out, note);
	leave(core);
	heap_log(&core->heap, &core->log, HEAP_PAGE);
}

void http_answer_form(struct core *core)
{
	struct http *http = core->http;
	const char *why;
	char text[96];

	why = form_end(http->form, core->port->mac);
	if (why != NULL) {
		snprintf(text, sizeof text, "Not stored. %s: %s\n", http->form->refused, why);
		http_answer_text(core, 400, text);
		return;
	}
	if (!store_save(&core->store, &http->form->settings)) {
		log_line(&core->log, "Settings: not stored, the flash failed");
		http_answer_text(core, 500, "Not stored. The flash failed.\n");
		return;
	}
	core->settings = http->form->settings;
	log_line(&core->log, "Settings: stored (sequence %lu)", (unsigned long)core->store.sequence);
	core_free(core, http->form); /* sending allocates, too */
	http->form = NULL;
	http_answer_page(core, "Settings stored. They apply from the next reset on.");
}

void http_answer_request(struct core *core)
{
	char reply[REPLY_MAX];

	request_answer(core, &core->http->request, reply);
	answer(core, 200, reply[0] == '{' ? "application/json" : "text/plain; charset=utf-8", reply);
}

static void refuse(struct core *core, const char *what, const char *why)
{
	struct http *http = core->http;

	out_start(&http->out, core, http->stream);
	send_head(http, 400, "text/plain; charset=utf-8", strlen(what) + strlen(why) + 1);
	out_text(&http->out, what);
	out_text(&http->out, why);
	out_text(&http->out, "\n");
	http->drain = true;
	leave(core);
}

/* The digest of the stored certificate. */
static void answer_digest(struct core *core, const char *stored, bool (*digest)(const struct store *, char *))
{
	char text[24 + DIGEST_TEXT_SIZE];

	strcpy(text, stored);
	if (!digest(&core->store, text + strlen(text))) {
		http_answer_text(core, 500, "The flash cannot be read.\n");
		return;
	}
	if (stored[0] != 0)
		log_line(&core->log, "%s", text);
	http_answer_text(core, 200, text);
}

static const char no_space[] = "no space for it beside the other certificate";

/* NULL if it is stored, or the reason for the refusal. */
static const char *store_ca(struct core *core, struct pem *pem, bool *flash_failed)
{
	const char *why = pem_end(pem);

	if (why == NULL)
		why = ca_decode(core, pem->der, pem->length);
	if (why == NULL && !store_fits(&core->store, STORE_CA, pem->length))
		why = no_space;
	*flash_failed = why == NULL && !store_save_part(&core->store, &core->settings, STORE_CA,
							pem->der, pem->length);
	return why;
}

static const char *store_certificate(struct core *core, struct identity_reader *reader,
				     bool *flash_failed)
{
	const char *why = identity_end(core, reader);

	if (why == NULL && !store_fits(&core->store, STORE_IDENTITY, reader->length))
		why = no_space;
	*flash_failed = why == NULL && !store_save_part(&core->store, &core->settings, STORE_IDENTITY,
							reader->bytes, reader->length);
	return why;
}

void http_answer_ca(struct core *core)
{
	struct pem *pem = core->http->pem;
	bool flash_failed = false;
	const char *why = pem != NULL ? store_ca(core, pem, &flash_failed) : NULL;

	if (why != NULL)
		refuse(core, "CA refused: ", why);
	else if (flash_failed)
		http_answer_text(core, 500, "CA not stored. The flash failed.\n");
	else
		answer_digest(core, pem != NULL ? "CA stored: " : "", ca_digest);
}

void http_answer_certificate(struct core *core)
{
	struct identity_reader *reader = core->http->identity;
	bool flash_failed = false;
	const char *why = reader != NULL ? store_certificate(core, reader, &flash_failed) : NULL;

	if (why != NULL)
		refuse(core, "Certificate refused: ", why);
	else if (flash_failed)
		http_answer_text(core, 500, "Certificate not stored. The flash failed.\n");
	else
		answer_digest(core, reader != NULL ? "Certificate stored: " : "", identity_digest);
}

void http_remove_certificate(struct core *core)
{
	if (core->store.length[STORE_IDENTITY] != 0) {
		if (!store_save_part(&core->store, &core->settings, STORE_IDENTITY, NULL, 0)) {
			http_answer_text(core, 500, "Certificate not removed. The flash failed.\n");
			return;
		}
		log_line(&core->log, "Certificate removed");
	}
	http_answer_text(core, 200, "Certificate removed");
}
