// The Arduino core's WiFi class and its lwIP (the real one), with one network in the air.
// SIGUSR1 takes that away, SIGUSR2 brings it back.
#include <signal.h>
#include <string.h>

#include <Arduino.h>
#include <ESP8266WiFi.h>

#include "fake.h"
#include "lwip/dhcp.h"
#include "lwip/dns.h"
#include "lwip/etharp.h"
#include "lwip/init.h"
#include "lwip/netif.h"
#include "lwip/timeouts.h"
#include "netif/ethernet.h"

#define NETWORK_NAME "bench"
#define NETWORK_PASSWORD "correct horse"
#define STATION_NETWORK 0x0A000200u // 10.0.2.0
#define STATION_ADDRESS 0x0A00020Fu // what DHCP gives
#define ASSOCIATION_MS 100u

ESP8266WiFiClass WiFi;

IPAddress::IPAddress() : address(0)
{
}

IPAddress::IPAddress(const IPAddress &from) : Printable(), address(from.address)
{
}

IPAddress::IPAddress(uint8_t a, uint8_t b, uint8_t c, uint8_t d)
	: address(a | b << 8 | c << 16 | static_cast<uint32_t>(d) << 24)
{
}

IPAddress &IPAddress::operator=(uint32_t given)
{
	address = given;
	return *this;
}

size_t IPAddress::printTo(Print &) const
{
	return 0; // nothing prints one here
}

static const uint8_t chip_mac[6] = {0x18, 0xFE, 0x34, 0xA2, 0x66, 0x29};
static struct netif netif;
static WiFiMode_t mode_now = WIFI_OFF;
static bool is_persistent = true, is_static, is_started, in_task;
static wl_status_t refused = WL_DISCONNECTED; // while it is not WL_CONNECTED
static uint32_t associated_at;
static volatile sig_atomic_t in_range = 1;
static bool data_came; // while the firmware sleeps

static void on_signal(int number)
{
	in_range = number == SIGUSR2;
}

static err_t to_air(struct netif *, struct pbuf *frame)
{
	uint8_t bytes[1600];

	if (frame->tot_len > sizeof bytes)
		return ERR_BUF;
	pbuf_copy_partial(frame, bytes, frame->tot_len, 0);
	if (in_range)
		air_send(bytes, frame->tot_len);
	return ERR_OK;
}

static err_t set_up(struct netif *it)
{
	it->name[0] = 's';
	it->name[1] = 't';
	it->mtu = 1500;
	it->flags = NETIF_FLAG_BROADCAST | NETIF_FLAG_ETHARP | NETIF_FLAG_ETHERNET;
	memcpy(it->hwaddr, chip_mac, sizeof chip_mac);
	it->hwaddr_len = sizeof chip_mac;
	it->output = etharp_output;
	it->linkoutput = to_air;
	return ERR_OK;
}

static void start_lwip()
{
	if (!is_started) {
		lwip_init();
		netif_add(&netif, nullptr, nullptr, nullptr, nullptr, set_up, ethernet_input);
		netif_set_default(&netif);
		signal(SIGUSR1, on_signal);
		signal(SIGUSR2, on_signal);
		is_started = true;
	}
}

static ip4_addr_t to_lwip(const IPAddress &address)
{
	ip4_addr_t result;

	IP4_ADDR(&result, address[0], address[1], address[2], address[3]);
	return result;
}

static uint32_t host_order(const IPAddress &address)
{
	return static_cast<uint32_t>(address[0]) << 24 | address[1] << 16 | address[2] << 8 |
	       address[3];
}

// A TCP segment with something in it.
static bool has_data(const uint8_t *frame, size_t length)
{
	const uint8_t *ip = frame + 14;
	size_t header = length > 34 ? 4u * (ip[0] & 15u) : 0;

	return length > 54 && frame[12] == 0x08 && frame[13] == 0 && ip[9] == 6 && length > 14 + header + 12 &&
	       (static_cast<size_t>(ip[2]) << 8 | ip[3]) > header + 4u * (ip[header + 12] >> 4);
}

extern "C" void radio_receive(const void *bytes, size_t length)
{
	struct pbuf *frame = pbuf_alloc(PBUF_RAW, static_cast<u16_t>(length), PBUF_RAM);

	if (frame == nullptr || !in_range || !netif_is_link_up(&netif)) {
		if (frame != nullptr)
			pbuf_free(frame);
		return;
	}
	pbuf_take(frame, bytes, static_cast<u16_t>(length));
	data_came = data_came || has_data(static_cast<const uint8_t *>(bytes), length);
	if (netif.input(frame, &netif) != ERR_OK)
		pbuf_free(frame);
}

// The link, as the SDK sees it: up when the network is in range and was let in.
static void look_at_link()
{
	bool link = in_range && (mode_now == WIFI_AP || (mode_now == WIFI_STA && refused == WL_CONNECTED &&
		    static_cast<int32_t>(chip_ms() - associated_at) >= 0));

	if (link == (netif_is_link_up(&netif) != 0))
		return;
	if (!link) {
		netif_set_link_down(&netif);
		return;
	}
	netif_set_up(&netif);
	netif_set_link_up(&netif);
	if (mode_now == WIFI_STA && !is_static && netif_dhcp_data(&netif) == nullptr)
		dhcp_start(&netif);
}

extern "C" void radio_run(uint32_t ms)
{
	uint32_t start = chip_ms();

	if (in_task)
		chip_panic("a callback of lwIP yielded");
	in_task = true;
	data_came = false;
	start_lwip();
	for (;;) {
		uint32_t passed = chip_ms() - start, left = passed < ms ? ms - passed : 0;
		uint32_t timers = sys_timeouts_sleeptime();

		look_at_link();
		if (timers < left)
			left = timers;
		air_poll(left < 10 ? left : 10); // the link is looked at
		sys_check_timeouts();
		if (chip_was_scheduled())
			break;
		if (chip_ms() - start >= ms) {
			if (data_came)
				fprintf(stderr, "slept on\n");
			break;
		}
	}
	in_task = false;
}

extern "C" void radio_run_within(enum yield place, uint32_t ms)
{
	static enum yield last = YIELD_BEARSSL;
	bool came_before = data_came;

	// What comes now does not come later: the two take turns.
	if (!is_started || (place == YIELD_BEARSSL && last == YIELD_BEARSSL))
		return;
	if (in_task)
		chip_panic("a callback of lwIP writes to the log or calls BearSSL");
	in_task = true;
	data_came = false;
	look_at_link();
	air_poll(ms);
	sys_check_timeouts();
	if (data_came) {
		fprintf(stderr, "data within %s\n", place == YIELD_LOG ? "a log line" : "BearSSL");
		last = place;
	}
	data_came = data_came || came_before;
	// Nobody sleeps here: what was scheduled is done, and only what the firmware keeps of it counts.
	chip_was_scheduled();
	in_task = false;
}

extern "C" uint32_t sys_now()
{
	return chip_ms();
}

extern "C" unsigned int r_rand()
{
	return static_cast<unsigned int>(rand());
}

void ESP8266WiFiGenericClass::persistent(bool persistent)
{
	is_persistent = persistent;
}

bool ESP8266WiFiGenericClass::mode(WiFiMode_t mode)
{
	// It would store the password in flash once more, where nothing reads it.
	if (is_persistent)
		chip_panic("Wi-Fi settings would be stored by the SDK");
	start_lwip();
	mode_now = mode;
	return true;
}

WiFiMode_t ESP8266WiFiGenericClass::getMode()
{
	return mode_now;
}

bool ESP8266WiFiGenericClass::setSleepMode(WiFiSleepType_t, uint8_t)
{
	return true;
}

bool ESP8266WiFiSTAClass::setAutoReconnect(bool)
{
	return true;
}

bool ESP8266WiFiSTAClass::config(IPAddress local, IPAddress gateway, IPAddress subnet, IPAddress dns1,
			      IPAddress)
{
	ip4_addr_t address = to_lwip(local), mask = to_lwip(subnet), gate = to_lwip(gateway);
	ip_addr_t server = to_lwip(dns1);

	is_static = true;
	netif_set_addr(&netif, &address, &mask, &gate);
	dns_setserver(0, &server);
	return true;
}

wl_status_t ESP8266WiFiSTAClass::begin(const char *ssid, const char *passphrase, int32_t, const uint8_t *,
				    bool)
{
	if (strcmp(ssid, NETWORK_NAME) != 0)
		refused = WL_NO_SSID_AVAIL;
	else if (strcmp(passphrase, NETWORK_PASSWORD) != 0)
		refused = WL_WRONG_PASSWORD;
	else
		refused = WL_CONNECTED;
	associated_at = chip_ms() + ASSOCIATION_MS;
	air_start(STATION_NETWORK,
		  is_static ? lwip_ntohl(netif_ip4_addr(&netif)->addr) : STATION_ADDRESS,
		  chip_host_port());
	return status();
}

wl_status_t ESP8266WiFiSTAClass::status()
{
	if (refused != WL_CONNECTED)
		return refused;
	if (!in_range || !netif_is_link_up(&netif) || (!is_static && !dhcp_supplied_address(&netif)))
		return WL_DISCONNECTED;
	return WL_CONNECTED;
}

IPAddress ESP8266WiFiSTAClass::localIP()
{
	uint32_t it = netif_ip4_addr(&netif)->addr;

	return IPAddress(it & 255, it >> 8 & 255, it >> 16 & 255, it >> 24);
}

uint8_t *ESP8266WiFiSTAClass::macAddress(uint8_t *mac)
{
	memcpy(mac, chip_mac, sizeof chip_mac);
	return mac;
}

bool ESP8266WiFiAPClass::softAPConfig(IPAddress local, IPAddress gateway, IPAddress subnet)
{
	ip4_addr_t address = to_lwip(local), mask = to_lwip(subnet), gate = to_lwip(gateway);

	dhcp_stop(&netif);
	netif_set_addr(&netif, &address, &mask, &gate);
	air_start(host_order(local) & 0xFFFFFF00, host_order(local), chip_host_port());
	return true;
}

bool ESP8266WiFiAPClass::softAP(const char *ssid, const char *passphrase, int, int, int, int)
{
	printf("[fake] access point %s%s\r\n", ssid, passphrase == nullptr ? ", open" : "");
	fflush(stdout);
	return mode_now == WIFI_AP;
}

IPAddress ESP8266WiFiAPClass::softAPIP()
{
	return WiFi.localIP();
}
