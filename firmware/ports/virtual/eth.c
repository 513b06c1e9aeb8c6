#include "eth.h"

#include "board.h"

/* Registers and bits, from the OpenCores "Ethernet IP Core Specification". */
enum {
	MODER = 0x00,
	INT_SOURCE = 0x04,
	INT_MASK = 0x08,
	PACKETLEN = 0x18,
	TX_BD_NUM = 0x20,
	MIICOMMAND = 0x2C,
	MIIADDRESS = 0x30,
	MIIRX_DATA = 0x38,
	MIISTATUS = 0x3C,
	MAC_ADDR0 = 0x40,
	MAC_ADDR1 = 0x44,
	DESCRIPTORS = 0x400,
};
/* Pad short frames, add the checksum, send, receive. BRO (0x8) would reject
 * broadcasts, so it is not set. */
#define MODER_RUN 0xA003u
#define INT_RECEIVED 0x04u
#define INT_BUSY 0x10u /* a frame was lost for want of a descriptor */
#define MII_READ 0x02u
#define MII_IS_BUSY 0x02u
#define TX_READY 0x8000u
#define TX_PAD_CRC 0x1800u
#define RX_EMPTY 0x8000u
#define RX_INTERRUPT 0x4000u
#define RX_BAD 0x007Fu
#define LAST 0x2000u

#define PHY 1u
#define PHY_STATUS 1u
#define PHY_LINK 0x0004u

#define BUFFER 1600u
#define RECEIVE 64u
#define CHECKSUM 4u

static unsigned next_received;

static volatile uint32_t *eth(uint32_t reg)
{
	return reg32(ETH_ADDRESS + reg);
}

/* Descriptor `n` (0 sends): status and length, then the address. */
static volatile uint32_t *descriptor(unsigned n)
{
	return eth(DESCRIPTORS + 8 * n);
}

static uint32_t rx_ready(unsigned n)
{
	return RX_EMPTY | RX_INTERRUPT | (n == RECEIVE - 1 ? LAST : 0);
}

void eth_start(const uint8_t mac[6])
{
	*eth(MODER) = 0;
	*eth(INT_MASK) = 0;
	*eth(MAC_ADDR0) = (uint32_t)mac[2] << 24 | (uint32_t)mac[3] << 16 |
			  (uint32_t)mac[4] << 8 | mac[5];
	*eth(MAC_ADDR1) = (uint32_t)mac[0] << 8 | mac[1];
	*eth(PACKETLEN) = 64u << 16 | (ETH_FRAME_MAX + CHECKSUM);
	*eth(TX_BD_NUM) = 1;
	descriptor(0)[1] = ETH_BUFFERS;
	descriptor(0)[0] = LAST | TX_PAD_CRC;
	for (unsigned n = 0; n < RECEIVE; n++) {
		descriptor(1 + n)[1] = ETH_BUFFERS + BUFFER * (1 + n);
		descriptor(1 + n)[0] = rx_ready(n);
	}
	next_received = 0;
	*eth(INT_SOURCE) = 0x7F;
	*eth(INT_MASK) = INT_RECEIVED | INT_BUSY;
	*eth(MODER) = MODER_RUN;
}

bool eth_link(void)
{
	uint32_t start = ccount();

	*eth(MIIADDRESS) = PHY | PHY_STATUS << 8;
	*eth(MIICOMMAND) = MII_READ;
	while ((*eth(MIISTATUS) & MII_IS_BUSY) != 0) {
		/* A read takes 64 bits at 2.5 MHz; far beyond that there is no answer. */
		if (ccount() - start > CYCLES_PER_MS)
			return false;
	}
	return (*eth(MIIRX_DATA) & PHY_LINK) != 0;
}

bool eth_pending(void)
{
	return (descriptor(1 + next_received)[0] & RX_EMPTY) == 0;
}

/* Gives the buffer of the oldest frame back to the MAC. */
static void release(void)
{
	descriptor(1 + next_received)[0] = rx_ready(next_received);
	next_received = (next_received + 1) % RECEIVE;
}

bool eth_receive(struct pbuf **frame)
{
	*eth(INT_SOURCE) = INT_RECEIVED | INT_BUSY;
	while (eth_pending()) {
		uint32_t status = descriptor(1 + next_received)[0];
		size_t whole = status >> 16, length = whole - CHECKSUM;

		if ((status & RX_BAD) == 0 && whole > CHECKSUM && length <= ETH_FRAME_MAX) {
			const void *buffer = (const void *)(ETH_BUFFERS + BUFFER * (1 + next_received));

			*frame = pbuf_alloc(PBUF_RAW, (u16_t)length, PBUF_RAM);
			if (*frame != NULL)
				pbuf_take(*frame, buffer, (u16_t)length);
			release();
			return true;
		}
		release();
	}
	return false;
}

bool eth_send(const struct pbuf *frame)
{
	if ((descriptor(0)[0] & TX_READY) != 0)
		return false; /* on this machine: a frame still leaving */
	pbuf_copy_partial(frame, (void *)ETH_BUFFERS, frame->tot_len, 0);
	descriptor(0)[0] = (uint32_t)frame->tot_len << 16 | TX_READY | LAST | TX_PAD_CRC;
	return true;
}
