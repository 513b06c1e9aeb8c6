/* libFuzzer target: any bytes as the client's certificates and key. What is taken goes
 * through the flash and into a handshake's context. */
#include <stdlib.h>

#include "host_core.h"
#include "identity.h"
#include "tls.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct host_core fixture;
	static struct identity_reader reader;
	static br_ssl_client_context client;
	struct core *core = &fixture.core;
	struct identity *identity;

	host_core_start(&fixture);
	identity_start(&reader);
	identity_feed(&reader, bytes, length / 2);
	identity_feed(&reader, bytes + length / 2, length - length / 2);
	if (identity_end(core, &reader) == NULL) {
		if (!store_save_part(&core->store, &core->settings, STORE_IDENTITY, reader.bytes,
				     reader.length) ||
		    identity_load(core, &client, &identity) != TLS_ERROR_NONE)
			abort();
		identity_free(core, identity);
	}
	/* What was not checked is read from the flash without harm, too. */
	if (length > 0 && store_save_part(&core->store, &core->settings, STORE_IDENTITY, bytes, length)) {
		identity_load(core, &client, &identity);
		identity_free(core, identity);
	}
	if (fixture.host.heap_used != 0)
		abort();
	host_core_stop(&fixture);
	return 0;
}
