/* A core on a host port that was not booted, to test its parts alone. */
#ifndef HOST_CORE_H
#define HOST_CORE_H

#include "core.h"
#include "host_port.h"

struct host_core {
	struct host host;
	struct core core;
};

/* Blank flash, defaults, nothing started. */
void host_core_start(struct host_core *fixture);
void host_core_stop(struct host_core *fixture);

/* Whether `text` is in the log since it was last cleared. */
bool host_core_logged(struct host_core *fixture, const char *text);
void host_core_clear_log(struct host_core *fixture);

#endif
