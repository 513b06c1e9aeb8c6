/* The parts of the chip that is faked, to each other. */
#ifndef FAKE_H
#define FAKE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* -- air.c: the network around the radio, which is libslirp's -- */
/* Addresses in host order. What connects to `host_port` on this machine reaches the
 * board's web server. */
void air_start(uint32_t network, uint32_t board, uint16_t host_port);
void air_send(const void *frame, size_t length);
/* Waits at most `ms` for frames and hands them to radio_receive(). */
void air_poll(uint32_t ms);

/* -- radio.cpp: the WiFi class, and lwIP on it -- */
void radio_receive(const void *frame, size_t length);
/* The SDK's task: frames and timers, for at most `ms`, or until esp_schedule(). */
void radio_run(uint32_t ms);
/* The same where the firmware does not sleep. Data that comes in is reported with the place. */
enum yield { YIELD_LOG, YIELD_BEARSSL };
void radio_run_within(enum yield place, uint32_t ms);

/* -- chip.cpp -- */
uint32_t chip_ms(void);
uint16_t chip_host_port(void);
bool chip_was_scheduled(void);
__attribute__((noreturn)) void chip_panic(const char *what);

#ifdef __cplusplus
}
#endif

#endif
