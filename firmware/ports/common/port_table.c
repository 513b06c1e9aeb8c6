/* Fills the port contract from ports/common and the chip's folder, and runs the
 * core. */
#include "build_id.h"
#include "callers.h"
#include "clock.h"
#include "crash.h"
#include "heap.h"
#include "net.h"
#include "pins.h"
#include "port.h"
#include "port_table.h"
#include "random.h"
#include "serial.h"
#include "slots.h"
#include "stack.h"
#include "tcp.h"

/* The build id follows this name in the image, so that a tool can find it
 * without running anything. */
#define BUILD_MARK "HILRIG_BUILD="
__attribute__((section(".rodata.hilrig_build"), used)) static const char build[] =
	BUILD_MARK HILRIG_BUILD_ID;

/* A port with less heap sets another (its port.mk or platformio.ini). */
#ifndef PORT_TLS_RECORD
#define PORT_TLS_RECORD 16384
#endif

/* -- clock -- */

static uint32_t port_uptime_ms(void *self)
{
	(void)self;
	return clock_ms();
}

static void port_idle(void *self, uint32_t at_most_ms)
{
	uint32_t start = clock_ms(), passed = 0;

	(void)self;
	for (;;) {
		uint32_t left = at_most_ms - passed, timers;

		streams_flush();
		if (net_poll() || left == 0)
			return;
		timers = net_next_ms();
		clock_sleep(left < timers ? left : timers);
		passed = clock_ms() - start;
		if (passed > at_most_ms)
			passed = at_most_ms;
	}
}

/* -- serial -- */

static void port_serial_baud(void *self, uint32_t baud)
{
	(void)self;
	serial_baud(baud);
}

static void port_serial_write(void *self, const char *bytes, size_t length)
{
	(void)self;
	serial_write(bytes, length);
}

/* -- settings flash -- */

static bool port_slot_read(void *self, unsigned slot, size_t offset, void *to, size_t length)
{
	(void)self;
	return slots_read(slot, offset, to, length);
}

static bool port_slot_erase(void *self, unsigned slot)
{
	(void)self;
	return slots_erase(slot);
}

static bool port_slot_write(void *self, unsigned slot, size_t offset, const void *from,
			    size_t length)
{
	(void)self;
	return slots_write(slot, offset, from, length);
}

static bool port_random(void *self, void *to, size_t length)
{
	(void)self;
	return random_bytes(to, length);
}

/* -- network -- */

static bool port_net_start(void *self, const struct port_net *net)
{
	(void)self;
	return net_start(net);
}

static enum port_net_state port_net_state(void *self)
{
	(void)self;
	return net_state();
}

static void port_net_address(void *self, uint8_t address[4])
{
	(void)self;
	net_address(address);
}

static bool port_net_access_point(void *self, const struct port_net *net)
{
	(void)self;
	return net_access_point(net);
}

static int port_resolve(void *self, const char *name, uint8_t address[4])
{
	(void)self;
	return net_resolve(name, address);
}

static struct port_stream *port_tcp_connect(void *self, const uint8_t address[4], uint16_t port)
{
	(void)self;
	return stream_connect(address, port);
}

static bool port_tcp_listen(void *self, uint16_t port)
{
	(void)self;
	return stream_listen(port);
}

static struct port_stream *port_tcp_accept(void *self)
{
	(void)self;
	return stream_accept();
}

static enum port_stream_state port_tcp_state(void *self, struct port_stream *stream)
{
	(void)self;
	return stream_state(stream);
}

static int port_tcp_read(void *self, struct port_stream *stream, void *to, size_t length)
{
	(void)self;
	return stream_read(stream, to, length);
}

static int port_tcp_write(void *self, struct port_stream *stream, const void *from, size_t length)
{
	(void)self;
	return stream_write(stream, from, length);
}

static size_t port_tcp_unacknowledged(void *self, struct port_stream *stream)
{
	(void)self;
	return stream_unacknowledged(stream);
}

static void port_tcp_close(void *self, struct port_stream *stream)
{
	(void)self;
	stream_close(stream);
}

static bool port_udp_send(void *self, const uint8_t address[4], uint16_t port, const void *from,
			  size_t length)
{
	(void)self;
	return udp_ask(address, port, from, length);
}

static int port_udp_receive(void *self, void *to, size_t length)
{
	(void)self;
	return udp_answer(to, length);
}

/* -- heap -- */

static void *port_heap_alloc(void *self, size_t size)
{
	(void)self;
	return heap_alloc_for(size, __builtin_return_address(0));
}

static void port_heap_free(void *self, void *block)
{
	(void)self;
	heap_free(block);
}

static void port_heap_figures(void *self, struct port_heap *figures)
{
	(void)self;
	heap_figures(figures);
}

static void port_heap_mark(void *self)
{
	(void)self;
	heap_mark();
}

static void port_stack(void *self, struct port_stack *stack)
{
	(void)self;
	stack_figures(stack);
}

/* -- pins and reset -- */

static void port_led(void *self, bool on)
{
	(void)self;
	board_led(on);
}

static uint16_t port_analog(void *self, unsigned channel)
{
	(void)self;
	return board_analog(channel);
}

static void port_reset(void *self)
{
	(void)self;
	chip_reset(RESET_RESTART);
}

static struct port port = {
	.device = board_device,
	.build = build + sizeof BUILD_MARK - 1,
	.tls_record = PORT_TLS_RECORD,
	.uptime_ms = port_uptime_ms,
	.idle = port_idle,
	.serial_baud = port_serial_baud,
	.serial_write = port_serial_write,
	.slot_read = port_slot_read,
	.slot_erase = port_slot_erase,
	.slot_write = port_slot_write,
	.random = port_random,
	.net_start = port_net_start,
	.net_state = port_net_state,
	.net_address = port_net_address,
	.net_access_point = port_net_access_point,
	.resolve = port_resolve,
	.tcp_connect = port_tcp_connect,
	.tcp_listen = port_tcp_listen,
	.tcp_accept = port_tcp_accept,
	.tcp_state = port_tcp_state,
	.tcp_read = port_tcp_read,
	.tcp_write = port_tcp_write,
	.tcp_unacknowledged = port_tcp_unacknowledged,
	.tcp_close = port_tcp_close,
	.udp_send = port_udp_send,
	.udp_receive = port_udp_receive,
	.heap_alloc = port_heap_alloc,
	.heap_free = port_heap_free,
	.heap_figures = port_heap_figures,
	.heap_mark = port_heap_mark,
	.heap_trace = CALLERS_TRACE,
	.stack = port_stack,
	.led = port_led,
	.analog = port_analog,
	.reset = port_reset,
};

void port_run(void)
{
	port.reset_reason = board_start(port.mac);
	net_init(port.mac);
	core_run(&port);
	crash_panic("the core returned");
}
