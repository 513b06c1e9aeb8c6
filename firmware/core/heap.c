#include "heap.h"

static const char *const names[HEAP_PHASES] = { "boot", "page", "handshake", "connected" };

void heap_start(struct heap *heap, const struct port *port)
{
	/* No mark here: what the port spent before the core ran belongs to boot. */
	*heap = (struct heap){ .port = port, .phase = HEAP_BOOT };
}

void heap_settle(struct heap *heap)
{
	struct port_heap figures;

	if (heap->phase != HEAP_NO_PHASE) {
		heap->port->heap_figures(heap->port->self, &figures);
		if (!heap->reached[heap->phase] || figures.lowest < heap->lowest[heap->phase])
			heap->lowest[heap->phase] = figures.lowest;
		heap->reached[heap->phase] = true;
	}
	heap->port->heap_mark(heap->port->self);
}

enum heap_phase heap_enter(struct heap *heap, enum heap_phase phase)
{
	enum heap_phase before = heap->phase;

	heap_settle(heap);
	heap->phase = phase;
	return before;
}

void heap_log(struct heap *heap, struct log *log, enum heap_phase phase)
{
	struct port_heap figures;

	heap->port->heap_figures(heap->port->self, &figures);
	log_line(log, "Heap %s: free %lu, lowest %lu, lowest ever %lu, largest %lu, "
		 "fragmentation %lu, failed %lu",
		 names[phase], (unsigned long)figures.free, (unsigned long)heap->lowest[phase],
		 (unsigned long)figures.lowest_ever, (unsigned long)figures.largest,
		 (unsigned long)figures.fragmentation, (unsigned long)figures.failures);
}
