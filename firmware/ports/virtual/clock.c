#include "clock.h"

#include "board.h"
#include "eth.h"

/* In crt0.S: unmasks and waits as one step. */
void clock_wait(void);

/* Well under the counter's wrap, so that clock_ms() sees every one. */
#define SLEEP_MAX_MS 10000u

uint32_t clock_ticks(void)
{
	return ccount();
}

uint32_t clock_ms(void)
{
	static uint32_t last, part, ms;
	uint32_t now = ccount(), passed = now - last;

	last = now;
	ms += passed / CYCLES_PER_MS;
	part += passed % CYCLES_PER_MS;
	if (part >= CYCLES_PER_MS) {
		part -= CYCLES_PER_MS;
		ms++;
	}
	return ms;
}

void clock_sleep(uint32_t ms)
{
	uint32_t was;

	if (ms == 0)
		return;
	if (ms > SLEEP_MAX_MS)
		ms = SLEEP_MAX_MS;
	__asm__ volatile("rsil %0, 1" : "=r"(was) : : "memory");
	if (!eth_pending()) {
		uint32_t enable = 1u << INTERRUPT_ETH | 1u << INTERRUPT_TIMER;

		/* Writing the compare register also clears an old alarm. */
		__asm__ volatile("wsr %0, ccompare0; esync"
				 :
				 : "r"(ccount() + ms * CYCLES_PER_MS));
		__asm__ volatile("wsr %0, intenable; esync" : : "r"(enable) : "memory");
		clock_wait();
		__asm__ volatile("wsr %0, intenable; esync" : : "r"(0) : "memory");
	}
	__asm__ volatile("wsr %0, ps; rsync" : : "r"(was) : "memory");
}
