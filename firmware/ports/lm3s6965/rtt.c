#include "rtt.h"

#include <stdint.h>

#define SIZE 1024u

static char ring[SIZE];

/* The control block as a probe looks for it: by the symbol or by its first 16
 * bytes. `up` goes to the host, which moves `read`. */
struct ring_descriptor {
	const char *name;
	char *buffer;
	uint32_t size;
	uint32_t write;
	uint32_t read;
	uint32_t flags; /* 0: skip what does not fit */
};

struct rtt {
	char id[16];
	uint32_t up_count;
	uint32_t down_count;
	struct ring_descriptor up;
};

/* The name is the one that tools look for. In .data, so that it stands complete
 * from the start of the firmware on. */
extern volatile struct rtt _SEGGER_RTT;
volatile struct rtt _SEGGER_RTT = {
	.id = "SEGGER RTT",
	.up_count = 1,
	.up = {.name = "Terminal", .buffer = ring, .size = SIZE},
};

void rtt_write(const char *bytes, size_t length)
{
	uint32_t write = _SEGGER_RTT.up.write, read = _SEGGER_RTT.up.read;
	uint32_t used;

	/* What a probe wrote is not ours: a wrong index must not leave the ring. */
	if (read >= SIZE)
		return;
	used = (write - read) % SIZE;
	if (length > SIZE - 1 - used)
		return;
	for (size_t i = 0; i < length; i++) {
		ring[write] = bytes[i];
		write = (write + 1) % SIZE;
	}
	__asm__ volatile("dmb" : : : "memory");
	_SEGGER_RTT.up.write = write;
}
