/*
 * The web server: one connection at a time, requests read byte by byte, so that
 * their length costs no memory.
 */
#ifndef HILRIG_HTTP_H
#define HILRIG_HTTP_H

#include "core.h"

/* Allocates the server and opens its port. False: no memory, or the port cannot be
 * opened; the caller logs that. */
bool http_start(struct core *core);

/* Serves what has arrived. Milliseconds until the next call. */
uint32_t http_poll(struct core *core);

/* True when no answer is being sent. */
bool http_is_idle(const struct core *core);

#endif
