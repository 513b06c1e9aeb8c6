/* A board on the host: the core with the host's port, until it is ended.
 *   host_board FLASH-FILE   (made blank if it is not there) */
#include <stdio.h>
#include <string.h>

#include "host_port.h"

int main(int argc, char **argv)
{
	static struct host host;
	FILE *file;

	if (argc != 2) {
		fprintf(stderr, "usage: host_board FLASH-FILE\n");
		return 2;
	}
	host_start(&host);
	host.console = stdout;
	host.flash_file = argv[1];
	file = fopen(argv[1], "rb");
	if (file != NULL) {
		if (fread(host.flash, 1, sizeof host.flash, file) != sizeof host.flash)
			memset(host.flash, 0xff, sizeof host.flash);
		fclose(file);
	}
	for (;;) {
		host_run_until_reset(&host, "0123456789abcdef");
		fprintf(stdout, "[host] reset\r\n");
		fflush(stdout);
	}
}
