/* A core on a host port, made without booting it, to test its parts alone. */
#ifndef HOST_CORE_H
#define HOST_CORE_H

#include "core.h"
#include "host_port.h"

struct bench {
	struct host host;
	struct core core;
};

/* Blank flash, defaults, nothing started. */
void bench_start(struct bench *bench);
void bench_stop(struct bench *bench);

/* The bytes that were logged since the last call hold `text`. */
bool bench_logged(struct bench *bench, const char *text);
void bench_forget_log(struct bench *bench);

#endif
