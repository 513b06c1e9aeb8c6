#include "host_core.h"

#include <string.h>

void host_core_start(struct host_core *fixture)
{
	host_start(&fixture->host);
	memset(&fixture->core, 0, sizeof fixture->core);
	fixture->core.port = &fixture->host.port;
	fixture->host.port.build = "0123456789abcdef";
	log_start(&fixture->core.log, &fixture->host.port);
	clock_start(&fixture->core.clock, &fixture->host.port);
	heap_start(&fixture->core.heap, &fixture->host.port);
	store_load(&fixture->core.store, &fixture->host.port, &fixture->core.settings);
}

void host_core_stop(struct host_core *fixture)
{
	host_stop(&fixture->host);
}

bool host_core_logged(struct host_core *fixture, const char *text)
{
	return fixture->host.log != NULL && strstr(fixture->host.log, text) != NULL;
}

void host_core_clear_log(struct host_core *fixture)
{
	fixture->host.log_length = 0;
	if (fixture->host.log != NULL)
		fixture->host.log[0] = 0;
}
