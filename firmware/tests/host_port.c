#include "host_port.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netdb.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <linux/sockios.h>
#include <time.h>
#include <unistd.h>

struct port_stream {
	int fd;
	bool connecting;
	bool failed;
	bool half;
	struct port_stream *next;
};

struct host_block {
	struct host_block *next, **from;
	size_t size;
	_Alignas(max_align_t) char bytes[];
};

static struct port_stream *streams; /* open ones, for idle() */

static uint32_t uptime_ms(void *self)
{
	struct host *host = self;
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint32_t)((uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000) +
	       host->pushed_ms;
}

static void idle(void *self, uint32_t at_most_ms)
{
	struct host *host = self;
	struct pollfd fds[16];
	nfds_t count = 0;

	if (host->listener >= 0)
		fds[count++] = (struct pollfd){ .fd = host->listener, .events = POLLIN };
	if (host->udp >= 0)
		fds[count++] = (struct pollfd){ .fd = host->udp, .events = POLLIN };
	for (struct port_stream *s = streams; s != NULL && count < 16; s = s->next)
		if (!s->half && !s->failed)
			fds[count++] = (struct pollfd){
				.fd = s->fd, .events = s->connecting ? POLLOUT : POLLIN };
	poll(fds, count, (int)at_most_ms);
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

static bool net_start(void *self, const struct port_net *net)
{
	(void)self;
	(void)net;
	return true;
}

static enum port_net_state net_state(void *self)
{
	return ((struct host *)self)->net;
}

static void net_address(void *self, uint8_t address[4])
{
	(void)self;
	memcpy(address, (const uint8_t[]){ 127, 0, 0, 1 }, 4);
}

static bool net_access_point(void *self, const struct port_net *net)
{
	(void)net;
	return ((struct host *)self)->has_access_point;
}

static int resolve(void *self, const char *name, uint8_t address[4])
{
	(void)self;
	if (strcmp(name, "localhost") == 0)
		name = "127.0.0.1";
	return inet_pton(AF_INET, name, address) == 1 ? 1 : -1;
}

static struct port_stream *open_stream(int fd, bool connecting)
{
	struct port_stream *stream = calloc(1, sizeof *stream);

	fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) | O_NONBLOCK);
	stream->fd = fd;
	stream->connecting = connecting;
	stream->next = streams;
	streams = stream;
	return stream;
}

static struct sockaddr_in socket_address(const uint8_t address[4], uint16_t port)
{
	struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons(port) };

	memcpy(&to.sin_addr, address, 4);
	return to;
}

static struct port_stream *tcp_connect(void *self, const uint8_t address[4], uint16_t port)
{
	struct sockaddr_in to = socket_address(address, port);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	struct port_stream *stream = open_stream(fd, true);

	(void)self;
	if (connect(fd, (struct sockaddr *)&to, sizeof to) != 0 && errno != EINPROGRESS)
		stream->failed = true;
	return stream;
}

/* Whatever port is asked for: several boards run at once, so the kernel
 * chooses. */
static bool tcp_listen(void *self, uint16_t port)
{
	struct host *host = self;
	struct sockaddr_in at = socket_address((const uint8_t[]){ 127, 0, 0, 1 }, 0);
	socklen_t length = sizeof at;

	(void)port;
	host->listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
	if (bind(host->listener, (struct sockaddr *)&at, sizeof at) != 0 ||
	    listen(host->listener, 8) != 0 ||
	    getsockname(host->listener, (struct sockaddr *)&at, &length) != 0)
		return false;
	host->listen_port = ntohs(at.sin_port);
	if (host->console != NULL) {
		fprintf(host->console, "[host] listening on %u\r\n", host->listen_port);
		fflush(host->console);
	}
	return true;
}

static struct port_stream *tcp_accept(void *self)
{
	struct host *host = self;
	int fd = host->accepted;

	host->accepted = -1;
	if (fd < 0 && host->listener >= 0)
		fd = accept(host->listener, NULL, NULL);
	return fd < 0 ? NULL : open_stream(fd, false);
}

static enum port_stream_state tcp_state(void *self, struct port_stream *stream)
{
	(void)self;
	if (stream->connecting && !stream->failed) {
		struct pollfd fd = { .fd = stream->fd, .events = POLLOUT };
		int error = 0;
		socklen_t length = sizeof error;

		if (poll(&fd, 1, 0) == 0)
			return PORT_STREAM_CONNECTING;
		getsockopt(stream->fd, SOL_SOCKET, SO_ERROR, &error, &length);
		stream->connecting = false;
		stream->failed = error != 0;
	}
	if (stream->failed)
		return PORT_STREAM_FAILED;
	return stream->half ? PORT_STREAM_HALF : PORT_STREAM_OPEN;
}

static int tcp_read(void *self, struct port_stream *stream, void *to, size_t length)
{
	ssize_t done;

	(void)self;
	if (stream->failed || stream->half)
		return -1;
	done = recv(stream->fd, to, length, 0);
	if (done > 0)
		return (int)done;
	if (done < 0 && (errno == EAGAIN || errno == EINTR))
		return 0;
	if (done == 0)
		stream->half = true;
	else
		stream->failed = true;
	return -1;
}

static int tcp_write(void *self, struct port_stream *stream, const void *from, size_t length)
{
	struct host *host = self;
	ssize_t done;

	if (stream->failed)
		return -1;
	if (host->write_at_most > 0 && length > host->write_at_most)
		length = host->write_at_most;
	done = send(stream->fd, from, length, MSG_NOSIGNAL);
	if (done >= 0)
		return (int)done;
	if (errno == EAGAIN || errno == EINTR)
		return 0;
	stream->failed = true;
	return -1;
}

static size_t tcp_unacknowledged(void *self, struct port_stream *stream)
{
	int left = 0;
	int domain = AF_UNIX;
	socklen_t length = sizeof domain;

	(void)self;
	getsockopt(stream->fd, SOL_SOCKET, SO_DOMAIN, &domain, &length);
	/* What was written to a pair of sockets counts as there. */
	if (domain == AF_UNIX || ioctl(stream->fd, SIOCOUTQ, &left) != 0)
		return 0;
	return (size_t)left;
}

static void tcp_close(void *self, struct port_stream *stream)
{
	(void)self;
	for (struct port_stream **at = &streams; *at != NULL; at = &(*at)->next)
		if (*at == stream) {
			*at = stream->next;
			break;
		}
	close(stream->fd);
	free(stream);
}

static bool udp_send(void *self, const uint8_t address[4], uint16_t port, const void *from,
		     size_t length)
{
	struct host *host = self;
	struct sockaddr_in to = socket_address(address, port);

	if (host->udp < 0)
		host->udp = socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK, 0);
	return sendto(host->udp, from, length, 0, (struct sockaddr *)&to, sizeof to) ==
	       (ssize_t)length;
}

static int udp_receive(void *self, void *to, size_t length)
{
	struct host *host = self;
	ssize_t done = host->udp < 0 ? 0 : recv(host->udp, to, length, 0);

	return done > 0 ? (int)done : 0;
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
	memset(block->bytes, 0xa5, size); /* whoever relies on zeros fails */
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
	figures->failures = host->heap_failures;
	figures->last_failed = (uint32_t)host->heap_last_failed;
}

static void heap_mark(void *self)
{
	struct host *host = self;

	host->heap_peak = host->heap_used;
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
		.mac = { 0x18, 0xfe, 0x34, 0xa2, 0x66, 0x29 },
		.reset_reason = 0,
		.uptime_ms = uptime_ms,
		.idle = idle,
		.serial_baud = serial_baud,
		.serial_write = serial_write,
		.slot_read = slot_read,
		.slot_erase = slot_erase,
		.slot_write = slot_write,
		.random = fill_random,
		.net_start = net_start,
		.net_state = net_state,
		.net_address = net_address,
		.net_access_point = net_access_point,
		.resolve = resolve,
		.tcp_connect = tcp_connect,
		.tcp_listen = tcp_listen,
		.tcp_accept = tcp_accept,
		.tcp_state = tcp_state,
		.tcp_read = tcp_read,
		.tcp_write = tcp_write,
		.tcp_unacknowledged = tcp_unacknowledged,
		.tcp_close = tcp_close,
		.udp_send = udp_send,
		.udp_receive = udp_receive,
		.heap_alloc = heap_alloc,
		.heap_free = heap_free,
		.heap_figures = heap_figures,
		.heap_mark = heap_mark,
		.led = led,
		.analog = analog,
		.reset = reset,
	};
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void host_reset_memory(struct host *host)
{
	while (host->blocks != NULL)
		heap_free(host, host->blocks->bytes);
	while (streams != NULL)
		tcp_close(host, streams);
	close_fd(&host->listener);
	close_fd(&host->accepted);
	close_fd(&host->udp);
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
	host->may_reset = true;
	if (setjmp(host->on_reset) == 0)
		core_run(&host->port, build);
	host->may_reset = false;
	host->port.reset_reason = 4;
	host_reset_memory(host);
}

int host_connect(struct host *host)
{
	int pair[2];

	if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) != 0) {
		perror("socketpair");
		abort();
	}
	host->accepted = pair[0];
	return pair[1];
}
