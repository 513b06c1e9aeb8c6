/* Speaks MQTT over an open connection. */
#ifndef HILRIG_MQTT_SESSION_H
#define HILRIG_MQTT_SESSION_H

#include "mqtt_connection.h"

/* Begins the session over the open stream. */
void mqtt_session_start(struct core *core);

/* One step of a stage from STAGE_CONNACK on. False: nothing to do now. */
bool mqtt_session_step(struct core *core);

#endif
