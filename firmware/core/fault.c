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

#ifdef FAULT_HOLD_BYTES
static void *block;

void fault_hold_memory(struct core *core)
{
	block = core_alloc(core, FAULT_HOLD_BYTES);
}

void fault_release_memory(struct core *core)
{
	core_free(core, block);
	block = NULL;
}
#endif

#ifdef FAULT_LEAK_ON_RECONNECT
void fault_when_connected(struct core *core)
{
	static bool before;

	/* 60 bytes and the allocator's header of 4: 64 B less each time. */
	if (before)
		core_alloc(core, 60);
	before = true;
}
#endif

#ifdef FAULT_ONE_MORE_FRAGMENT
void fault_split_heap(struct core *core)
{
	static void *fragment;
	void *in_front;

	if (fragment != NULL)
		return;
	/* Smaller than what a connection allocates at once (tls.c), so that the
	 * hole in front stays one; and no deeper than the handshake goes anyway,
	 * so that the lowest free heap does not show it. */
	in_front = core_alloc(core, 796);
	/* The smallest size that fits in no hole. */
	for (size_t size = 4; size < 200; size += 8) {
		fragment = core_alloc(core, size);
		if (in_front != NULL && (char *)fragment == (char *)in_front + 800)
			break;
		core_free(core, fragment);
		fragment = NULL;
	}
	core_free(core, in_front);
}
#endif

/* A translation unit must not be empty (ISO C). */
typedef int fault_unused;
