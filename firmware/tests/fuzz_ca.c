/* libFuzzer target: any bytes as a CA certificate, PEM or DER. */
#include <stdlib.h>

#include "host_core.h"
#include "ca.h"
#include "pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct host_core fixture;
	static struct pem pem;

	host_core_start(&fixture);
	pem_start(&pem);
	pem_feed(&pem, bytes, length / 2);
	pem_feed(&pem, bytes + length / 2, length - length / 2);
	if (pem_end(&pem) == NULL)
		ca_decode(&fixture.core, pem.der, pem.length);
	if (fixture.host.heap_used != 0)
		abort();
	host_core_stop(&fixture);
	return 0;
}
