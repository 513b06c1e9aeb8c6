/* Between clock.c and eth.c: whether a frame that comes in from now on ends a
 * sleep. eth_pending() reports earlier ones. */
#ifndef HILRIG_LM3S6965_ETH_WAKE_H
#define HILRIG_LM3S6965_ETH_WAKE_H

#include <stdbool.h>

void eth_wake(bool on);

#endif
