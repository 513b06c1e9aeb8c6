/*
 * In place of the core: executes the commands of a port's test_port.py, one line each, over
 * TCP port 9705, so that the port is tested from both sides of its contract.
 */
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "crash.h"
#include "port.h"
#include "probe_chip.h"

static const struct port *port;
static struct port_stream *stream;

__attribute__((format(printf, 1, 2))) static void reply(const char *format, ...)
{
	char text[200];
	va_list arguments;
	int length, sent = 0;

	va_start(arguments, format);
	length = vsnprintf(text, sizeof text, format, arguments);
	va_end(arguments);
	while (sent < length) {
		int done = port->tcp_write(port->self, stream, text + sent, (size_t)(length - sent));

		if (done < 0)
			return;
		sent += done;
		port->idle(port->self, done == 0 ? 10 : 0);
	}
}

static int deeper(int left)
{
	volatile char frame[100];

	memset((char *)frame, left, sizeof frame);
	return left == 0 ? 0 : deeper(left - 1) + frame[left % 100];
}

static void crash(const char *how)
{
	/* The compiler must not see what these are. */
	static volatile uint32_t address, zero;

	if (strcmp(how, "illegal") == 0)
		__asm__ volatile(PROBE_ILLEGAL);
	if (strcmp(how, "divide") == 0)
		reply("%lu\n", (unsigned long)(5 / zero));
	if (strcmp(how, "unaligned") == 0) {
		address = PROBE_UNALIGNED;
		*(volatile uint32_t *)address = 1;
	}
	if (strcmp(how, "jump") == 0)
		((void (*)(void))zero)();
	if (strcmp(how, "read") == 0)
		reply("%lu\n", (unsigned long)*(volatile uint32_t *)(zero + PROBE_READ));
	if (strcmp(how, "write") == 0)
		*(volatile uint32_t *)(zero + PROBE_WRITE) = 1;
	if (strcmp(how, "stack") == 0)
		deeper(1000);
	if (strcmp(how, "heap") == 0) {
		void *block = port->heap_alloc(port->self, 20);

		port->heap_alloc(port->self, 99999);
		port->heap_free(port->self, block);
		port->heap_free(port->self, block);
	}
	if (strcmp(how, "panic") == 0)
		crash_panic("asked for");
}

static void arithmetic(uint64_t a, uint64_t b)
{
	uint32_t x = (uint32_t)a, y = (uint32_t)b;
	uint64_t results[] = {
		x / y,		  x % y,	    (uint32_t)((int32_t)x / (int32_t)y),
		(uint32_t)((int32_t)x % (int32_t)y), (uint64_t)x * y,
		a * b,		  a / b,	    a % b,
		(uint64_t)((int64_t)a / (int64_t)b), (uint64_t)((int64_t)a % (int64_t)b),
	};

	for (unsigned i = 0; i < sizeof results / sizeof results[0]; i++)
		reply("%08lx%08lx ", (unsigned long)(results[i] >> 32), (unsigned long)results[i]);
	reply("\n");
}

static void slot(const char *command, unsigned number, unsigned offset, unsigned value)
{
	uint8_t bytes[64];
	bool good = false;

	memset(bytes, (int)value, sizeof bytes);
	if (strcmp(command, "erase") == 0)
		good = port->slot_erase(port->self, number);
	if (strcmp(command, "write") == 0)
		good = port->slot_write(port->self, number, offset, bytes, sizeof bytes);
	if (strcmp(command, "read") == 0)
		good = port->slot_read(port->self, number, offset, bytes, sizeof bytes);
	reply("%d %02x %02x\n", good, bytes[0], bytes[sizeof bytes - 1]);
}

static void obey(const char *line)
{
	char word[16] = "";
	unsigned long a, b, c, d;
	struct port_heap heap;

	if (sscanf(line, "crash %15s", word) == 1) {
		crash(word);
	} else if (sscanf(line, "arithmetic %lx %lx %lx %lx", &a, &b, &c, &d) == 4) {
		arithmetic((uint64_t)a << 32 | b, (uint64_t)c << 32 | d);
	} else if (sscanf(line, "slot %15s %lu %lu %lx", word, &a, &b, &c) == 4) {
		slot(word, (unsigned)a, (unsigned)b, (unsigned)c);
	} else if (sscanf(line, "analog %lu", &a) == 1) {
		reply("%u\n", port->analog(port->self, (unsigned)a));
	} else if (sscanf(line, "led %lu", &a) == 1) {
		port->led(port->self, a != 0);
		reply("ok\n");
	} else if (strncmp(line, "random", 6) == 0) {
		uint32_t random[2] = {0, 0};
		bool good = port->random(port->self, random, sizeof random);

		reply("%d %08lx%08lx\n", good, (unsigned long)random[0], (unsigned long)random[1]);
	} else if (strncmp(line, "heap", 4) == 0) {
		port->heap_figures(port->self, &heap);
		reply("%lu %lu %lu\n", (unsigned long)heap.free, (unsigned long)heap.largest,
		      (unsigned long)heap.failures);
	} else if (strncmp(line, "uptime", 6) == 0) {
		reply("%lu\n", (unsigned long)port->uptime_ms(port->self));
	} else if (strncmp(line, "reset", 5) == 0) {
		port->reset(port->self);
	} else if (strncmp(line, "flood", 5) == 0) {
		for (unsigned i = 0; i < 2000; i++)
			port->serial_write(port->self, "0123456789012345678901234567890123456789", 40);
		reply("flooded\n");
	} else {
		reply("what?\n");
	}
}

static void print(const char *format, unsigned long value)
{
	char text[60];

	port->serial_write(port->self, text, (size_t)snprintf(text, sizeof text, format, value));
}

/* Lines of one connection, until it ends. */
static void serve(void)
{
	char line[100];
	size_t length = 0;
	int got;

	while ((got = port->tcp_read(port->self, stream, line + length, 1)) >= 0) {
		if (got == 0) {
			port->idle(port->self, 1000);
		} else if (line[length] == '\n' || length == sizeof line - 2) {
			line[length + 1] = 0;
			length = 0;
			obey(line);
		} else {
			length++;
		}
	}
	port->tcp_close(port->self, stream);
}

void core_run(const struct port *given)
{
	struct port_net net = {0};
	char text[60];

	port = given;
	snprintf(text, sizeof text, "probe %s mac %02x%02x\r\n", port->build, port->mac[4], port->mac[5]);
	port->serial_write(port->self, text, strlen(text));
	print("reason %lu\r\n", port->reset_reason);
	port->net_start(port->self, &net);
	while (port->net_state(port->self) != PORT_NET_UP)
		port->idle(port->self, 1000);
	port->tcp_listen(port->self, 9705);
	print("ready at %lu ms\r\n", port->uptime_ms(port->self));
	for (;;) {
		while ((stream = port->tcp_accept(port->self)) == NULL)
			port->idle(port->self, 10000);
		serve();
	}
}
