#include "host_port.h"

#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "host_net.h"

struct host_block {
	struct host_block *next, **from;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

static uint32_t uptime_ms(void *self)
{
	struct host *host = self;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) +
	       host->pushed_ms;
}

static void serial_baud(void *self, uint32_t baud)
{
	(void)self;
	(void)baud;
}

static void serial_write(void *self, const char *bytes, size_t length)
{
	struct host *host = self;

	if (host->console != NULL) {
		fwrite(bytes, 1, length, host->console);
		fflush(host->console);
	}
	if (host->log_length + length + 1 > host->log_size) {
		host->log_size = (host->log_length + length + 1) * 2;
		host->log = realloc(host->log, host->log_size);
	}
	memcpy(host->log + host->log_length, bytes, length);
	host->log_length += length;
	host->log[host->log_length] = 0;
}

static void keep_flash(struct host *host)
{
	FILE *file = host->flash_file != NULL ? fopen(host->flash_file, "wb") : NULL;

	if (file == NULL)
		return;
	fwrite(host->flash, 1, sizeof host->flash, file);
	fclose(file);
}

/* One byte of flash work; false once the power has failed. */
static bool powered(struct host *host)
{
	if (host->power_left == 0)
		host->power_is_off = true;
	if (host->power_left > 0)
		host->power_left--;
	return !host->power_is_off;
}

static bool slot_read(void *self, unsigned slot, size_t offset, void *to, size_t length)
{
	struct host *host = self;

	if (host->power_is_off || slot >= PORT_SLOTS || offset + length > PORT_SLOT_SIZE)
		return false;
	memcpy(to, host->flash[slot] + offset, length);
	return true;
}

static bool slot_erase(void *self, unsigned slot)
{
	struct host *host = self;

	host->writes++;
	if (slot >= PORT_SLOTS)
		return false;
	for (size_t i = 0; i < PORT_SLOT_SIZE; i++) {
		if (!powered(host))
			return false;
		host->flash[slot][i] = 0xff;
	}
	keep_flash(host);
	return true;
}

static bool slot_write(void *self, unsigned slot, size_t offset, const void *from, size_t length)
{
	struct host *host = self;
	const uint8_t *bytes = from;

	host->writes++;
	if (slot >= PORT_SLOTS || offset % 4 != 0 || length % 4 != 0 ||
	    offset + length > PORT_SLOT_SIZE) {
		fprintf(stderr, "slot_write breaks the contract: slot %u, %zu at %zu\n", slot, length,
			offset);
		abort();
	}
	for (size_t i = 0; i < length; i++) {
		if (!powered(host))
			return false;
		host->flash[slot][offset + i] &= bytes[i]; /* NOR only clears bits */
	}
	keep_flash(host);
	return true;
}

static bool fill_random(void *self, void *to, size_t length)
{
	struct host *host = self;

	return !host->random_fails && getrandom(to, length, 0) == (ssize_t)length;
}

static void *heap_alloc(void *self, size_t size)
{
	struct host *host = self;
	struct host_block *block = NULL;

	if (host->allocs_left != 0 && size <= host->heap_size - host->heap_used)
		block = malloc(sizeof *block + size);
	if (host->allocs_left > 0)
		host->allocs_left--;
	if (block == NULL) {
		host->heap_failures++;
		host->heap_last_failed = size;
		return NULL;
	}
	block->size = size;
	block->from = &host->blocks;
	block->next = host->blocks;
	if (block->next != NULL)
		block->next->from = &block->next;
	host->blocks = block;
	host->heap_used += size;
	if (host->heap_used > host->heap_peak)
		host->heap_peak = host->heap_used;
	if (host->heap_used > host->heap_peak_ever)
		host->heap_peak_ever = host->heap_used;
	memset(block->bytes, 0xa5, size); /* code that relies on zeros fails */
	return block->bytes;
}

static void heap_free(void *self, void *memory)
{
	struct host *host = self;
	struct host_block *block;

	if (memory == NULL)
		return;
	block = (struct host_block *)((char *)memory - offsetof(struct host_block, bytes));
	*block->from = block->next;
	if (block->next != NULL)
		block->next->from = block->from;
	host->heap_used -= block->size;
	free(block);
}

static void heap_figures(void *self, struct port_heap *figures)
{
	struct host *host = self;

	figures->free = (uint32_t)(host->heap_size - host->heap_used);
	figures->lowest = (uint32_t)(host->heap_size - host->heap_peak);
	figures->lowest_ever = (uint32_t)(host->heap_size - host->heap_peak_ever);
	figures->largest = figures->free;
	figures->fragmentation = 0;
	figures->failures = host->heap_failures;
	figures->last_failed = (uint32_t)host->heap_last_failed;
}

static void heap_mark(void *self)
{
	struct host *host = self;

	host->heap_peak = host->heap_used;
}

static void stack(void *self, struct port_stack *figures)
{
	(void)self;
	figures->size = 4096;
	figures->used = 1234;
}

static void led(void *self, bool on)
{
	struct host *host = self;

	host->led_changes += host->led != on;
	host->led = on;
}

static uint16_t analog(void *self, unsigned channel)
{
	(void)self;
	return (uint16_t)(100 + channel);
}

static void reset(void *self)
{
	struct host *host = self;

	host->resets++;
	if (!host->may_reset)
		abort();
	longjmp(host->on_reset, 1);
}

void host_start(struct host *host)
{
	memset(host, 0, sizeof *host);
	memset(host->flash, 0xff, sizeof host->flash);
	host->power_left = -1;
	host->allocs_left = -1;
	host->heap_size = 51000; /* what a board has after the network is up */
	host->listener = host->accepted = host->udp = -1;
	host->net = PORT_NET_UP;
	host->port = (struct port){
		.self = host,
		.device = "ESP8266",
		.tls_record = 16384,
		.mac = { 0x18, 0xfe, 0x34, 0xa2, 0x66, 0x29 },
		.reset_reason = 0,
		.uptime_ms = uptime_ms,
		.serial_baud = serial_baud,
		.serial_write = serial_write,
		.slot_read = slot_read,
		.slot_erase = slot_erase,
		.slot_write = slot_write,
		.random = fill_random,
		.heap_alloc = heap_alloc,
		.heap_free = heap_free,
		.heap_figures = heap_figures,
		.heap_mark = heap_mark,
		.stack = stack,
		.led = led,
		.analog = analog,
		.reset = reset,
	};
	host_net_start(&host->port);
}

void host_reset_memory(struct host *host)
{
	while (host->blocks != NULL)
		heap_free(host, host->blocks->bytes);
	host_net_close(host);
	host->heap_peak = host->heap_peak_ever = 0;
	host->heap_failures = 0;
}

void host_stop(struct host *host)
{
	host_reset_memory(host);
	free(host->log);
	host->log = NULL;
	host->log_length = host->log_size = 0;
}

void host_run_until_reset(struct host *host, const char *build)
{
	host->port.build = build;
	host->may_reset = true;
	if (setjmp(host->on_reset) == 0)
		core_run(&host->port);
	host->may_reset = false;
	host->port.reset_reason = 4;
	host_reset_memory(host);
}
