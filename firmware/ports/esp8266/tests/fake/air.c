/* A network of the board and this machine, which QEMU's user networking is made of too:
 * DHCP, and 10.0.2.2 for this machine's loopback. */
#include <arpa/inet.h>
#include <poll.h>
#include <slirp/libslirp.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "fake.h"

#define WEB_SERVER 9705
#define FDS_MAX 64

static Slirp *slirp;
static struct pollfd fds[FDS_MAX];
static int fd_count;

/* Frames for the board, oldest first. libslirp answers some while they are being sent,
 * and the board takes none then. */
#define WAITING_MAX 64
static struct {
	size_t length;
	uint8_t bytes[1600];
} waiting[WAITING_MAX];
static unsigned first_waiting, count_waiting;

static ssize_t to_board(const void *frame, size_t length, void *opaque)
{
	unsigned last = (first_waiting + count_waiting) % WAITING_MAX;

	(void)opaque;
	/* What does not fit is lost, as it is in the air. */
	if (count_waiting < WAITING_MAX && length <= sizeof waiting[last].bytes) {
		memcpy(waiting[last].bytes, frame, length);
		waiting[last].length = length;
		count_waiting++;
	}
	return (ssize_t)length;
}

static void guest_error(const char *text, void *opaque)
{
	(void)opaque;
	(void)text;
}

static int64_t now_ns(void *opaque)
{
	struct timespec now;

	(void)opaque;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000000000 + now.tv_nsec;
}

/* Its timers are for IPv6, which is off. */
static void *timer_new(SlirpTimerCb callback, void *argument, void *opaque)
{
	(void)callback;
	(void)argument;
	(void)opaque;
	return malloc(1);
}

static void timer_free(void *timer, void *opaque)
{
	(void)opaque;
	free(timer);
}

static void timer_mod(void *timer, int64_t at, void *opaque)
{
	(void)timer;
	(void)at;
	(void)opaque;
}

static void fd_changed(int fd, void *opaque)
{
	(void)fd;
	(void)opaque;
}

static void notify(void *opaque)
{
	(void)opaque;
}

static int add_fd(int fd, int events, void *opaque)
{
	(void)opaque;
	if (fd_count == FDS_MAX)
		chip_panic("more connections than the test has room for");
	fds[fd_count] = (struct pollfd){
		.fd = fd,
		.events = (short)((events & SLIRP_POLL_IN ? POLLIN : 0) |
				  (events & SLIRP_POLL_OUT ? POLLOUT : 0) |
				  (events & SLIRP_POLL_PRI ? POLLPRI : 0)),
	};
	return fd_count++;
}

static int events_of(int index, void *opaque)
{
	int got = fds[index].revents;

	(void)opaque;
	return (got & POLLIN ? SLIRP_POLL_IN : 0) | (got & POLLOUT ? SLIRP_POLL_OUT : 0) |
	       (got & POLLPRI ? SLIRP_POLL_PRI : 0) | (got & POLLERR ? SLIRP_POLL_ERR : 0) |
	       (got & POLLHUP ? SLIRP_POLL_HUP : 0);
}

static struct in_addr address(uint32_t host_order)
{
	return (struct in_addr){.s_addr = htonl(host_order)};
}

void air_start(uint32_t network, uint32_t board, uint16_t host_port)
{
	static const SlirpCb callbacks = {
		.send_packet = to_board,
		.guest_error = guest_error,
		.clock_get_ns = now_ns,
		.timer_new = timer_new,
		.timer_free = timer_free,
		.timer_mod = timer_mod,
		.register_poll_fd = fd_changed,
		.unregister_poll_fd = fd_changed,
		.notify = notify,
	};
	SlirpConfig config = {
		.version = 1,
		.in_enabled = true,
		.vnetwork = address(network),
		.vnetmask = address(0xFFFFFF00),
		.vhost = address(network | 2),
		.vdhcp_start = address(network | 15),
		.vnameserver = address(network | 3),
	};

	if (slirp != NULL)
		slirp_cleanup(slirp);
	slirp = slirp_new(&config, &callbacks, NULL);
	if (slirp == NULL ||
	    slirp_add_hostfwd(slirp, 0, address(INADDR_LOOPBACK), host_port, address(board),
			      WEB_SERVER) != 0)
		chip_panic("the port on this machine cannot be opened");
}

void air_send(const void *frame, size_t length)
{
	slirp_input(slirp, frame, (int)length);
}

void air_poll(uint32_t ms)
{
	int got;

	fd_count = 0;
	if (slirp != NULL)
		slirp_pollfds_fill(slirp, &ms, add_fd, NULL);
	got = poll(fds, (nfds_t)fd_count, count_waiting > 0 ? 0 : (int)ms);
	if (slirp != NULL)
		slirp_pollfds_poll(slirp, got < 0, events_of, NULL);
	while (count_waiting > 0) {
		unsigned taken = first_waiting;

		first_waiting = (first_waiting + 1) % WAITING_MAX;
		count_waiting--;
		radio_receive(waiting[taken].bytes, waiting[taken].length);
	}
}
