// MAC address, reset reason, LED, analog input.
#include <Arduino.h>
#include <ESP8266WiFi.h>
#include <user_interface.h>

extern "C" {
#include "pins.h"
}

// The blue LED of an ESP-12 module, on GPIO2, lights when the pin is low.
#define LED_PIN 2

const char board_device[] = "ESP8266";

uint8_t board_start(uint8_t mac[6])
{
	pinMode(LED_PIN, OUTPUT);
	board_led(false);
	WiFi.macAddress(mac);
	// The SDK's numbers are the contract's.
	return static_cast<uint8_t>(ESP.getResetInfoPtr()->reason);
}

void board_led(bool on)
{
	digitalWrite(LED_PIN, on ? LOW : HIGH);
}

// The chip has one input.
uint16_t board_analog(unsigned channel)
{
	return channel == 0 ? static_cast<uint16_t>(analogRead(A0)) : 0;
}
