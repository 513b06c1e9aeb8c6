#include "http_connection.h"

#include <string.h>

void http_free_body(struct core *core)
{
	struct http *http = core->http;

	core_free(core, http->form);
	core_free(core, http->pem);
	if (http->identity != NULL)
		memset(http->identity, 0, sizeof *http->identity); /* the key */
	core_free(core, http->identity);
	http->form = NULL;
	http->pem = NULL;
	http->identity = NULL;
}

void http_close(struct core *core)
{
	struct http *http = core->http;

	http_free_body(core);
	core->port->tcp_close(core->port->self, http->stream);
	http->stream = NULL;
	http->stage = STAGE_FREE;
	/* A request that renders no page logs its lowest figure here. */
	heap_log_lower(&core->heap, &core->log);
}
