/* What lwIP wants to know about compiler and chip. */
#ifndef HILRIG_COMMON_LWIP_CC_H
#define HILRIG_COMMON_LWIP_CC_H

#include <stdint.h>

#include "crash.h"
#include "random.h"

#define BYTE_ORDER LITTLE_ENDIAN
#define LWIP_RAND() random_word()
#define LWIP_PLATFORM_DIAG(x) \
	do { \
	} while (0)
#define LWIP_PLATFORM_ASSERT(x) crash_panic("lwip: " x)

#endif
