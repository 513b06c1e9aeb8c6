#include "out.h"

#include <string.h>

void out_start(struct out *out, struct core *core, struct port_stream *stream)
{
	out->core = core;
	out->stream = stream;
	out->failed = false;
	out->total = 0;
	out->used = 0;
}

static void flush(struct out *out)
{
	const struct port *port = out->core->port;
	uint32_t sent = 0;
	uint32_t deadline = core_now(out->core) + OUT_STALL_MS;

	while (out->stream != NULL && sent < out->used && !out->failed) {
		int taken = port->tcp_write(port->self, out->stream, out->buffer + sent, out->used - sent);

		if (taken < 0 || (taken == 0 && core_due(out->core, deadline))) {
			out->failed = true;
		} else if (taken == 0) {
			port->idle(port->self, 50);
		} else {
			sent += (uint32_t)taken;
			deadline = core_now(out->core) + OUT_STALL_MS;
		}
	}
	out->used = 0;
}

static void put(struct out *out, const char *bytes, size_t length)
{
	out->total += length;
	while (length > 0 && out->stream != NULL) {
		size_t room = OUT_BUFFER - out->used;
		size_t part = length < room ? length : room;

		memcpy(out->buffer + out->used, bytes, part);
		out->used += part;
		bytes += part;
		length -= part;
		if (out->used == OUT_BUFFER)
			flush(out);
	}
}

void out_text(struct out *out, const char *text)
{
	put(out, text, strlen(text));
}

void out_escaped(struct out *out, const char *text)
{
	for (; *text != 0; text++) {
		switch (*text) {
		case '&':
			out_text(out, "&amp;");
			break;
		case '<':
			out_text(out, "&lt;");
			break;
		case '>':
			out_text(out, "&gt;");
			break;
		case '"':
			out_text(out, "&quot;");
			break;
		case '\'':
			out_text(out, "&#39;");
			break;
		default:
			put(out, text, 1);
		}
	}
}

bool out_end(struct out *out)
{
	flush(out);
	return !out->failed;
}
