/* A port's network interface, as net.c drives it. Each port has its own eth.c. */
#ifndef HILRIG_COMMON_ETH_H
#define HILRIG_COMMON_ETH_H

#include <stdbool.h>
#include <stdint.h>

#include "lwip/pbuf.h"

/* Longest frame, without the checksum that the MAC adds. */
#define ETH_FRAME_MAX 1514u

void eth_start(const uint8_t mac[6]);
bool eth_link(void);

/* True if a frame is waiting for eth_receive(). */
bool eth_pending(void);
/* Receives the oldest frame; false if there is none. `frame` is NULL when there was
 * no memory for it: it is lost, and the sender sends it again. */
bool eth_receive(struct pbuf **frame);
/* Sends a frame of at most ETH_FRAME_MAX bytes (without lwIP's padding); false
 * when the MAC accepts none now. */
bool eth_send(const struct pbuf *frame);

#endif
