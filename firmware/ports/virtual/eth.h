/* The machine's network interface, an OpenCores Ethernet MAC. */
#ifndef HILRIG_VIRTUAL_ETH_H
#define HILRIG_VIRTUAL_ETH_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Longest frame, without the checksum that the MAC adds. */
#define ETH_FRAME_MAX 1514u

void eth_start(const uint8_t mac[6]);
bool eth_link(void);

/* True if a frame came in since the last eth_received(). */
bool eth_pending(void);
/* The oldest frame, or NULL. It stays valid until eth_release(). */
const uint8_t *eth_received(size_t *length);
void eth_release(void);

/* Where the next frame to send is to be built, ETH_FRAME_MAX bytes; NULL when
 * the MAC takes none, which on this machine is a frame still leaving. */
uint8_t *eth_frame(void);
void eth_send(size_t length);

#endif
