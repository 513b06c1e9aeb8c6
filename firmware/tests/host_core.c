#include "host_core.h"

#include <string.h>

void bench_start(struct bench *bench)
{
	host_start(&bench->host);
	memset(&bench->core, 0, sizeof bench->core);
	bench->core.port = &bench->host.port;
	bench->host.port.build = "0123456789abcdef";
	log_start(&bench->core.log, &bench->host.port);
	clock_start(&bench->core.clock, &bench->host.port);
	heap_start(&bench->core.heap, &bench->host.port);
	store_load(&bench->core.store, &bench->host.port, &bench->core.settings);
}

void bench_stop(struct bench *bench)
{
	host_stop(&bench->host);
}

bool bench_logged(struct bench *bench, const char *text)
{
	return bench->host.log != NULL && strstr(bench->host.log, text) != NULL;
}

void bench_forget_log(struct bench *bench)
{
	bench->host.log_length = 0;
	if (bench->host.log != NULL)
		bench->host.log[0] = 0;
}
