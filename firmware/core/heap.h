/*
 * Heap accounting: the lowest free heap of each phase of the firmware.
 *
 * Every moment belongs to one phase, so that the lowest of all phases is the lowest ever.
 * A request to the web server while MQTT is connected interrupts `connected`: its lowest figure
 * counts as `page`, and `connected` continues after it.
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
	enum heap_phase phase;        /* the running one */
	bool reached[HEAP_PHASES];
	uint32_t lowest[HEAP_PHASES]; /* lowest free ever seen in that phase */
	uint32_t logged[HEAP_PHASES]; /* the `lowest` in the log; 0: not to be logged yet */
};

void heap_start(struct heap *heap, const struct port *port);

/* Starts a phase and returns the one it interrupts. */
enum heap_phase heap_enter(struct heap *heap, enum heap_phase phase);

/* Counts the figures so far for the running phase, which continues. */
void heap_settle(struct heap *heap);

/* The line that a rig reads:
 * Heap PHASE: free F, lowest L, lowest ever E, largest B, fragmentation P, failed N, stack U of S
 * (the stack's part where the chip reports it), and in the heap-tracing image:
 * Heap callers PHASE: lowest L of T, 0xADDRESS B B in N, ..., others B B in N */
void heap_log(struct heap *heap, struct log *log, enum heap_phase phase);

/* Logs the phase with the lowest free heap since the reset, if that figure is not in the log yet:
 * the lowest figure in the log is the lowest ever. Other new minima wait for their phase's own
 * line: what is allocated while a connection ends is not logged as its cost. */
void heap_log_lower(struct heap *heap, struct log *log);

#endif
