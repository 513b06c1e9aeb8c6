/* What the start code of a port without an operating system calls. */
#include "heap.h"
#include "port_table.h"
#include "serial.h"

extern uint8_t _heap_start[], _heap_end[];

/* Called by the start code with memory set up. */
_Noreturn void port_main(void);

void port_main(void)
{
	heap_init(_heap_start, (size_t)(_heap_end - _heap_start));
	serial_baud(115200);
	port_run();
}
