/* What crt0.S leaves for crash.c. Usable from assembler for the kinds. */
#ifndef HILRIG_VIRTUAL_CRASH_FRAME_H
#define HILRIG_VIRTUAL_CRASH_FRAME_H

#define CRASH_EXCEPTION 0
#define CRASH_GUARD 1 /* the stack ran into its guard */

#ifndef __ASSEMBLER__
#include <stdint.h>

/* What crt0.S saves; the offsets are there. */
struct crash_frame {
	uint32_t a[16];
	uint32_t kind;
	uint32_t exccause;
	uint32_t epc1, epc2, epc3;
	uint32_t excvaddr;
	uint32_t depc;
};
#endif

#endif
