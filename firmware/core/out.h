/*
 * Text for a stream, through one small buffer: the whole text is never in the
 * heap. It can also only count, so that the length is known before the first
 * byte leaves.
 */
#ifndef HILRIG_OUT_H
#define HILRIG_OUT_H

#include "core.h"

#define OUT_BUFFER 256

struct out {
	struct core *core;
	struct port_stream *stream; /* NULL: only counts */
	bool failed;                /* the peer is gone or reads nothing */
	uint32_t total;             /* bytes so far */
	uint32_t used;
	char buffer[OUT_BUFFER];
};

/* A peer that reads nothing for this long loses its answer. */
#define OUT_STALL_MS 4000u

void out_start(struct out *out, struct core *core, struct port_stream *stream);
void out_text(struct out *out, const char *text);
/* With HTML's special characters escaped. */
void out_escaped(struct out *out, const char *text);
/* Sends what is still in the buffer. False if anything was lost. */
bool out_end(struct out *out);

#endif
