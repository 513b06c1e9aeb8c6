/*
 * The MQTT client: gets the time if TLS needs it, connects, subscribes to the
 * rx topic, answers on the tx topic, and tries again when that fails.
 * Advances only when polled.
 */
#ifndef HILRIG_MQTT_H
#define HILRIG_MQTT_H

#include "core.h"

/* Allocates the client. False: no memory. */
bool mqtt_start(struct core *core);

/* Advances as far as it can. Milliseconds until the next call. */
uint32_t mqtt_poll(struct core *core);

/* True when nothing is in progress (before a reset). */
bool mqtt_is_idle(const struct core *core);

#endif
