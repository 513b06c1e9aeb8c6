/* The requests that a board answers, the same over HTTP and MQTT. */
#ifndef HILRIG_REQUESTS_H
#define HILRIG_REQUESTS_H

#include "core.h"
#include "query.h"

/* Longest reply, with its NUL. */
#define REPLY_MAX 640

/* A request, from "?request=NAME&nblink=N". */
struct request {
	char name[QUERY_KEY_MAX + 1];
	bool bad;     /* a key twice, cut, or badly encoded */
	bool counted; /* nblink was given */
	uint32_t count;
};

/* A query_taker; the context is a struct request that starts as zeros. */
void request_take(void *request, const struct query_pair *pair);

/* Executes it and writes the answer, which always ends with a NUL. */
void request_answer(struct core *core, const struct request *request, char reply[REPLY_MAX]);

/* Answers the text of an MQTT payload: "/?request=...". */
void request_answer_text(struct core *core, const char *text, size_t length, char reply[REPLY_MAX]);

/* Drives the LED. Milliseconds until the next call. */
uint32_t requests_poll(struct core *core);

#endif
