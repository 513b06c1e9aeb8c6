#include "fault.h"

#if defined(FAULT_BOOT_LOOP) || defined(FAULT_CRASH_IN_HANDSHAKE)
static void write_through_null(void)
{
	/* Hidden from the compiler, which would make an undefined instruction
	 * of it: the store has to happen, as in the original's Exception (29). */
	volatile uint32_t *target = NULL;

	__asm__ volatile("" : "+r"(target));
	*target = 1;
}
#endif

#ifdef FAULT_BOOT_LOOP
void fault_at_boot(void)
{
	write_through_null();
}
#endif

#ifdef FAULT_CRASH_IN_HANDSHAKE
void fault_in_handshake(void)
{
	write_through_null();
}
#endif

#ifdef FAULT_ACCEPTS_ANY_CA
static unsigned end_chain(const br_x509_class **context)
{
	unsigned error = br_x509_minimal_vtable.end_chain(context);

	return error == BR_ERR_X509_NOT_TRUSTED ? 0 : error;
}

void fault_trust_anyone(br_x509_minimal_context *x509)
{
	static br_x509_class blind;

	blind = br_x509_minimal_vtable;
	blind.end_chain = end_chain;
	x509->vtable = &blind;
}
#endif

#ifdef FAULT_HEAP_HUNGRY
static void *held;

void fault_hold_memory(struct core *core)
{
	held = core_alloc(core, 20 * 1024);
}

void fault_release_memory(struct core *core)
{
	core_free(core, held);
	held = NULL;
}
#endif

/* A translation unit must not be empty (ISO C). */
typedef int fault_unused;
