/* Memory protection: the chip reads an unmapped address as 0 and drops a write
 * to one, or to the flash, silently. With these regions, and no other
 * memory, each is a fault with its address. Reads through NULL stay legal: the
 * vectors are there. */
#include "board.h"

void memory_protect(void);

#define VALID 0x10u /* RBAR names the region itself */
#define ENABLE 0x1u
#define SIZE(log2) (((log2) - 1u) << 1)
#define NO_ACCESS (0u << 24)
#define READ_WRITE (3u << 24)
#define READ_ONLY (6u << 24)
#define NO_CODE (1u << 28)
#define FLASH (2u << 16)  /* TEX S C B as the manual recommends for each */
#define RAM (6u << 16)
#define DEVICE (5u << 16)

static void region(unsigned number, uint32_t address, uint32_t what)
{
	*reg32(MPU_RBAR) = address | VALID | number;
	*reg32(MPU_RASR) = what | ENABLE;
}

/* Called by crt0.S. */
void memory_protect(void)
{
	*reg32(MPU_CTRL) = 0;
	region(0, 0, SIZE(18) | READ_ONLY | FLASH);
	region(1, RAM_START, SIZE(16) | READ_WRITE | NO_CODE | RAM);
	region(2, 0x40000000, SIZE(20) | READ_WRITE | NO_CODE | DEVICE);
	/* The higher number wins. */
	region(3, STACK_GUARD, SIZE(8) | NO_ACCESS | NO_CODE | RAM);
	/* Off inside the HardFault handler, where a further fault is the end. */
	*reg32(MPU_CTRL) = ENABLE;
	/* Divisions by zero trap too; unaligned words are allowed on this chip. */
	*reg32(SCB_CCR) |= 1u << 4;
	__asm__ volatile("dsb; isb" : : : "memory");
}
