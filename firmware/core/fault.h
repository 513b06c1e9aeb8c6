/*
 * Faults built in on purpose, each by its own -DFAULT_..., to show that a rig
 * finds them. A normal build has none: there, everything here is empty.
 *
 * FAULT_BOOT_LOOP          crashes right after the Build line, each time
 * FAULT_CRASH_IN_HANDSHAKE writes through NULL in the middle of a handshake
 * FAULT_SILENT_MQTT        answers no request over MQTT
 * FAULT_ACCEPTS_ANY_CA     accepts any CA's certificate, as the original did
 * FAULT_HEAP_HUNGRY        allocates 20 KiB more during a handshake
 * FAULT_LARGER_BUFFER      allocates 512 B more during a handshake
 * FAULT_LARGER_CA          allocates 512 B more while a CA certificate is received
 * FAULT_LEAK_ON_RECONNECT  leaks 64 B with each connection to the broker but the first
 * FAULT_ONE_MORE_FRAGMENT  keeps about 100 B from the first handshake on, which split
 *                          the heap: the largest block is 900 B smaller
 */
#ifndef HILRIG_FAULT_H
#define HILRIG_FAULT_H

#include <bearssl.h>

#include "core.h"

#ifdef FAULT_BOOT_LOOP
void fault_at_boot(void);
#else
static inline void fault_at_boot(void)
{
}
#endif

#ifdef FAULT_CRASH_IN_HANDSHAKE
void fault_in_handshake(void);
#else
static inline void fault_in_handshake(void)
{
}
#endif

#ifdef FAULT_SILENT_MQTT
#define fault_mqtt_is_silent() true
#else
#define fault_mqtt_is_silent() false
#endif

#ifdef FAULT_ACCEPTS_ANY_CA
void fault_trust_anyone(br_x509_minimal_context *x509);
#else
static inline void fault_trust_anyone(br_x509_minimal_context *x509)
{
	(void)x509;
}
#endif

#if defined(FAULT_HEAP_HUNGRY)
#define FAULT_HOLD_BYTES (20 * 1024)
#elif defined(FAULT_LARGER_BUFFER)
#define FAULT_HOLD_BYTES 508 /* with the allocator's header of 4: 512 */
#endif
#ifdef FAULT_HOLD_BYTES
void fault_hold_memory(struct core *core);
void fault_release_memory(struct core *core);
#else
static inline void fault_hold_memory(struct core *core)
{
	(void)core;
}
static inline void fault_release_memory(struct core *core)
{
	(void)core;
}
#endif

#ifdef FAULT_LARGER_CA
#define fault_ca_bytes() 512u
#else
#define fault_ca_bytes() 0u
#endif

#ifdef FAULT_LEAK_ON_RECONNECT
void fault_when_connected(struct core *core);
#else
static inline void fault_when_connected(struct core *core)
{
	(void)core;
}
#endif

#ifdef FAULT_ONE_MORE_FRAGMENT
void fault_split_heap(struct core *core);
#else
static inline void fault_split_heap(struct core *core)
{
	(void)core;
}
#endif

#endif
