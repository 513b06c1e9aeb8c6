/* The chip's Ethernet controller. A frame in its FIFO follows a length of 16
 * bits, where lwIP has its two bytes of padding (port.mk), so frames are moved by
 * words between the FIFO and lwIP's buffers. */
#include "eth.h"

#include <string.h>

#include "board.h"
#include "eth_wake.h"

#define SYSTEM_RCGC2 (SYSTEM_CONTROL + 0x108)
#define RCGC2_ETHERNET (1u << 28 | 1u << 30) /* MAC and PHY */
#define INTERRUPTS (ETHERNET + 0x00) /* read: pending; write: acknowledge */
#define INTERRUPT_MASK (ETHERNET + 0x04)
#define RECEIVED 1u
#define RECEIVE_CONTROL (ETHERNET + 0x08)
#define RECEIVE_ON 0x01u
#define RECEIVE_DROP_BAD 0x08u
#define RECEIVE_RESET_FIFO 0x10u
#define TRANSMIT_CONTROL (ETHERNET + 0x0C)
#define TRANSMIT_RUN 0x0Fu /* on, pad, checksum, full duplex */
#define DATA (ETHERNET + 0x10)
#define ADDRESS (ETHERNET + 0x14)
#define FRAMES (ETHERNET + 0x34)
#define FRAMES_MASK 0x3Fu
#define TRANSMIT (ETHERNET + 0x38)

#define HEADER 14u
/* Around a received frame: the length itself and the checksum. */
#define LENGTH_EXTRA 6u

void eth_start(const uint8_t mac[6])
{
	*reg32(SYSTEM_RCGC2) |= RCGC2_ETHERNET;
	*reg32(INTERRUPT_MASK) = 0;
	*reg32(RECEIVE_CONTROL) = RECEIVE_RESET_FIFO;
	*reg32(ADDRESS) = mac[0] | (uint32_t)mac[1] << 8 | (uint32_t)mac[2] << 16 |
			  (uint32_t)mac[3] << 24;
	*reg32(ADDRESS + 4) = mac[4] | (uint32_t)mac[5] << 8;
	*reg32(TRANSMIT_CONTROL) = TRANSMIT_RUN;
	*reg32(INTERRUPTS) = 0x7F;
	*reg32(RECEIVE_CONTROL) = RECEIVE_ON | RECEIVE_DROP_BAD;
}

/* QEMU has no PHY: the link cannot be seen to go. */
bool eth_link(void)
{
	return true;
}

bool eth_pending(void)
{
	return (*reg32(FRAMES) & FRAMES_MASK) != 0;
}

void eth_wake(bool on)
{
	*reg32(INTERRUPTS) = RECEIVED;
	*reg32(INTERRUPT_MASK) = on ? RECEIVED : 0;
}

bool eth_receive(struct pbuf **frame)
{
	uint32_t first, whole, words;
	uint8_t *to = NULL;

	*frame = NULL;
	if (!eth_pending())
		return false;
	first = *reg32(DATA);
	whole = first & 0xFFFF;
	words = (whole + 3) / 4;
	if (whole > LENGTH_EXTRA && whole - LENGTH_EXTRA <= ETH_FRAME_MAX)
		*frame = pbuf_alloc(PBUF_RAW, (u16_t)(whole - LENGTH_EXTRA + ETH_PAD_SIZE), PBUF_RAM);
	if (*frame != NULL) {
		to = (*frame)->payload;
		memcpy(to, &first, 4);
	}
	for (uint32_t i = 1; i < words; i++) {
		uint32_t word = *reg32(DATA);

		/* The frame's last bytes and the checksum share words. */
		if (to != NULL && 4 * i < (*frame)->len) {
			uint32_t left = (*frame)->len - 4 * i;

			memcpy(to + 4 * i, &word, left < 4 ? left : 4);
		}
	}
	return true;
}

bool eth_send(const struct pbuf *frame)
{
	uint32_t word = frame->tot_len - ETH_PAD_SIZE - HEADER, shift = 16;
	unsigned skip = ETH_PAD_SIZE;

	if ((*reg32(TRANSMIT) & 1) != 0)
		return false; /* one is still leaving */
	for (const struct pbuf *piece = frame; piece != NULL; piece = piece->next) {
		const uint8_t *bytes = piece->payload;

		for (unsigned i = skip; i < piece->len; i++) {
			word |= (uint32_t)bytes[i] << shift;
			shift = (shift + 8) % 32;
			if (shift == 0) {
				*reg32(DATA) = word;
				word = 0;
			}
		}
		skip = 0;
		if (piece->tot_len == piece->len)
			break; /* the rest is another packet's */
	}
	if (shift != 0)
		*reg32(DATA) = word;
	*reg32(TRANSMIT) = 1;
	return true;
}
