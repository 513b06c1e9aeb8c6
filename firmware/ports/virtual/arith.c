/*
 * Integer helpers that the compiler calls and Debian's libgcc for this chip
 * lacks, because on the ESP8266 they are in the chip's ROM.
 *
 * A division by zero executes an illegal instruction at a known place, as the
 * ROM's does; the crash handler reports it as exception 6.
 */
#include <stdint.h>

typedef union {
	uint64_t whole;
	struct {
		uint32_t low, high;
	} half;
} wide;

_Noreturn void divided_by_zero(void);

uint32_t __udivsi3(uint32_t a, uint32_t b);
uint32_t __umodsi3(uint32_t a, uint32_t b);
int32_t __divsi3(int32_t a, int32_t b);
int32_t __modsi3(int32_t a, int32_t b);
uint64_t __umulsidi3(uint32_t a, uint32_t b);
int64_t __muldi3(int64_t a, int64_t b);
uint64_t __udivdi3(uint64_t a, uint64_t b);
uint64_t __umoddi3(uint64_t a, uint64_t b);
int64_t __divdi3(int64_t a, int64_t b);
int64_t __moddi3(int64_t a, int64_t b);

/* In assembler, so that the illegal instruction is the very first. */
__asm__(".section .text.divided_by_zero, \"ax\"\n"
	".global divided_by_zero\n"
	".align 4\n"
	"divided_by_zero:\n"
	"ill\n"
	".text\n");

/* Leading zeros of a value that is not 0. */
static inline unsigned leading_zeros(uint32_t value)
{
	unsigned count;

	__asm__("nsau %0, %1" : "=r"(count) : "r"(value));
	return count;
}

static uint32_t divide32(uint32_t a, uint32_t b, uint32_t *rest)
{
	uint32_t quotient = 0;

	if (b == 0)
		divided_by_zero();
	if (a >= b) {
		unsigned shift = leading_zeros(b) - leading_zeros(a);

		b <<= shift;
		for (unsigned i = 0; i <= shift; i++) {
			quotient <<= 1;
			if (a >= b) {
				a -= b;
				quotient |= 1;
			}
			b >>= 1;
		}
	}
	*rest = a;
	return quotient;
}

uint32_t __udivsi3(uint32_t a, uint32_t b)
{
	uint32_t rest;

	return divide32(a, b, &rest);
}

uint32_t __umodsi3(uint32_t a, uint32_t b)
{
	uint32_t rest;

	divide32(a, b, &rest);
	return rest;
}

static uint32_t magnitude(int32_t value)
{
	return value < 0 ? 0u - (uint32_t)value : (uint32_t)value;
}

int32_t __divsi3(int32_t a, int32_t b)
{
	uint32_t quotient = __udivsi3(magnitude(a), magnitude(b));

	return (int32_t)((a < 0) != (b < 0) ? 0u - quotient : quotient);
}

int32_t __modsi3(int32_t a, int32_t b)
{
	uint32_t rest = __umodsi3(magnitude(a), magnitude(b));

	return (int32_t)(a < 0 ? 0u - rest : rest);
}

uint64_t __umulsidi3(uint32_t a, uint32_t b)
{
	uint32_t a0 = a & 0xFFFF, a1 = a >> 16, b0 = b & 0xFFFF, b1 = b >> 16;
	uint32_t low = a0 * b0, middle = a1 * b0 + (low >> 16), other = a0 * b1;
	wide result;

	middle += other;
	result.half.low = (middle << 16) | (low & 0xFFFF);
	result.half.high = a1 * b1 + (middle >> 16) + (middle < other ? 0x10000u : 0);
	return result.whole;
}

int64_t __muldi3(int64_t a, int64_t b)
{
	wide x = {.whole = (uint64_t)a}, y = {.whole = (uint64_t)b}, result;

	result.whole = __umulsidi3(x.half.low, y.half.low);
	result.half.high += x.half.low * y.half.high + x.half.high * y.half.low;
	return (int64_t)result.whole;
}

static uint64_t divide64(uint64_t a, uint64_t b, uint64_t *rest)
{
	wide x = {.whole = a}, y = {.whole = b};
	uint64_t quotient = 0, left = 0;

	if (x.half.high == 0 && y.half.high == 0) {
		uint32_t rest32, quotient32 = divide32(x.half.low, y.half.low, &rest32);

		*rest = rest32;
		return quotient32;
	}
	if (b == 0)
		divided_by_zero();
	for (int i = 0; i < 64; i++) {
		left = (left << 1) | (x.half.high >> 31);
		x.half.high = (x.half.high << 1) | (x.half.low >> 31);
		x.half.low <<= 1;
		quotient <<= 1;
		if (left >= b) {
			left -= b;
			quotient |= 1;
		}
	}
	*rest = left;
	return quotient;
}

uint64_t __udivdi3(uint64_t a, uint64_t b)
{
	uint64_t rest;

	return divide64(a, b, &rest);
}

uint64_t __umoddi3(uint64_t a, uint64_t b)
{
	uint64_t rest;

	divide64(a, b, &rest);
	return rest;
}

static uint64_t magnitude64(int64_t value)
{
	return value < 0 ? 0u - (uint64_t)value : (uint64_t)value;
}

int64_t __divdi3(int64_t a, int64_t b)
{
	uint64_t quotient = __udivdi3(magnitude64(a), magnitude64(b));

	return (int64_t)((a < 0) != (b < 0) ? 0u - quotient : quotient);
}

int64_t __moddi3(int64_t a, int64_t b)
{
	uint64_t rest = __umoddi3(magnitude64(a), magnitude64(b));

	return (int64_t)(a < 0 ? 0u - rest : rest);
}
