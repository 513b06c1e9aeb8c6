#include "config_page.h"

#include <string.h>

#include "ca.h"
#include "fields.h"
#include "identity.h"

static const char title[] = "<!DOCTYPE html>\n<html><head><meta charset=\"utf-8\"><title>";
static const char heading[] =
	" configuration</title>"
	"<style>body{font-family:sans-serif;max-width:40em;margin:1em auto}"
	"label{display:inline-block;width:18em}p{margin:.3em}</style></head>\n"
	"<body><h1>";
static const char heading_end[] = " configuration</h1>\n";
static const char form[] = "<form action=\"/config\" method=\"get\">\n";
static const char buttons[] = "<p><input type=\"submit\" name=\"save\" value=\"SAVE\"></p></form>\n"
			      "<p><a href=\"/?request=Reset\">RESET ";
static const char tail[] = "</a></p></body></html>\n";

static void render_input(struct out *out, const struct field *field, const struct settings *settings)
{
	char text[FIELD_TEXT_SIZE];

	field_text(field, settings, text);
	out_text(out, "<input name=\"");
	out_text(out, field->name);
	if (field->kind == FIELD_BOX) {
		out_text(out, "\" type=\"checkbox\" value=\"on\"");
		out_text(out, text[0] != 0 ? " checked>" : ">");
		return;
	}
	if (field->kind == FIELD_SECRET)
		out_text(out, "\" type=\"password\" placeholder=\"unchanged");
	out_text(out, field->most == 255 ? "\" size=\"3\" value=\"" : "\" value=\"");
	out_escaped(out, text);
	out_text(out, "\">");
}

static void render_facts(struct out *out, const char *note)
{
	const struct store *store = &out->core->store;
	char digest[DIGEST_TEXT_SIZE];

	if (note != NULL) {
		out_text(out, "<p><b>");
		out_escaped(out, note);
		out_text(out, "</b></p>\n");
	}
	out_text(out, "<p>Build ");
	out_escaped(out, out->core->port->build);
	out_text(out, "<br>CA (SHA-256): ");
	out_text(out, ca_digest(store, digest) ? digest : "cannot be read");
	out_text(out, "<br>Own certificate (SHA-256): ");
	out_text(out, identity_digest(store, digest) ? digest : "cannot be read");
	out_text(out, "</p>\n");
}

void config_page_render(struct out *out, const char *note)
{
	const char *device = out->core->port->device;

	out_text(out, title);
	out_text(out, device);
	out_text(out, heading);
	out_text(out, device);
	out_text(out, heading_end);
	render_facts(out, note);
	out_text(out, form);
	for (size_t i = 0; i < FIELDS; i++) {
		const struct field *field = &fields[i];
		bool joined = i + 1 < FIELDS && fields[i + 1].label[0] == 0;

		if (field->label[0] != 0) {
			out_text(out, "<p><label>");
			out_escaped(out, field->label);
			out_text(out, "</label>");
		}
		render_input(out, field, &out->core->settings);
		out_text(out, joined ? "." : "</p>\n");
	}
	out_text(out, buttons);
	out_text(out, device);
	out_text(out, tail);
}
