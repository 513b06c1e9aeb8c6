#include "http_parse.h"

#include <string.h>

void http_parse_start(struct http_parse *parse)
{
	memset(parse, 0, sizeof *parse);
}

static enum http_event fail(struct http_parse *parse, int status)
{
	parse->step = HTTP_FAILED;
	parse->status = status;
	return HTTP_END;
}

static void clear_word(struct http_parse *parse)
{
	parse->word_length = 0;
	parse->word[0] = 0;
	parse->word_cut = false;
}

static void keep(struct http_parse *parse, char byte)
{
	if (parse->word_length == HTTP_WORD_MAX) {
		parse->word_cut = true;
		return;
	}
	parse->word[parse->word_length++] = byte;
	parse->word[parse->word_length] = 0;
}

static char lower(char byte)
{
	return byte >= 'A' && byte <= 'Z' ? (char)(byte + 32) : byte;
}

static enum http_event end_method(struct http_parse *parse)
{
	if (parse->word_length == 0 || parse->word_cut)
		return fail(parse, 400);
	if (strcmp(parse->word, "GET") == 0)
		parse->method = HTTP_GET;
	else if (strcmp(parse->word, "POST") == 0)
		parse->method = HTTP_POST;
	else if (strcmp(parse->word, "DELETE") == 0)
		parse->method = HTTP_DELETE;
	clear_word(parse);
	parse->step = HTTP_PATH;
	return HTTP_NOTHING;
}

static enum http_event end_version(struct http_parse *parse)
{
	if (parse->word_cut || strncmp(parse->word, "HTTP/1.", 7) != 0)
		return fail(parse, strncmp(parse->word, "HTTP/", 5) == 0 ? 505 : 400);
	clear_word(parse);
	parse->bytes = 0;
	parse->header_length = 0;
	parse->step = HTTP_HEADER_NAME;
	return HTTP_NOTHING;
}

static enum http_event take_length(struct http_parse *parse)
{
	uint32_t length = 0;

	/* Two lengths that differ are how a request is smuggled past a proxy. */
	if (parse->has_length || parse->word_length == 0)
		return fail(parse, 400);
	for (const char *at = parse->word; *at != 0; at++) {
		if (*at < '0' || *at > '9')
			return fail(parse, 400);
		if (length > HTTP_BODY_MAX)
			return fail(parse, 413);
		length = length * 10 + (uint32_t)(*at - '0');
	}
	if (length > HTTP_BODY_MAX)
		return fail(parse, 413);
	parse->has_length = true;
	parse->length = length;
	return HTTP_NOTHING;
}

static enum http_event end_header(struct http_parse *parse)
{
	enum http_event event = HTTP_NOTHING;

	while (parse->word_length > 0 && parse->word[parse->word_length - 1] == ' ')
		parse->word[--parse->word_length] = 0;
	parse->header[parse->header_length] = 0;
	if (strcmp(parse->header, "content-length") == 0)
		event = parse->word_cut ? fail(parse, 413) : take_length(parse);
	else if (strcmp(parse->header, "transfer-encoding") == 0)
		event = fail(parse, 411);
	else if (strcmp(parse->header, "expect") == 0)
		parse->expects_continue = strcmp(parse->word, "100-continue") == 0;
	clear_word(parse);
	parse->header_length = 0;
	if (event == HTTP_NOTHING)
		parse->step = HTTP_HEADER_NAME;
	return event;
}

static enum http_event feed_path(struct http_parse *parse, char byte)
{
	if (byte == '?' || byte == ' ') {
		if (parse->path[0] != '/')
			return fail(parse, 400);
		parse->step = byte == '?' ? HTTP_QUERY : HTTP_VERSION;
		parse->word_length = 0;
		return HTTP_PATH_READ;
	}
	if (byte == '\r' || byte == '\n')
		return fail(parse, 400);
	if (parse->word_length == HTTP_PATH_MAX) {
		parse->path_cut = true;
		return HTTP_NOTHING;
	}
	parse->path[parse->word_length++] = byte;
	return HTTP_NOTHING;
}

static enum http_event feed_header_name(struct http_parse *parse, char byte)
{
	if (byte == '\r')
		return HTTP_NOTHING;
	if (byte == '\n') {
		if (parse->header_length > 0)
			return fail(parse, 400);
		parse->step = HTTP_HEADERS_DONE;
		return HTTP_END;
	}
	if (byte == ':') {
		parse->step = HTTP_HEADER_VALUE;
		return HTTP_NOTHING;
	}
	/* A name that is too long is no known header: the last index marks it. */
	if (parse->header_length < HTTP_WORD_MAX)
		parse->header[parse->header_length++] = lower(byte);
	else
		parse->header[0] = '?';
	return HTTP_NOTHING;
}

enum http_event http_parse_feed(struct http_parse *parse, char byte)
{
	bool in_line = parse->step <= HTTP_VERSION;

	parse->bytes++;
	if (parse->bytes > (in_line ? HTTP_LINE_MAX : HTTP_HEADERS_MAX))
		return fail(parse, in_line ? 414 : 431);
	switch (parse->step) {
	case HTTP_METHOD:
		if (byte == ' ')
			return end_method(parse);
		if (byte < 'A' || byte > 'Z')
			return fail(parse, 400);
		keep(parse, byte);
		return HTTP_NOTHING;
	case HTTP_PATH:
		return feed_path(parse, byte);
	case HTTP_QUERY:
		if (byte == '\r' || byte == '\n')
			return fail(parse, 400);
		if (byte != ' ')
			return HTTP_QUERY_BYTE;
		parse->step = HTTP_VERSION;
		return HTTP_NOTHING;
	case HTTP_VERSION:
		if (byte == '\n')
			return end_version(parse);
		if (byte != '\r')
			keep(parse, byte);
		return HTTP_NOTHING;
	case HTTP_HEADER_NAME:
		return feed_header_name(parse, byte);
	case HTTP_HEADER_VALUE:
		if (byte == '\n')
			return end_header(parse);
		if (byte != '\r' && (byte != ' ' || parse->word_length > 0))
			keep(parse, byte);
		return HTTP_NOTHING;
	default:
		return HTTP_END;
	}
}
