// Joining a network, or serving one, with the Arduino core's WiFi class. The SDK tries
// again by itself when the network is lost.
#include <Arduino.h>
#include <ESP8266WiFi.h>
#include <stdio.h>
#include <string.h>

extern "C" {
#include "net.h"
}

// Joining is given up after this long.
#define JOIN_MS 20000u
// The access point's name, with the last three bytes of the MAC address.
#define AP_NAME "hilrig-%02X%02X%02X"

static enum { ROLE_NONE, ROLE_STATION, ROLE_ACCESS_POINT } role;
static bool was_up;
static uint32_t join_since;

static IPAddress to_arduino(const uint8_t address[4])
{
	return IPAddress(address[0], address[1], address[2], address[3]);
}

void net_init(const uint8_t mac[6])
{
	(void)mac; // it is the chip's own
	WiFi.persistent(false); // only the slots are stored
	WiFi.setAutoReconnect(true);
}

bool net_start(const struct port_net *net)
{
	static const uint8_t none[4] = {};

	if (net->ssid == nullptr || net->ssid[0] == 0)
		return false; // no network is set
	role = ROLE_STATION;
	was_up = false;
	join_since = millis();
	if (!WiFi.mode(WIFI_STA))
		return false;
	// Without it the radio sleeps between two beacons, and answers take as long.
	WiFi.setSleepMode(WIFI_NONE_SLEEP);
	if (memcmp(net->address, none, sizeof none) != 0) {
		// With an address set by hand, the gateway serves names.
		IPAddress gateway = to_arduino(net->gateway);

		if (!WiFi.config(to_arduino(net->address), gateway, to_arduino(net->netmask), gateway))
			return false;
	}
	return WiFi.begin(net->ssid, net->password) != WL_CONNECT_FAILED;
}

bool net_access_point(const struct port_net *net)
{
	IPAddress own = to_arduino(net->ap_address);
	uint8_t mac[6];
	char name[sizeof AP_NAME];

	WiFi.macAddress(mac);
	snprintf(name, sizeof name, AP_NAME, mac[3], mac[4], mac[5]);
	if (!WiFi.mode(WIFI_AP) || !WiFi.softAPConfig(own, own, IPAddress(255, 255, 255, 0)) ||
	    !WiFi.softAP(name))
		return false;
	role = ROLE_ACCESS_POINT;
	return true;
}

enum port_net_state net_state(void)
{
	if (role == ROLE_NONE)
		return PORT_NET_FAILED;
	if (role == ROLE_ACCESS_POINT)
		return PORT_NET_UP;
	if (WiFi.status() == WL_CONNECTED) {
		was_up = true;
		return PORT_NET_UP;
	}
	if (was_up)
		return PORT_NET_LOST;
	return millis() - join_since < JOIN_MS ? PORT_NET_JOINING : PORT_NET_FAILED;
}

void net_address(uint8_t address[4])
{
	IPAddress own = role == ROLE_ACCESS_POINT ? WiFi.softAPIP() : WiFi.localIP();

	for (int i = 0; i < 4; i++)
		address[i] = own[i];
}
