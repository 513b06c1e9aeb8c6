/*
 * The MQTT client: finds the time if TLS needs it, connects, subscribes to the
 * rx topic, answers on the tx topic, and tries again when that fails.
 * Advances only when polled.
 */
#ifndef HILRIG_MQTT_H
#define HILRIG_MQTT_H

#include "core.h"

/* Loads the client. False: no memory for it. */
bool mqtt_start(struct core *core);

/* Goes on as far as it can. Milliseconds until it wants to be called again. */
uint32_t mqtt_poll(struct core *core);

/* True when nothing is under way any more (before a reset). */
bool mqtt_is_idle(const struct core *core);

#endif
