/*
 * Text on its way to a stream, through one small buffer: whatever is sent is
 * never in the heap as a whole. It can also only count, so that a length is
 * known before the first byte leaves.
 */
#ifndef HILRIG_OUT_H
#define HILRIG_OUT_H

#include "core.h"

#define OUT_BUFFER 256

struct out {
	struct core *core;
	struct port_stream *stream; /* NULL: only counts */
	bool failed;                /* the peer is gone or takes nothing */
	uint32_t total;             /* bytes so far */
	uint32_t used;
	char buffer[OUT_BUFFER];
};

/* A peer that takes nothing for so long has lost its answer. */
#define OUT_STALL_MS 4000u

void out_start(struct out *out, struct core *core, struct port_stream *stream);
void out_text(struct out *out, const char *text);
/* With what HTML gives a meaning escaped. */
void out_escaped(struct out *out, const char *text);
/* Sends what is still in the buffer. False if anything was lost. */
bool out_end(struct out *out);

#endif
