#include "host_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/sockios.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

struct port_stream {
	int fd;
	bool connecting;
	bool failed;
	bool half;
	struct port_stream *next;
};

static struct port_stream *streams; /* open ones, for idle() */

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
	/* What came before can still be read, as with lwIP. */
	return errno == EAGAIN || errno == EINTR ? 0 : -1;
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

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

void host_net_close(struct host *host)
{
	while (streams != NULL)
		tcp_close(host, streams);
	close_fd(&host->listener);
	close_fd(&host->accepted);
	close_fd(&host->udp);
}

void host_net_start(struct port *port)
{
	port->idle = idle;
	port->net_start = net_start;
	port->net_state = net_state;
	port->net_address = net_address;
	port->net_access_point = net_access_point;
	port->resolve = resolve;
	port->tcp_connect = tcp_connect;
	port->tcp_listen = tcp_listen;
	port->tcp_accept = tcp_accept;
	port->tcp_state = tcp_state;
	port->tcp_read = tcp_read;
	port->tcp_write = tcp_write;
	port->tcp_unacknowledged = tcp_unacknowledged;
	port->tcp_close = tcp_close;
	port->udp_send = udp_send;
	port->udp_receive = udp_receive;
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
