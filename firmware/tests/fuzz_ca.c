/* libFuzzer target: any bytes as a CA certificate, PEM or DER. */
#include <stdlib.h>

#include "host_core.h"
#include "ca.h"
#include "pem.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct bench bench;
	static struct pem pem;

	bench_start(&bench);
	pem_start(&pem);
	pem_feed(&pem, bytes, length / 2);
	pem_feed(&pem, bytes + length / 2, length - length / 2);
	if (pem_end(&pem) == NULL)
		ca_decode(&bench.core, pem.der, pem.length);
	if (bench.host.heap_used != 0)
		abort();
	bench_stop(&bench);
	return 0;
}
