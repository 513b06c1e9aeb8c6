/* From libraries/ESP8266WiFi/src of the Arduino core 3.1.2. The functions belong to the classes that
 * WiFi's is made of, and are linked by their names. */
#ifndef ESP8266WIFI_H
#define ESP8266WIFI_H

#include <stdint.h>

#include <IPAddress.h>

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

class ESP8266WiFiGenericClass {
public:
	static void persistent(bool persistent);
	bool mode(WiFiMode_t mode);
	WiFiMode_t getMode();
	bool setSleepMode(WiFiSleepType_t type, uint8_t listen_interval = 0);
};

class ESP8266WiFiSTAClass {
public:
	wl_status_t begin(const char *ssid, const char *passphrase = nullptr, int32_t channel = 0,
			  const uint8_t *bssid = nullptr, bool connect = true);
	bool config(IPAddress local, IPAddress gateway, IPAddress subnet,
		    IPAddress dns1 = static_cast<uint32_t>(0), IPAddress dns2 = static_cast<uint32_t>(0));
	bool setAutoReconnect(bool reconnect);
	wl_status_t status();
	IPAddress localIP();
	uint8_t *macAddress(uint8_t *mac);
};

class ESP8266WiFiAPClass {
public:
	bool softAPConfig(IPAddress local, IPAddress gateway, IPAddress subnet);
	bool softAP(const char *ssid, const char *passphrase = nullptr, int channel = 1,
		    int hidden = 0, int most_stations = 4, int beacon_interval = 100);
	IPAddress softAPIP();
};

class ESP8266WiFiClass : public ESP8266WiFiGenericClass,
			 public ESP8266WiFiSTAClass,
			 public ESP8266WiFiAPClass {};

extern ESP8266WiFiClass WiFi;

#endif
