/*
 * Heap accounting: what each phase of the firmware's life left free.
 *
 * Every moment belongs to one phase, so that the lowest of all phases is the lowest ever.
 * A request to the web server while MQTT is connected interrupts `connected`: its trough counts
 * as `page`, and `connected` goes on after it.
 */
#ifndef HILRIG_HEAP_H
#define HILRIG_HEAP_H

#include "log.h"
#include "port.h"

enum heap_phase {
	HEAP_BOOT,      /* from the reset until the mode is up */
	HEAP_PAGE,      /* the web server: its requests, and all else while nothing is connected */
	HEAP_HANDSHAKE, /* without a web server: until MQTT is connected, so mostly the TLS handshake */
	HEAP_CONNECTED, /* MQTT is connected and subscribed */
	HEAP_PHASES,
};

struct heap {
	const struct port *port;
	enum heap_phase phase;        /* what runs now */
	bool reached[HEAP_PHASES];
	uint32_t lowest[HEAP_PHASES]; /* lowest free ever seen in that phase */
	uint32_t told[HEAP_PHASES];   /* as the log has it; 0: not to be told yet */
};

void heap_start(struct heap *heap, const struct port *port);

/* Starts a phase and hands back the one it interrupts. */
enum heap_phase heap_enter(struct heap *heap, enum heap_phase phase);

/* Books what was seen so far to the running phase; it goes on. */
void heap_settle(struct heap *heap);

/* The line that a rig reads:
 * Heap PHASE: free F, lowest L, lowest ever E, largest B, fragmentation P, failed N, stack U of S
 * (the stack's part where the chip tells it), and, where they are kept, who held the heap:
 * Heap callers PHASE: lowest L of T, 0xADDRESS B B in N, ..., others B B in N */
void heap_log(struct heap *heap, struct log *log, enum heap_phase phase);

/* The line of the phase in which the heap was lowest since the reset, if that was not told yet; so
 * the lowest that was told is the lowest ever. Other falls wait for their phase's own line: what a
 * connection's end happens to hold is not told as its cost. */
void heap_log_lower(struct heap *heap, struct log *log);

#endif
