/*
 * The port contract: everything that the core asks of a chip.
 *
 * A port fills one `struct port` and calls `core_run()` with it. The core
 * includes no chip header, calls no operating system and keeps no pointer
 * that a port did not give it, so a further chip is a further folder under
 * ports/ and no change under core/.
 *
 * Rules that hold for every function below:
 *  - The core calls from one thread only, never from an interrupt.
 *  - Nothing here blocks, except `idle`, `serial_write` and the slot functions.
 *  - A function that can fail returns that in its result; it never resets.
 *  - Times are milliseconds, sizes are bytes, addresses are IPv4 in network
 *    order (a.b.c.d is {a, b, c, d}).
 */
#ifndef HILRIG_PORT_H
#define HILRIG_PORT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A slot of settings flash has at least this many bytes on every port: the
 * ESP8266's flash sector, the smallest of the chips'. */
#define PORT_SLOT_SIZE 4096u

/* Settings are kept in this many slots, each erased on its own. */
#define PORT_SLOTS 2u

enum port_net_state {
	PORT_NET_JOINING, /* not up yet, still trying */
	PORT_NET_UP,      /* has an address */
	PORT_NET_LOST,    /* was up, the link is gone; the port tries again */
	PORT_NET_FAILED,  /* gave up, or no network is set */
};

enum port_stream_state {
	PORT_STREAM_CONNECTING,
	PORT_STREAM_OPEN,
	PORT_STREAM_HALF, /* the peer sends no more; what it sent can still be read */
	PORT_STREAM_FAILED, /* refused, reset, or timed out */
};

/* Heap figures, in bytes unless noted. */
struct port_heap {
	uint32_t free;        /* free now */
	uint32_t lowest_ever; /* lowest free since the reset */
	uint32_t lowest;      /* lowest free since `heap_mark` was last called */
	uint32_t largest;     /* largest block that can be allocated now */
	uint32_t fragmentation; /* of the free heap now, percent:
				 * 100 * (1 - sqrt(sum of hole^2) / sum of holes) */
	uint32_t failures;    /* allocations refused since the reset */
	uint32_t last_failed; /* size of the last refused one, 0 if none */
};

/* The core's stack, in bytes; `size` is 0 where the chip does not report it. */
struct port_stack {
	uint32_t size;
	uint32_t used; /* the most since the reset */
};

/* Of the heap-tracing image (heap/callers.h): which callers own the allocated blocks. */
#define PORT_CALLERS_MOST 10u
#define PORT_CALLERS_SLOTS 4u

struct port_caller {
	uintptr_t address; /* where the call returns to */
	uint32_t bytes;    /* with what the allocator adds to each block */
	uint32_t blocks;   /* 0: no caller */
};

struct port_callers {
	uint32_t heap_bytes; /* free while nothing was allocated */
	uint32_t free_bytes;
	struct port_caller each[PORT_CALLERS_MOST]; /* the largest first */
	struct port_caller others;
};

struct port_heap_trace {
	/* Keeps in `slot` the callers at the lowest free heap since `heap_mark`. */
	void (*keep)(void *self, unsigned slot);
	/* Copies what `slot` keeps; false if it was copied before. */
	bool (*copy)(void *self, unsigned slot, struct port_callers *callers);
};

/* How to join the network. An `address` of 0.0.0.0 asks for DHCP. */
struct port_net {
	const char *ssid;     /* of use to a radio only */
	const char *password; /* of use to a radio only */
	uint8_t address[4];
	uint8_t netmask[4];
	uint8_t gateway[4];
	uint8_t ap_address[4]; /* own address when it serves an access point */
};

struct port_stream; /* one TCP stream, the port's own */

struct port {
	/* The first argument of every function. */
	void *self;

	/* The chip's name, e.g. "ESP8266": what the boot log, the configuration page
	 * and the default client id call the device. At most 16 characters. */
	const char *device;

	/* The build id, for the boot log and the configuration page. */
	const char *build;

	/* The station's MAC address, as in the topics. */
	uint8_t mac[6];

	/* Why the chip started, by the ESP8266 SDK's numbers: 0 power, 1 hardware
	 * watchdog, 2 exception, 3 software watchdog, 4 software restart,
	 * 5 deep sleep, 6 external reset. */
	uint8_t reset_reason;

	/* The largest TLS record that the board accepts, unless its settings have another
	 * (`tls_mfl`): 16384, or less where the heap is too small for that. */
	uint16_t tls_record;

	/* -- clock -- */
	uint32_t (*uptime_ms)(void *self); /* wraps after 49.7 days */

	/* Lets the network and the rest of the chip run, and sleeps until there
	 * may be something to do or `at_most_ms` has passed. */
	void (*idle)(void *self, uint32_t at_most_ms);

	/* -- serial -- */
	void (*serial_baud)(void *self, uint32_t baud);
	void (*serial_write)(void *self, const char *bytes, size_t length);

	/* -- settings flash: PORT_SLOTS slots of PORT_SLOT_SIZE bytes -- */
	bool (*slot_read)(void *self, unsigned slot, size_t offset, void *to, size_t length);
	bool (*slot_erase)(void *self, unsigned slot); /* to 0xFF */
	/* Programs erased flash. Offset and length are multiples of 4. */
	bool (*slot_write)(void *self, unsigned slot, size_t offset, const void *from, size_t length);

	/* -- randomness, good enough to key TLS; false if there is none -- */
	bool (*random)(void *self, void *to, size_t length);

	/* -- network -- */
	bool (*net_start)(void *self, const struct port_net *net);
	enum port_net_state (*net_state)(void *self);
	void (*net_address)(void *self, uint8_t address[4]);
	/* Serves an access point of its own, for a board that could not join.
	 * False where the chip has none. */
	bool (*net_access_point)(void *self, const struct port_net *net);
	/* Resolves a name: 1 found, 0 not yet (call again), -1 failed. Dotted decimal
	 * is a name too. */
	int (*resolve)(void *self, const char *name, uint8_t address[4]);

	/* -- TCP streams -- */
	/* NULL when there is no memory for one. */
	struct port_stream *(*tcp_connect)(void *self, const uint8_t address[4], uint16_t port);
	bool (*tcp_listen)(void *self, uint16_t port);
	/* The next connection to the listening port, or NULL. */
	struct port_stream *(*tcp_accept)(void *self);
	enum port_stream_state (*tcp_state)(void *self, struct port_stream *stream);
	/* Bytes read, 0 for none now, -1 at the end of the stream. */
	int (*tcp_read)(void *self, struct port_stream *stream, void *to, size_t length);
	/* Bytes accepted (maybe fewer than given), 0 for no space now, -1 when the
	 * stream is gone. */
	int (*tcp_write)(void *self, struct port_stream *stream, const void *from, size_t length);
	/* Bytes accepted that the peer has not acknowledged yet. */
	size_t (*tcp_unacknowledged)(void *self, struct port_stream *stream);
	/* Closes in good order and frees; the pointer is invalid afterwards. */
	void (*tcp_close)(void *self, struct port_stream *stream);

	/* -- one datagram out, one back (SNTP) -- */
	bool (*udp_send)(void *self, const uint8_t address[4], uint16_t port, const void *from,
			 size_t length);
	/* Bytes of an answer from where the last datagram went, 0 for none yet. */
	int (*udp_receive)(void *self, void *to, size_t length);

	/* -- heap -- */
	void *(*heap_alloc)(void *self, size_t size); /* NULL when there is none */
	void (*heap_free)(void *self, void *block);   /* NULL is allowed */
	void (*heap_figures)(void *self, struct port_heap *figures);
	void (*heap_mark)(void *self); /* starts `lowest` again */
	/* NULL but in the heap-tracing image. */
	const struct port_heap_trace *heap_trace;

	/* -- stack -- */
	void (*stack)(void *self, struct port_stack *stack);

	/* -- pins -- */
	void (*led)(void *self, bool on);
	uint16_t (*analog)(void *self, unsigned channel); /* channel 0 to 7 */

	/* Restarts the chip (reset reason 4). Does not return. */
	void (*reset)(void *self);
};

/* Runs the firmware: reads the settings, chooses the mode, serves it. Does not
 * return. */
void core_run(const struct port *port);

#endif
