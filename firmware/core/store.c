#include "store.h"

#include <string.h>

#define MAGIC 0x47524c48u /* "HLRG" */
#define LAYOUT 1u

struct header {
	uint32_t magic;
	uint16_t layout;
	uint16_t settings_length;
	uint32_t sequence;
	uint32_t ca_length;
	uint32_t reserved[3];
	uint32_t crc; /* over all above and the body */
};

_Static_assert(sizeof(struct header) == STORE_HEADER_SIZE, "header");

#define SETTINGS_AT STORE_HEADER_SIZE
#define CA_AT (STORE_HEADER_SIZE + sizeof(struct settings))
#define CHUNK 64u /* bytes moved at a time: all of it lies on the stack */

uint32_t store_crc32(uint32_t crc, const void *bytes, size_t length)
{
	const uint8_t *at = bytes;

	crc = ~crc;
	while (length-- > 0) {
		crc ^= *at++;
		for (int bit = 0; bit < 8; bit++)
			crc = (crc >> 1) ^ (0xedb88320u & (0u - (crc & 1u)));
	}
	return ~crc;
}

static size_t smaller(size_t a, size_t b)
{
	return a < b ? a : b;
}

/* Reads a slot's header and checks the whole slot against it. */
static bool slot_is_whole(const struct port *port, unsigned slot, struct header *header)
{
	uint8_t chunk[CHUNK];
	uint32_t crc;
	size_t end;

	if (!port->slot_read(port->self, slot, 0, header, sizeof *header))
		return false;
	if (header->magic != MAGIC || header->layout != LAYOUT ||
	    header->settings_length != sizeof(struct settings) ||
	    header->ca_length > STORE_CA_MAX)
		return false;
	crc = store_crc32(0, header, offsetof(struct header, crc));
	end = CA_AT + header->ca_length;
	for (size_t at = SETTINGS_AT; at < end; at += CHUNK) {
		size_t length = smaller(CHUNK, end - at);

		if (!port->slot_read(port->self, slot, at, chunk, length))
			return false;
		crc = store_crc32(crc, chunk, length);
	}
	return crc == header->crc;
}

static bool slot_is_blank(const struct port *port, unsigned slot)
{
	uint8_t chunk[CHUNK];

	for (size_t at = 0; at < PORT_SLOT_SIZE; at += CHUNK) {
		if (!port->slot_read(port->self, slot, at, chunk, CHUNK))
			return false;
		for (size_t i = 0; i < CHUNK; i++)
			if (chunk[i] != 0xff)
				return false;
	}
	return true;
}

enum store_state store_load(struct store *store, const struct port *port, struct settings *settings)
{
	struct header header;
	unsigned blank = 0;
	unsigned whole = 0;

	*store = (struct store){ .port = port, .slot = -1 };
	for (unsigned slot = 0; slot < PORT_SLOTS; slot++) {
		if (!slot_is_whole(port, slot, &header)) {
			blank += slot_is_blank(port, slot);
			continue;
		}
		whole++;
		if (store->slot >= 0 && (int32_t)(header.sequence - store->sequence) < 0)
			continue;
		store->slot = (int)slot;
		store->sequence = header.sequence;
		store->ca_length = header.ca_length;
	}
	store->other_damaged = whole + blank < PORT_SLOTS;
	if (store->slot >= 0 && port->slot_read(port->self, (unsigned)store->slot, SETTINGS_AT,
						settings, sizeof *settings)) {
		settings_terminate(settings);
		return STORE_LOADED;
	}
	store->slot = -1;
	store->ca_length = 0;
	settings_defaults(settings);
	return blank == PORT_SLOTS ? STORE_BLANK : STORE_DAMAGED;
}

bool store_read_ca(const struct store *store, size_t offset, void *to, size_t length)
{
	if (store->slot < 0 || offset + length > store->ca_length)
		return false;
	return store->port->slot_read(store->port->self, (unsigned)store->slot, CA_AT + offset, to,
				      length);
}

/* Writes the CA, from memory or (der == NULL) from the slot in use, and adds
 * it to the CRC. */
static bool write_ca(const struct store *store, unsigned slot, const uint8_t *der, size_t length,
		     uint32_t *crc)
{
	const struct port *port = store->port;
	uint32_t words[CHUNK / 4]; /* as words: a chip may want its source aligned */

	for (size_t at = 0; at < length; at += CHUNK) {
		size_t part = smaller(CHUNK, length - at);

		memset(words, 0xff, sizeof words);
		if (der != NULL)
			memcpy(words, der + at, part);
		else if (!store_read_ca(store, at, words, part))
			return false;
		*crc = store_crc32(*crc, words, part);
		if (!port->slot_write(port->self, slot, CA_AT + at, words, (part + 3) & ~3u))
			return false;
	}
	return true;
}

static bool save(struct store *store, const struct settings *settings, const uint8_t *der,
		 size_t ca_length)
{
	const struct port *port = store->port;
	unsigned slot = store->slot < 0 ? 0 : 1u - (unsigned)store->slot;
	struct header header = {
		.magic = MAGIC,
		.layout = LAYOUT,
		.settings_length = sizeof *settings,
		.sequence = store->sequence + 1,
		.ca_length = (uint32_t)ca_length,
	};
	struct header seen;
	uint32_t crc;

	crc = store_crc32(0, &header, offsetof(struct header, crc));
	crc = store_crc32(crc, settings, sizeof *settings);
	if (!port->slot_erase(port->self, slot) ||
	    !port->slot_write(port->self, slot, SETTINGS_AT, settings, sizeof *settings) ||
	    !write_ca(store, slot, der, ca_length, &crc))
		return false;
	header.crc = crc;
	/* Last of all: it is what makes the slot count. */
	if (!port->slot_write(port->self, slot, 0, &header, sizeof header))
		return false;
	if (!slot_is_whole(port, slot, &seen) || seen.crc != crc || seen.sequence != header.sequence)
		return false;
	store->slot = (int)slot;
	store->sequence = header.sequence;
	store->ca_length = header.ca_length;
	store->other_damaged = false;
	return true;
}

bool store_save(struct store *store, const struct settings *settings)
{
	return save(store, settings, NULL, store->ca_length);
}

bool store_save_ca(struct store *store, const struct settings *settings, const void *der,
		   size_t length)
{
	if (length > STORE_CA_MAX)
		return false;
	return save(store, settings, der, length);
}
