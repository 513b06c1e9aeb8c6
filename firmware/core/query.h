/*
 * Decodes "key=value&key=value" (as forms send it) byte by byte, without
 * keeping more than one pair. Used for HTTP queries and MQTT payloads.
 */
#ifndef HILRIG_QUERY_H
#define HILRIG_QUERY_H

#include <stdbool.h>
#include <stddef.h>

#define QUERY_KEY_MAX 16
#define QUERY_VALUE_MAX 96

struct query_pair {
	char key[QUERY_KEY_MAX + 1];
	char value[QUERY_VALUE_MAX + 1];
	size_t value_length;
	bool key_cut;   /* longer than QUERY_KEY_MAX: no known key */
	bool value_cut; /* longer than QUERY_VALUE_MAX */
	bool malformed; /* a % without two hex digits, or a NUL */
};

typedef void (*query_taker)(void *context, const struct query_pair *pair);

struct query {
	query_taker take;
	void *context;
	struct query_pair pair;
	size_t key_length;
	bool in_value;
	unsigned char escape; /* digits still missing of a %XX */
	unsigned char escaped;
};

void query_start(struct query *query, query_taker take, void *context);
void query_feed(struct query *query, char byte);
/* Ends the last pair. Empty pairs are dropped. */
void query_end(struct query *query);

#endif
