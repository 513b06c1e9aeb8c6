/* lwIP on the board's interface: address, link, names, datagrams. The
 * contracts are the ones of core/port.h. */
#ifndef HILRIG_COMMON_NET_H
#define HILRIG_COMMON_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "port.h"

void net_init(const uint8_t mac[6]);
/* Moves frames and timers. True if anything arrived. */
bool net_poll(void);
/* Milliseconds until net_poll() must be called even if nothing arrives. */
uint32_t net_next_ms(void);
/* lwIP has something for the core: ends the sleep where nothing else does. */
void net_event(void);

bool net_start(const struct port_net *net);
bool net_access_point(const struct port_net *net);
enum port_net_state net_state(void);
void net_address(uint8_t address[4]);
int net_resolve(const char *name, uint8_t address[4]);

bool udp_ask(const uint8_t address[4], uint16_t port, const void *from, size_t length);
int udp_answer(void *to, size_t length);

#endif
