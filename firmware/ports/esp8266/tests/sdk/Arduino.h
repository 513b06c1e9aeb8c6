/*
 * What this port uses of the ESP8266 Arduino core 3.1.2 (github.com/esp8266/Arduino), as
 * its documentation and headers have it: cores/esp8266/Arduino.h and Esp.h. Declared here
 * again, for a compiler without that core; the functions are tests/fake's.
 */
#ifndef ARDUINO_H
#define ARDUINO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOW 0x0
#define HIGH 0x1
#define OUTPUT 0x01
#define A0 17

#ifdef __cplusplus
extern "C" {
#endif
void pinMode(uint8_t pin, uint8_t mode);
void digitalWrite(uint8_t pin, uint8_t value);
int analogRead(uint8_t pin);
unsigned long millis(void);
void delay(unsigned long ms);
void yield(void);
#ifdef __cplusplus
}

void setup(void);
void loop(void);

struct rst_info;

class EspClass {
public:
	static void wdtFeed();
	static bool flashEraseSector(uint32_t sector);
	static bool flashWrite(uint32_t address, const uint32_t *data, size_t size);
	static bool flashWrite(uint32_t address, const uint8_t *data, size_t size);
	static bool flashRead(uint32_t address, uint32_t *data, size_t size);
	static bool flashRead(uint32_t address, uint8_t *data, size_t size);
	static struct rst_info *getResetInfoPtr();
	static uint32_t getFreeContStack();
	static uint8_t *random(uint8_t *result, const size_t size);
};

extern EspClass ESP;
#endif

#endif
