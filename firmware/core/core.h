/*
 * What the parts of the core share: one `struct core`, made by core_run() and
 * passed to every part. A chip has one; nothing else in the core is
 * writable and static, so a host test can start it again and again.
 */
#ifndef HILRIG_CORE_H
#define HILRIG_CORE_H

#include "clock.h"
#include "heap.h"
#include "log.h"
#include "port.h"
#include "settings.h"
#include "store.h"

struct http;
struct mqtt;
struct tls_session;

/* The mode, chosen at start-up from the settings. */
enum mode {
	MODE_CONFIGURATION, /* web only */
	MODE_MQTT_PLAIN,    /* plain MQTT, and web */
	MODE_MQTT_TLS,      /* MQTT over TLS only: the heap has no room for both */
};

/* The LED's blinking, driven by requests_poll(). */
struct blink {
	uint16_t toggles_left;
	bool lit;
	uint32_t next_ms;
};

struct core {
	const struct port *port;
	enum mode mode;
	bool reset_wanted; /* restart as soon as the answer has left */
	struct log log;
	struct clock clock;
	struct heap heap;
	struct store store;
	struct settings settings; /* as stored, or the defaults */
	struct blink blink;
	struct http *http; /* NULL while the web server is not loaded */
	struct mqtt *mqtt; /* NULL while the MQTT client is not loaded */
	struct tls_session *tls_session; /* to be resumed; NULL: none */
	uint32_t reset_asked_ms; /* when `reset_wanted` was set */
};

/* How long the answer that announces a reset may take to leave the board. */
#define RESET_AFTER_MS 3000u

/* True when `deadline_ms` is reached; correct across the wrap of uptime_ms. */
static inline bool core_due(const struct core *core, uint32_t deadline_ms)
{
	return (int32_t)(core->port->uptime_ms(core->port->self) - deadline_ms) >= 0;
}

static inline uint32_t core_now(const struct core *core)
{
	return core->port->uptime_ms(core->port->self);
}

/* The only way to allocate. NULL when there is no memory. Always inlined, so that the heap trace
 * (heap/callers.h) sees the function that allocates. */
__attribute__((always_inline)) static inline void *core_alloc(struct core *core, size_t size)
{
	return core->port->heap_alloc(core->port->self, size);
}

static inline void core_free(struct core *core, void *block)
{
	core->port->heap_free(core->port->self, block);
}

#endif
