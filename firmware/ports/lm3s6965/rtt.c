#include "rtt.h"

#include <stdbool.h>
#include <stdint.h>

#include "board.h"
#include "clock.h"

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

/* The name is the one that tools look for. In .data, so that it is complete
 * from the start of the firmware on. */
extern volatile struct rtt _SEGGER_RTT;
volatile struct rtt _SEGGER_RTT = {
	.id = "SEGGER RTT",
	.up_count = 1,
	.up = {.name = "Terminal", .buffer = ring, .size = SIZE},
};

static bool patient;
/* The probe's index when it was last found not to read; it starts at 0. */
static uint32_t stood;

static uint32_t room(void)
{
	uint32_t read = _SEGGER_RTT.up.read;

	/* A probe may write anything: a wrong index must not leave the ring. */
	if (read >= SIZE)
		return 0;
	return SIZE - 1 - (_SEGGER_RTT.up.write - read) % SIZE;
}

static bool wait_for_room(uint32_t wanted)
{
	uint32_t start = clock_ticks();

	while (room() < wanted) {
		if (!patient || _SEGGER_RTT.up.read == stood)
			return false;
		if (((clock_ticks() - start) & 0xFFFFFF) > RTT_STALL_MS * TICKS_PER_MS) {
			stood = _SEGGER_RTT.up.read;
			return false;
		}
	}
	return true;
}

void rtt_write(const char *bytes, size_t length)
{
	uint32_t write = _SEGGER_RTT.up.write;

	if (length >= SIZE || !wait_for_room(length))
		return;
	for (size_t i = 0; i < length; i++) {
		ring[write] = bytes[i];
		write = (write + 1) % SIZE;
	}
	/* The text is written before the index. */
	__asm__ volatile("dmb" : : : "memory");
	_SEGGER_RTT.up.write = write;
}

void rtt_be_patient(void)
{
	patient = true;
}

void rtt_flush(void)
{
	patient = true;
	wait_for_room(SIZE - 1);
}
