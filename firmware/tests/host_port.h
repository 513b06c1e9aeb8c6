/*
 * A port that runs the core on the host: real sockets on loopback, settings
 * flash in memory that can lose power at any byte, a heap that counts, and a
 * clock that a test may push forward.
 */
#ifndef HOST_PORT_H
#define HOST_PORT_H

#include <setjmp.h>
#include <stdio.h>

#include "port.h"

/* What sits in front of each heap block. */
struct host_block;

struct host {
	struct port port;

	/* -- flash -- */
	uint8_t flash[PORT_SLOTS][PORT_SLOT_SIZE];
	const char *flash_file;  /* kept there across processes, or NULL */
	long power_left;         /* flash bytes until power fails; -1: never */
	bool power_is_off;
	unsigned writes;         /* calls of slot_write and slot_erase */

	/* -- heap -- */
	size_t heap_size;        /* bytes in all */
	size_t heap_used, heap_peak, heap_peak_ever;
	size_t heap_last_failed;
	unsigned heap_failures;
	long allocs_left;        /* then they fail; -1: never */
	struct host_block *blocks;

	/* -- time -- */
	uint32_t pushed_ms;      /* added to the real clock */

	/* -- serial -- */
	FILE *console;           /* or NULL */
	char *log;               /* all of it, with a NUL */
	size_t log_length, log_size;

	/* -- network -- */
	int listener;
	int accepted;            /* handed out by the next tcp_accept, or -1 */
	uint16_t listen_port;    /* from the kernel */
	int udp;
	enum port_net_state net;
	size_t write_at_most;    /* a tcp_write takes so many bytes; 0: any */
	bool random_fails;
	bool has_access_point;
	bool led;
	unsigned led_changes;

	/* -- reset -- */
	jmp_buf on_reset;
	bool may_reset;          /* on_reset is set */
	unsigned resets;
};

void host_start(struct host *host);
/* Frees everything that the core allocated, as a chip's reset does. Flash and counters stay. */
void host_reset_memory(struct host *host);
void host_stop(struct host *host);

/* Runs core_run() once, until the core resets the chip. */
void host_run_until_reset(struct host *host, const char *build);

/* Gives the core one end of a pair of sockets as its next connection, and the
 * other end back. */
int host_connect(struct host *host);

#endif
