/* One datagram out, one back. */
#include <string.h>

#include "lwip/udp.h"
#include "net.h"

static struct udp_pcb *pcb;
static struct pbuf *answer;

static void received(void *arg, struct udp_pcb *from, struct pbuf *datagram,
		     const ip_addr_t *address, u16_t port)
{
	(void)arg;
	(void)from;
	(void)address;
	(void)port;
	if (answer != NULL)
		pbuf_free(answer);
	answer = datagram;
	net_event();
}

/* Nothing is kept between two questions: it would be off the heap. */
static void forget(void)
{
	if (answer != NULL)
		pbuf_free(answer);
	if (pcb != NULL)
		udp_remove(pcb);
	answer = NULL;
	pcb = NULL;
}

bool udp_ask(const uint8_t address[4], uint16_t port, const void *from, size_t length)
{
	ip_addr_t to;
	struct pbuf *datagram;
	bool sent = false;

	forget();
	IP_ADDR4(&to, address[0], address[1], address[2], address[3]);
	pcb = udp_new();
	datagram = length <= 1400 ? pbuf_alloc(PBUF_TRANSPORT, (u16_t)length, PBUF_RAM) : NULL;
	/* Connected: lwIP then lets in only what comes from there. */
	if (pcb != NULL && datagram != NULL && udp_bind(pcb, IP_ANY_TYPE, 0) == ERR_OK &&
	    udp_connect(pcb, &to, port) == ERR_OK) {
		pbuf_take(datagram, from, (u16_t)length);
		udp_recv(pcb, received, NULL);
		sent = udp_send(pcb, datagram) == ERR_OK;
	}
	if (datagram != NULL)
		pbuf_free(datagram);
	if (!sent)
		forget();
	return sent;
}

int udp_answer(void *to, size_t length)
{
	int got;

	if (answer == NULL)
		return 0;
	got = pbuf_copy_partial(answer, to, (u16_t)(length < 0xFFFF ? length : 0xFFFF), 0);
	forget();
	return got;
}
