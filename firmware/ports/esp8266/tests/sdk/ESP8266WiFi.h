/* From libraries/ESP8266WiFi of the Arduino core 3.1.2, and its IPAddress.h. */
#ifndef ESP8266WIFI_H
#define ESP8266WIFI_H

#include <stdint.h>

class IPAddress {
public:
	IPAddress() : bytes{} {}
	IPAddress(uint8_t a, uint8_t b, uint8_t c, uint8_t d) : bytes{a, b, c, d} {}
	uint8_t operator[](int index) const { return bytes[index]; }

private:
	uint8_t bytes[4];
};

typedef enum WiFiMode { WIFI_OFF = 0, WIFI_STA = 1, WIFI_AP = 2, WIFI_AP_STA = 3 } WiFiMode_t;

typedef enum WiFiSleepType {
	WIFI_NONE_SLEEP = 0,
	WIFI_LIGHT_SLEEP = 1,
	WIFI_MODEM_SLEEP = 2
} WiFiSleepType_t;

typedef enum {
	WL_NO_SHIELD = 255,
	WL_IDLE_STATUS = 0,
	WL_NO_SSID_AVAIL = 1,
	WL_SCAN_COMPLETED = 2,
	WL_CONNECTED = 3,
	WL_CONNECT_FAILED = 4,
	WL_CONNECTION_LOST = 5,
	WL_WRONG_PASSWORD = 6,
	WL_DISCONNECTED = 7
} wl_status_t;

class ESP8266WiFiClass {
public:
	static void persistent(bool persistent);
	bool mode(WiFiMode_t mode);
	WiFiMode_t getMode();
	bool setSleepMode(WiFiSleepType_t type, uint8_t listen_interval = 0);
	bool setAutoReconnect(bool reconnect);

	wl_status_t begin(const char *ssid, const char *passphrase = nullptr, int32_t channel = 0,
			  const uint8_t *bssid = nullptr, bool connect = true);
	bool config(IPAddress local, IPAddress gateway, IPAddress subnet, IPAddress dns1,
		    IPAddress dns2 = IPAddress());
	wl_status_t status();
	IPAddress localIP();
	uint8_t *macAddress(uint8_t *mac);

	bool softAPConfig(IPAddress local, IPAddress gateway, IPAddress subnet);
	bool softAP(const char *ssid, const char *passphrase = nullptr, int channel = 1,
		    int hidden = 0, int most_stations = 4, int beacon_interval = 100);
	IPAddress softAPIP();
};

extern ESP8266WiFiClass WiFi;

#endif
