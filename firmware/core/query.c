#include "query.h"

#include <string.h>

static void clear(struct query *query)
{
	memset(&query->pair, 0, sizeof query->pair);
	query->key_length = 0;
	query->in_value = false;
	query->escape = 0;
}

void query_start(struct query *query, query_taker take, void *context)
{
	query->take = take;
	query->context = context;
	clear(query);
}

static void keep(struct query *query, char byte)
{
	struct query_pair *pair = &query->pair;

	if (byte == 0)
		pair->malformed = true; /* it would end a stored text early */
	else if (!query->in_value && query->key_length < QUERY_KEY_MAX)
		pair->key[query->key_length++] = byte;
	else if (!query->in_value)
		pair->key_cut = true;
	else if (pair->value_length < QUERY_VALUE_MAX)
		pair->value[pair->value_length++] = byte;
	else
		pair->value_cut = true;
}

static int hex(char byte)
{
	if (byte >= '0' && byte <= '9')
		return byte - '0';
	if (byte >= 'a' && byte <= 'f')
		return byte - 'a' + 10;
	if (byte >= 'A' && byte <= 'F')
		return byte - 'A' + 10;
	return -1;
}

void query_feed(struct query *query, char byte)
{
	if (query->escape > 0) {
		int digit = hex(byte);

		if (digit >= 0) {
			query->escaped = (unsigned char)(query->escaped << 4 | digit);
			if (--query->escape == 0)
				keep(query, (char)query->escaped);
			return;
		}
		query->pair.malformed = true;
		query->escape = 0;
	}
	if (byte == '&') {
		query_end(query);
	} else if (byte == '=' && !query->in_value) {
		query->in_value = true;
	} else if (byte == '%') {
		query->escape = 2;
		query->escaped = 0;
	} else {
		keep(query, byte == '+' ? ' ' : byte);
	}
}

void query_end(struct query *query)
{
	if (query->escape > 0)
		query->pair.malformed = true;
	if (query->key_length > 0 || query->in_value || query->pair.malformed)
		query->take(query->context, &query->pair);
	clear(query);
}
