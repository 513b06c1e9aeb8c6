#include "tcp.h"

#include <string.h>

#include "heap.h"
#include "lwip/priv/tcp_priv.h"
#include "lwip/tcp.h"
#include "net.h"

/* Connections that are being opened, open ones that wait to be accepted, and
 * closed ones that lwIP remembers for a while: a flood of connections
 * could use up the heap with any of them. The first kind is small, and one too
 * many waits until its SYN is sent again, which takes seconds. */
#define OPENING_MAX 8u
#define WAITING_MAX 4u
#define TIME_WAIT_MAX 4u
/* Unread pieces before they are joined. lwIP's window bounds the bytes,
 * but a peer that sends them one by one would fill the heap with headers. */
#define PIECES_MAX 12u

struct port_stream {
	struct port_stream *next; /* of all, or of the waiting ones */
	struct tcp_pcb *pcb;      /* NULL once lwIP has given up on it */
	struct pbuf *received;
	uint16_t taken; /* bytes of `received` that were read */
	bool connected;
	bool ended; /* the peer sends no more */
	bool unsent;
};

static struct port_stream *streams; /* those that the core has open */
static struct port_stream *waiting; /* accepted by lwIP, oldest first */
static struct tcp_pcb *listener;

static void remove_from(struct port_stream **list, struct port_stream *stream)
{
	while (*list != NULL && *list != stream)
		list = &(*list)->next;
	if (*list != NULL)
		*list = stream->next;
}

static err_t received(void *arg, struct tcp_pcb *pcb, struct pbuf *data, err_t error)
{
	struct port_stream *stream = arg;

	(void)pcb;
	(void)error;
	net_event();
	if (data == NULL) {
		stream->ended = true;
		return ERR_OK;
	}
	if (stream->received == NULL) {
		stream->received = data;
		return ERR_OK;
	}
	if (pbuf_clen(stream->received) >= PIECES_MAX) {
		stream->received = pbuf_coalesce(stream->received, PBUF_RAW);
		/* No memory to make one piece of them: lwIP keeps the new one, and
		 * offers it again. */
		if (pbuf_clen(stream->received) >= PIECES_MAX)
			return ERR_MEM;
	}
	pbuf_cat(stream->received, data);
	return ERR_OK;
}

/* lwIP has freed the pcb already. */
static void failed(void *arg, err_t error)
{
	struct port_stream *stream = arg;

	(void)error;
	stream->pcb = NULL;
	net_event();
}

/* There is room again. */
static err_t acknowledged(void *arg, struct tcp_pcb *pcb, u16_t length)
{
	(void)arg;
	(void)pcb;
	(void)length;
	net_event();
	return ERR_OK;
}

static err_t connected(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct port_stream *stream = arg;

	(void)pcb;
	(void)error;
	stream->connected = true;
	net_event();
	return ERR_OK;
}

static struct port_stream *new_stream(struct tcp_pcb *pcb)
{
	struct port_stream *stream = heap_calloc(1, sizeof *stream);

	if (stream == NULL)
		return NULL;
	stream->pcb = pcb;
	tcp_arg(pcb, stream);
	tcp_recv(pcb, received);
	tcp_sent(pcb, acknowledged);
	tcp_err(pcb, failed);
	/* Small writes are gathered by streams_flush(), not by waiting. */
	tcp_nagle_disable(pcb);
	return stream;
}

/* Drops the oldest of the closed connections that are only remembered. */
static void trim_time_wait(void)
{
	unsigned count = 0;

	for (struct tcp_pcb *pcb = tcp_tw_pcbs; pcb != NULL;) {
		struct tcp_pcb *next = pcb->next;

		if (++count > TIME_WAIT_MAX)
			tcp_abort(pcb); /* newest come first in the list */
		pcb = next;
	}
}

struct port_stream *stream_connect(const uint8_t address[4], uint16_t port)
{
	ip_addr_t to;
	struct tcp_pcb *pcb;
	struct port_stream *stream;

	trim_time_wait();
	IP_ADDR4(&to, address[0], address[1], address[2], address[3]);
	pcb = tcp_new();
	if (pcb == NULL)
		return NULL;
	stream = new_stream(pcb);
	if (stream == NULL) {
		tcp_abort(pcb);
		return NULL;
	}
	if (tcp_connect(pcb, &to, port, connected) != ERR_OK) {
		/* tcp_abort() calls failed(), which marks the stream. */
		tcp_abort(pcb);
	}
	stream->next = streams;
	streams = stream;
	return stream;
}

static err_t accepted(void *arg, struct tcp_pcb *pcb, err_t error)
{
	struct port_stream **end = &waiting;
	struct port_stream *stream;
	unsigned count = 0;

	(void)arg;
	if (pcb == NULL || error != ERR_OK)
		return ERR_VAL;
	trim_time_wait();
	for (; *end != NULL; end = &(*end)->next)
		count++;
	stream = count < WAITING_MAX ? new_stream(pcb) : NULL;
	if (stream == NULL) {
		tcp_abort(pcb);
		return ERR_ABRT;
	}
	stream->connected = true;
	*end = stream;
	net_event();
	return ERR_OK;
}

bool stream_listen(uint16_t port)
{
	struct tcp_pcb *pcb = tcp_new(), *listening;

	if (pcb == NULL)
		return false;
	if (listener != NULL) {
		tcp_close(listener);
		listener = NULL;
	}
	if (tcp_bind(pcb, IP_ANY_TYPE, port) != ERR_OK ||
	    (listening = tcp_listen_with_backlog(pcb, OPENING_MAX)) == NULL) {
		tcp_abort(pcb);
		return false;
	}
	listener = listening;
	tcp_accept(listener, accepted);
	return true;
}

struct port_stream *stream_accept(void)
{
	struct port_stream *stream = waiting;

	if (stream == NULL)
		return NULL;
	waiting = stream->next;
	stream->next = streams;
	streams = stream;
	return stream;
}

enum port_stream_state stream_state(struct port_stream *stream)
{
	if (stream->ended)
		return PORT_STREAM_HALF;
	if (stream->pcb == NULL)
		return PORT_STREAM_FAILED;
	return stream->connected ? PORT_STREAM_OPEN : PORT_STREAM_CONNECTING;
}

int stream_read(struct port_stream *stream, void *to, size_t length)
{
	u16_t got;

	if (stream->received == NULL)
		return stream->ended || stream->pcb == NULL ? -1 : 0;
	if (length > INT16_MAX)
		length = INT16_MAX;
	got = pbuf_copy_partial(stream->received, to, (u16_t)length, stream->taken);
	stream->taken = (uint16_t)(stream->taken + got);
	/* Frees what was read whole, so that it does not weigh on the heap. */
	while (stream->received != NULL && stream->taken >= stream->received->len) {
		struct pbuf *first = stream->received;

		stream->taken = (uint16_t)(stream->taken - first->len);
		stream->received = first->next;
		if (first->next != NULL)
			pbuf_ref(first->next);
		pbuf_free(first);
	}
	if (stream->pcb != NULL)
		tcp_recved(stream->pcb, got);
	if (stream->pcb != NULL && stream->pcb->refused_data != NULL)
		tcp_process_refused_data(stream->pcb);
	return got;
}

int stream_write(struct port_stream *stream, const void *from, size_t length)
{
	u16_t room;

	if (stream->pcb == NULL)
		return -1;
	if (!stream->connected)
		return 0;
	room = tcp_sndbuf(stream->pcb);
	if (length > room)
		length = room;
	if (length > 0 &&
	    tcp_write(stream->pcb, from, (u16_t)length, TCP_WRITE_FLAG_COPY) != ERR_OK)
		length = 0; /* no memory or too many pieces: as if there were no room */
	if (length == 0) {
		tcp_output(stream->pcb);
		return 0;
	}
	stream->unsent = true;
	return (int)length;
}

size_t stream_unacknowledged(struct port_stream *stream)
{
	return stream->pcb == NULL ? 0 : TCP_SND_BUF - tcp_sndbuf(stream->pcb);
}

void stream_close(struct port_stream *stream)
{
	struct tcp_pcb *pcb = stream->pcb;

	remove_from(&streams, stream);
	if (pcb != NULL) {
		/* Unread bytes would turn the close into a reset, and the peer
		 * would lose an answer that is still on its way. */
		if (stream->received != NULL)
			tcp_recved(pcb, (u16_t)(stream->received->tot_len - stream->taken));
		tcp_arg(pcb, NULL);
		tcp_recv(pcb, NULL);
		tcp_sent(pcb, NULL);
		tcp_err(pcb, NULL);
		if (pcb->refused_data != NULL)
			tcp_process_refused_data(pcb);
		if (tcp_close(pcb) != ERR_OK)
			tcp_abort(pcb);
	}
	if (stream->received != NULL)
		pbuf_free(stream->received);
	heap_free(stream);
}

void streams_flush(void)
{
	struct port_stream *stream;

	for (stream = streams; stream != NULL; stream = stream->next) {
		if (stream->unsent && stream->pcb != NULL)
			tcp_output(stream->pcb);
		stream->unsent = false;
	}
}
