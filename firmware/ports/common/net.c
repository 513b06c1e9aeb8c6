#include "net.h"

#include <string.h>

#include "clock.h"
#include "eth.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

/* How often the link is checked; the interface reports no change. */
#define LINK_POLL_MS 200u
/* Joining is given up after this long. */
#define JOIN_MS 20000u
/* Frames received in one call, so that a flood does not keep the core from running. */
#define FRAMES_AT_ONCE 16u

static struct netif netif;
static bool started;
static bool was_up;
static bool use_dhcp;
static uint32_t join_since;
static uint32_t link_seen;

uint32_t sys_now(void);

uint32_t sys_now(void)
{
	return clock_ms();
}

static err_t send_frame(struct netif *unused, struct pbuf *frame)
{
	(void)unused;
	if (frame->tot_len > ETH_PAD_SIZE + ETH_FRAME_MAX)
		return ERR_BUF;
	/* lwIP sends a frame that is not accepted again, like a lost one. */
	return eth_send(frame) ? ERR_OK : ERR_IF;
}

static err_t set_up(struct netif *it)
{
	it->name[0] = 'e';
	it->name[1] = 'n';
	it->mtu = 1500;
	it->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	it->output = etharp_output;
	it->linkoutput = send_frame;
	return ERR_OK;
}

void net_init(const uint8_t mac[6])
{
	lwip_init();
	memcpy(netif.hwaddr, mac, sizeof netif.hwaddr);
	netif.hwaddr_len = sizeof netif.hwaddr;
}

static void look_at_link(void)
{
	bool link = eth_link();

	link_seen = clock_ms();
	if (link == (netif_is_link_up(&netif) != 0))
		return;
	/* lwIP asks for the lease again by itself when the link comes back. */
	if (link)
		netif_set_link_up(&netif);
	else
		netif_set_link_down(&netif);
}

static bool take_frames(void)
{
	unsigned taken = 0;
	struct pbuf *frame;

	while (taken < FRAMES_AT_ONCE && eth_receive(&frame)) {
		if (frame != NULL && netif.input(frame, &netif) != ERR_OK)
			pbuf_free(frame);
		taken++;
	}
	return taken > 0;
}

bool net_poll(void)
{
	bool came;

	if (!started)
		return false;
	if (clock_ms() - link_seen >= LINK_POLL_MS)
		look_at_link();
	came = take_frames();
	sys_check_timeouts();
	return came;
}

/* A frame ends the sleep by itself here. */
void net_event(void)
{
}

uint32_t net_next_ms(void)
{
	uint32_t timers = sys_timeouts_sleeptime();

	if (!started)
		return UINT32_MAX;
	return timers < LINK_POLL_MS ? timers : LINK_POLL_MS;
}

static ip4_addr_t to_lwip(const uint8_t address[4])
{
	ip4_addr_t result;

	IP4_ADDR(&result, address[0], address[1], address[2], address[3]);
	return result;
}

static bool bring_up(ip4_addr_t address, ip4_addr_t mask, ip4_addr_t gateway)
{
	if (started) {
		dhcp_release_and_stop(&netif);
		dhcp_cleanup(&netif);
		netif_remove(&netif);
		started = false;
	}
	if (netif_add(&netif, &address, &mask, &gateway, NULL, set_up, ethernet_input) == NULL)
		return false;
	netif_set_default(&netif);
	netif_set_up(&netif);
	eth_start(netif.hwaddr);
	started = true;
	was_up = false;
	join_since = clock_ms();
	look_at_link();
	return true;
}

bool net_start(const struct port_net *net)
{
	ip4_addr_t address = to_lwip(net->address);

	use_dhcp = ip4_addr_isany_val(address);
	if (!bring_up(address, to_lwip(net->netmask), to_lwip(net->gateway)))
		return false;
	if (!use_dhcp) {
		/* With an address set by hand, the gateway serves names. */
		ip_addr_t server = to_lwip(net->gateway);

		dns_setserver(0, &server);
		return true;
	}
	return dhcp_start(&netif) == ERR_OK;
}

bool net_access_point(const struct port_net *net)
{
	static const uint8_t mask[4] = {255, 255, 255, 0};
	ip4_addr_t none = {0};

	use_dhcp = false;
	return bring_up(to_lwip(net->ap_address), to_lwip(mask), none);
}

enum port_net_state net_state(void)
{
	if (!started)
		return PORT_NET_FAILED;
	if (netif_is_link_up(&netif) && (!use_dhcp || dhcp_supplied_address(&netif))) {
		was_up = true;
		return PORT_NET_UP;
	}
	if (was_up)
		return PORT_NET_LOST;
	return clock_ms() - join_since < JOIN_MS ? PORT_NET_JOINING : PORT_NET_FAILED;
}

void net_address(uint8_t address[4])
{
	uint32_t it = started ? netif_ip4_addr(&netif)->addr : 0;

	memcpy(address, &it, 4); /* lwIP keeps it in network order */
}
