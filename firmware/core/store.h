/*
 * Keeps settings, the CA certificate and the client's own certificate in flash,
 * through power cuts.
 *
 * There are two slots. A save erases the slot that is not in use, writes the
 * body there, then the header, and reads it all back. The header carries a
 * CRC-32 over itself and the body, so a slot is valid as a whole or not at all,
 * and of two valid ones the higher sequence number wins: after a power cut at
 * any byte the board has the old settings or the new ones.
 *
 * A slot: header (STORE_HEADER_SIZE bytes), settings, CA certificate (DER), and
 * from the next multiple of 4 on the client's certificate (identity.h). Numbers
 * are as the chip has them; every chip so far is little-endian.
 *
 * Layout 1 had shorter settings and no client's certificate. It is read, and
 * the next save writes the current one.
 */
#ifndef HILRIG_STORE_H
#define HILRIG_STORE_H

#include "port.h"
#include "settings.h"

#define STORE_HEADER_SIZE 32
#define STORE_CA_MAX 2560       /* bytes of DER */
#define STORE_IDENTITY_MAX 2048 /* bytes of key and certificates */
/* Both together. An RSA-4096 root of 1,400 bytes leaves over 1,900 for a chain
 * of the client's; fixed shares would leave less for each. */
#define STORE_BOTH_MAX (PORT_SLOT_SIZE - STORE_HEADER_SIZE - sizeof(struct settings))

_Static_assert(STORE_CA_MAX <= STORE_BOTH_MAX && STORE_IDENTITY_MAX <= STORE_BOTH_MAX,
	       "a slot has space for settings and either certificate");

enum store_state {
	STORE_LOADED,
	STORE_BLANK,   /* erased flash: nothing was ever stored */
	STORE_DAMAGED, /* neither slot is valid, and they are not blank */
};

enum store_part {
	STORE_CA,
	STORE_IDENTITY,
	STORE_PARTS,
};

struct store {
	const struct port *port;
	int slot;           /* the one in use, -1 for none */
	uint32_t sequence;  /* of the slot in use, 0 for none */
	uint16_t settings_length;     /* in the slot in use: shorter in an older layout */
	uint16_t length[STORE_PARTS]; /* bytes; 0: not stored */
	bool other_damaged; /* the other slot is neither valid nor blank */
};

/* Reads the newest valid slot; any other state gives the defaults. */
enum store_state store_load(struct store *store, const struct port *port, struct settings *settings);

/* Stores settings and keeps both parts. False if the flash failed; the slot
 * that was stored before stays valid. */
bool store_save(struct store *store, const struct settings *settings);

/* Whether a part of that length can be stored beside the other one. */
bool store_fits(const struct store *store, enum store_part part, size_t length);

/* Stores settings and a new part; length 0 removes it. */
bool store_save_part(struct store *store, const struct settings *settings, enum store_part part,
		     const void *bytes, size_t length);

/* Reads a range of a stored part. */
bool store_read(const struct store *store, enum store_part part, size_t offset, void *to,
		size_t length);

/* CRC-32 (IEEE 802.3). Start with 0, continue with the result. */
uint32_t store_crc32(uint32_t crc, const void *bytes, size_t length);

#endif
