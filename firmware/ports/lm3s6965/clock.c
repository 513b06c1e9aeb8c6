#include "clock.h"

#include "board.h"
#include "eth.h"
#include "eth_wake.h"

#define SYSTEM_RCC2 (SYSTEM_CONTROL + 0x070)
/* Use RCC2, divide the PLL's 200 MHz by 64: the slowest, because the counter has
 * 24 bits only, and so wraps after 5.37 s. */
#define RCC2_SLOWEST (1u << 31 | 63u << 23)
#define COUNTER_MAX 0xFFFFFFu
#define SYSTEM_RCGC1 (SYSTEM_CONTROL + 0x104)
#define RCGC1_TIMER0 (1u << 16)

/* Registers of a general purpose timer. */
#define TIMER_TAMR (TIMER0 + 0x04)
#define TIMER_CTL (TIMER0 + 0x0C)
#define TIMER_IMR (TIMER0 + 0x18)
#define TIMER_ICR (TIMER0 + 0x24)
#define TIMER_TAILR (TIMER0 + 0x28)
#define TAMR_ONE_SHOT 1u
#define CTL_TAEN 1u
#define TATO 1u

/* Well under the counter's wrap, so that clock_ms() sees every one. */
#define SLEEP_MAX_MS 2000u

void counter_start(void);

/* Called by crt0.S. */
void counter_start(void)
{
	*reg32(SYSTEM_RCC2) = RCC2_SLOWEST;
	*reg32(SYSTEM_RCGC1) |= RCGC1_TIMER0;
	*reg32(SYST_RVR) = COUNTER_MAX;
	*reg32(SYST_CVR) = 0;
	*reg32(SYST_CSR) = 5; /* the processor's clock, no interrupt */
	/* It reads 0 until it has been loaded. */
	while (*reg32(SYST_CVR) == 0)
		;
	*reg32(TIMER_CTL) = 0;
	*reg32(TIMER0) = 0; /* one counter of 32 bits */
	*reg32(TIMER_TAMR) = TAMR_ONE_SHOT;
	*reg32(NVIC_ISER) = 1u << IRQ_TIMER0A;
	*reg32(NVIC_ISER + 4) = 1u << (IRQ_ETHERNET - 32);
}

uint32_t clock_ticks(void)
{
	return COUNTER_MAX - *reg32(SYST_CVR);
}

uint32_t clock_ms(void)
{
	static uint32_t last, part, ms;
	uint32_t now = clock_ticks(), passed = (now - last) & COUNTER_MAX;

	last = now;
	part += passed;
	ms += part / TICKS_PER_MS;
	part %= TICKS_PER_MS;
	return ms;
}

void clock_sleep(uint32_t ms)
{
	if (ms == 0)
		return;
	if (ms > SLEEP_MAX_MS)
		ms = SLEEP_MAX_MS;
	*reg32(TIMER_ICR) = TATO;
	*reg32(TIMER_TAILR) = ms * TICKS_PER_MS;
	*reg32(TIMER_IMR) = TATO;
	*reg32(TIMER_CTL) = CTL_TAEN;
	eth_wake(true);
	/* Interrupts are masked, so one that is pending ends the sleep and is never
	 * taken; one that came before the instruction is not missed either. A frame
	 * from before eth_wake() is looked for by itself. */
	if (!eth_pending())
		__asm__ volatile("dsb; wfi" : : : "memory");
	eth_wake(false);
	*reg32(TIMER_CTL) = 0;
	*reg32(TIMER_IMR) = 0;
	*reg32(TIMER_ICR) = TATO;
	*reg32(NVIC_ICPR) = 1u << IRQ_TIMER0A;
	*reg32(NVIC_ICPR + 4) = 1u << (IRQ_ETHERNET - 32);
}
