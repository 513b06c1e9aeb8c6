/* libFuzzer target: any bytes to the web server, in one piece or many. */
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "host_core.h"
#include "http.h"

int LLVMFuzzerTestOneInput(const uint8_t *bytes, size_t length)
{
	static struct host_core fixture;
	static char answer[8192];
	size_t piece = length > 0 ? 1 + bytes[0] * 8u : 1;
	int fd;

	host_core_start(&fixture);
	if (!http_start(&fixture.core))
		abort();
	fd = host_connect(&fixture.host);
	for (size_t at = 1; at < length; at += piece) {
		size_t part = length - at < piece ? length - at : piece;

		if (send(fd, bytes + at, part, MSG_NOSIGNAL | MSG_DONTWAIT) <= 0)
			break;
		http_poll(&fixture.core);
	}
	for (int i = 0; i < 30; i++) {
		http_poll(&fixture.core);
		while (recv(fd, answer, sizeof answer, MSG_DONTWAIT) > 0)
			;
		fixture.host.pushed_ms += 500;
	}
	if (!http_is_idle(&fixture.core))
		abort(); /* a peer must not hold the place for ever */
	close(fd);
	host_core_stop(&fixture);
	return 0;
}
