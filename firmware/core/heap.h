/*
 * Heap accounting: what each phase of the firmware's life left free.
 *
 * Phases do not overlap in the figures. A page rendered while MQTT is connected
 * interrupts `connected`: its trough counts as `page`, and `connected` goes on
 * after it.
 */
#ifndef HILRIG_HEAP_H
#define HILRIG_HEAP_H

#include "log.h"
#include "port.h"

enum heap_phase {
	HEAP_BOOT,      /* from the reset until the mode is up */
	HEAP_PAGE,      /* rendering and sending the configuration page */
	HEAP_HANDSHAKE, /* the TLS handshake */
	HEAP_CONNECTED, /* MQTT is connected and subscribed */
	HEAP_PHASES,
	HEAP_NO_PHASE = HEAP_PHASES,
};

struct heap {
	const struct port *port;
	enum heap_phase phase;        /* what runs now */
	bool reached[HEAP_PHASES];
	uint32_t lowest[HEAP_PHASES]; /* lowest free ever seen in that phase */
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

#endif
