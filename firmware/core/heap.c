#include "heap.h"

static const char *const names[HEAP_PHASES] = { "boot", "page", "handshake", "connected" };

_Static_assert((unsigned)HEAP_PHASES == PORT_CALLERS_SLOTS, "a slot for each phase");

static void keep_callers(const struct heap *heap, enum heap_phase phase)
{
	const struct port_heap_trace *trace = heap->port->heap_trace;

	if (trace != NULL)
		trace->keep(heap->port->self, phase);
}

/* The callers at the lowest free heap of the phase, if they are not in the log yet. Its frame
 * must not count in images that do not trace the heap: noinline. */
__attribute__((noinline)) static void log_callers(const struct heap *heap, struct log *log,
						  enum heap_phase phase)
{
	const struct port_heap_trace *trace = heap->port->heap_trace;
	struct port_callers callers;

	if (!trace->copy(heap->port->self, phase, &callers))
		return;
	log_first(log, "Heap callers %s: lowest %lu of %lu", names[phase],
		  (unsigned long)callers.free_bytes, (unsigned long)callers.heap_bytes);
	for (unsigned i = 0; i < PORT_CALLERS_MOST && callers.each[i].blocks != 0; i++)
		log_more(log, ", 0x%08lx %lu B in %lu", (unsigned long)callers.each[i].address,
			 (unsigned long)callers.each[i].bytes, (unsigned long)callers.each[i].blocks);
	log_more(log, ", others %lu B in %lu", (unsigned long)callers.others.bytes,
		 (unsigned long)callers.others.blocks);
	log_end(log);
}

void heap_start(struct heap *heap, const struct port *port)
{
	/* No mark here: what the port allocated before the core ran belongs to boot. */
	*heap = (struct heap){ .port = port, .phase = HEAP_BOOT };
	/* Requests may lower the page phase before it has a line of its own: heap_log_lower() logs that. */
	heap->logged[HEAP_PAGE] = UINT32_MAX;
}

void heap_settle(struct heap *heap)
{
	struct port_heap figures;

	heap->port->heap_figures(heap->port->self, &figures);
	if (!heap->reached[heap->phase] || figures.lowest < heap->lowest[heap->phase]) {
		heap->lowest[heap->phase] = figures.lowest;
		keep_callers(heap, heap->phase);
	}
	heap->reached[heap->phase] = true;
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
	struct port_stack stack;

	heap_settle(heap);
	heap->logged[phase] = heap->lowest[phase];
	heap->port->heap_figures(heap->port->self, &figures);
	heap->port->stack(heap->port->self, &stack);
	log_first(log, "Heap %s: free %lu, lowest %lu, lowest ever %lu, largest %lu, "
		 "fragmentation %lu, failed %lu",
		 names[phase], (unsigned long)figures.free, (unsigned long)heap->lowest[phase],
		 (unsigned long)figures.lowest_ever, (unsigned long)figures.largest,
		 (unsigned long)figures.fragmentation, (unsigned long)figures.failures);
	if (stack.size != 0)
		log_more(log, ", stack %lu of %lu", (unsigned long)stack.used,
			 (unsigned long)stack.size);
	log_end(log);
	if (heap->port->heap_trace != NULL)
		log_callers(heap, log, phase);
}

void heap_log_lower(struct heap *heap, struct log *log)
{
	struct port_heap figures;

	heap_settle(heap);
	heap->port->heap_figures(heap->port->self, &figures);
	for (unsigned phase = 0; phase < HEAP_PHASES; phase++)
		if (heap->reached[phase] && heap->lowest[phase] < heap->logged[phase] &&
		    heap->lowest[phase] == figures.lowest_ever)
			heap_log(heap, log, (enum heap_phase)phase);
}
