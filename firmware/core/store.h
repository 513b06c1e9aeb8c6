/*
 * Keeps settings and the CA certificate in flash, through power cuts.
 *
 * There are two slots. A save erases the slot that is not in use, writes the
 * body there, then the header, and reads it all back. The header carries a
 * CRC-32 over itself and the body, so a slot counts as a whole or not at all,
 * and of two good ones the higher sequence number counts: after a cut at any
 * byte the board has the old settings or the new ones.
 *
 * A slot: header (STORE_HEADER_SIZE bytes), settings, CA certificate (DER).
 * Numbers are as the chip has them; every chip so far is little-endian.
 */
#ifndef HILRIG_STORE_H
#define HILRIG_STORE_H

#include "port.h"
#include "settings.h"

#define STORE_HEADER_SIZE 32
#define STORE_CA_MAX 2560 /* bytes of DER */

_Static_assert(STORE_HEADER_SIZE + sizeof(struct settings) + STORE_CA_MAX <= PORT_SLOT_SIZE,
	       "a slot holds settings and CA");

enum store_state {
	STORE_LOADED,
	STORE_BLANK,   /* erased flash: nothing was ever stored */
	STORE_DAMAGED, /* something stands there, but in neither slot a whole */
};

struct store {
	const struct port *port;
	int slot;           /* the one in use, -1 for none */
	uint32_t sequence;  /* of the slot in use, 0 for none */
	uint32_t ca_length; /* 0: no CA stored */
	bool other_damaged; /* the other slot is neither whole nor blank */
};

/* Reads the newest whole slot; anything but STORE_LOADED gives the defaults. */
enum store_state store_load(struct store *store, const struct port *port, struct settings *settings);

/* Stores settings and keeps the CA. False if the flash failed; what was stored
 * before still counts then. */
bool store_save(struct store *store, const struct settings *settings);

/* Stores settings and a new CA. */
bool store_save_ca(struct store *store, const struct settings *settings, const void *der,
		   size_t length);

/* Reads a part of the stored CA. */
bool store_read_ca(const struct store *store, size_t offset, void *to, size_t length);

/* CRC-32 (IEEE 802.3). Start with 0, feed on with the result. */
uint32_t store_crc32(uint32_t crc, const void *bytes, size_t length);

#endif
