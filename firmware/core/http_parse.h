/* Reads an HTTP/1.x request byte by byte: request line, query, and the three
 * headers that matter. Any bytes are accepted; it ends in DONE or FAILED. */
#ifndef HILRIG_HTTP_PARSE_H
#define HILRIG_HTTP_PARSE_H

#include <stdbool.h>
#include <stdint.h>

/* A whole form is under 4 KiB even if every byte of it is escaped. */
#define HTTP_LINE_MAX 8192u    /* request line, bytes; more is a 414 */
#define HTTP_HEADERS_MAX 8192u /* all headers, bytes; more is a 431 */
#define HTTP_BODY_MAX 4608u    /* PEM of the largest certificates with text around; more is a 413 */
#define HTTP_PATH_MAX 15
#define HTTP_WORD_MAX 31

enum http_method { HTTP_OTHER, HTTP_GET, HTTP_POST, HTTP_DELETE };

enum http_step {
	HTTP_METHOD,
	HTTP_PATH,
	HTTP_QUERY,
	HTTP_VERSION,
	HTTP_HEADER_NAME,
	HTTP_HEADER_VALUE,
	HTTP_HEADERS_DONE, /* the body, if any, follows */
	HTTP_FAILED,       /* with `status` */
};

/* What a byte completed. */
enum http_event {
	HTTP_NOTHING,
	HTTP_PATH_READ,  /* method and path are known; a query may follow */
	HTTP_QUERY_BYTE, /* the byte is part of the query */
	HTTP_END,        /* HEADERS_DONE or FAILED is reached */
};

struct http_parse {
	enum http_step step;
	enum http_method method;
	int status; /* of the failure */
	bool path_cut;
	bool has_length;
	bool expects_continue;
	uint32_t length; /* Content-Length */
	uint32_t bytes;  /* in the request line, then in the headers */
	char path[HTTP_PATH_MAX + 1];
	char word[HTTP_WORD_MAX + 1];   /* method, version, header value so far */
	char header[HTTP_WORD_MAX + 1]; /* header name, in lower case */
	uint8_t word_length;
	uint8_t header_length;
	bool word_cut;
};

void http_parse_start(struct http_parse *parse);
enum http_event http_parse_feed(struct http_parse *parse, char byte);

#endif
