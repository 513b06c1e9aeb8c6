/* lwIP's allocators allocate on behalf of their callers, and call each other: the linker puts
 * these in front of them (--wrap), so that the first caller counts. */
#ifdef HEAP_CALLERS

#include <lwip/mem.h>
#include <lwip/memp.h>
#include <lwip/pbuf.h>

#include "callers.h"

void *__real_mem_malloc(mem_size_t size);
void *__wrap_mem_malloc(mem_size_t size);
void *__real_memp_malloc(memp_t type);
void *__wrap_memp_malloc(memp_t type);
struct pbuf *__real_pbuf_alloc(pbuf_layer layer, u16_t length, pbuf_type type);
struct pbuf *__wrap_pbuf_alloc(pbuf_layer layer, u16_t length, pbuf_type type);

void *__wrap_mem_malloc(mem_size_t size)
{
	const void *before = callers_for(__builtin_return_address(0));
	void *block = __real_mem_malloc(size);

	callers_for(before);
	return block;
}

void *__wrap_memp_malloc(memp_t type)
{
	const void *before = callers_for(__builtin_return_address(0));
	void *block = __real_memp_malloc(type);

	callers_for(before);
	return block;
}

struct pbuf *__wrap_pbuf_alloc(pbuf_layer layer, u16_t length, pbuf_type type)
{
	const void *before = callers_for(__builtin_return_address(0));
	struct pbuf *block = __real_pbuf_alloc(layer, length, type);

	callers_for(before);
	return block;
}

#else
/* A translation unit must not be empty (ISO C). */
typedef int callers_lwip_unused;
#endif
