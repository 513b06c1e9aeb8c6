#include "store.h"

#include <string.h>

#define MAGIC 0x47524c48u /* "HLRG" */
#define LAYOUT 2u
#define LAYOUT_1_SETTINGS 680u

struct header {
	uint32_t magic;
	uint16_t layout;
	uint16_t settings_length;
	uint32_t sequence;
	uint32_t length[STORE_PARTS];
	uint32_t reserved[2];
	uint32_t crc; /* over all above and the body */
};

_Static_assert(sizeof(struct header) == STORE_HEADER_SIZE, "header");
_Static_assert(sizeof(struct settings) >= LAYOUT_1_SETTINGS, "layout 1 is a start of it");

#define SETTINGS_AT STORE_HEADER_SIZE
#define CHUNK 64u /* bytes moved at a time: the buffer is on the stack */

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

static size_t to_word(size_t length)
{
	return (length + 3) & ~(size_t)3;
}

/* Where a part begins in a slot with settings and a CA of these lengths. */
static size_t part_at(enum store_part part, size_t settings_length, size_t ca_length)
{
	return SETTINGS_AT + settings_length + (part == STORE_CA ? 0 : to_word(ca_length));
}

static bool both_fit(size_t ca, size_t identity)
{
	return ca <= STORE_CA_MAX && identity <= STORE_IDENTITY_MAX &&
	       to_word(ca) + to_word(identity) <= STORE_BOTH_MAX;
}

static bool header_is_known(const struct header *header)
{
	const uint32_t *length = header->length;

	if (header->magic != MAGIC || !both_fit(length[STORE_CA], length[STORE_IDENTITY]))
		return false;
	if (header->layout == 1)
		return header->settings_length == LAYOUT_1_SETTINGS && length[STORE_IDENTITY] == 0;
	return header->layout == LAYOUT && header->settings_length == sizeof(struct settings);
}

/* Reads a slot's header and checks the whole slot against it. */
static bool slot_is_whole(const struct port *port, unsigned slot, struct header *header)
{
	const uint32_t *length = header->length;
	uint8_t chunk[CHUNK];
	uint32_t crc;
	size_t end;

	if (!port->slot_read(port->self, slot, 0, header, sizeof *header) || !header_is_known(header))
		return false;
	crc = store_crc32(0, header, offsetof(struct header, crc));
	/* The padding of a part's last word counts only between the two parts. */
	end = SETTINGS_AT + header->settings_length + length[STORE_CA];
	if (length[STORE_IDENTITY] > 0)
		end = part_at(STORE_IDENTITY, header->settings_length, length[STORE_CA]) +
		      length[STORE_IDENTITY];
	for (size_t at = SETTINGS_AT; at < end; at += CHUNK) {
		size_t some = smaller(CHUNK, end - at);

		if (!port->slot_read(port->self, slot, at, chunk, some))
			return false;
		crc = store_crc32(crc, chunk, some);
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

/* The port knows which record size fits the chip's heap. */
static void defaults_of_port(const struct port *port, struct settings *settings)
{
	if (settings->tls_fragment == 0)
		settings->tls_fragment = port->tls_record;
}

/* The defaults, overwritten by the slot in use. */
static bool read_settings(const struct store *store, struct settings *settings)
{
	settings_defaults(settings);
	return store->port->slot_read(store->port->self, (unsigned)store->slot, SETTINGS_AT, settings,
				      store->settings_length);
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
		store->settings_length = header.settings_length;
		for (int part = 0; part < STORE_PARTS; part++)
			store->length[part] = (uint16_t)header.length[part];
	}
	store->other_damaged = whole + blank < PORT_SLOTS;
	if (store->slot >= 0 && read_settings(store, settings)) {
		settings_terminate(settings);
		defaults_of_port(port, settings);
		return STORE_LOADED;
	}
	store->slot = -1;
	memset(store->length, 0, sizeof store->length);
	settings_defaults(settings);
	defaults_of_port(port, settings);
	return blank == PORT_SLOTS ? STORE_BLANK : STORE_DAMAGED;
}

bool store_read(const struct store *store, enum store_part part, size_t offset, void *to,
		size_t length)
{
	if (store->slot < 0 || offset + length > store->length[part])
		return false;
	return store->port->slot_read(store->port->self, (unsigned)store->slot,
				      part_at(part, store->settings_length, store->length[STORE_CA]) +
					      offset,
				      to, length);
}

/* A save: the slot to write, and its contents. */
struct save {
	unsigned slot;
	enum store_part part;  /* the new one, or STORE_PARTS */
	const uint8_t *bytes;  /* of the new one */
	struct header header;
};

/* Writes a part, from memory or from the slot in use, and adds it to the CRC:
 * the CA with the padding of its last word if the other part follows. */
static bool write_part(const struct store *store, struct save *save, enum store_part part)
{
	const struct port *port = store->port;
	const uint32_t *length = save->header.length;
	size_t to = part_at(part, sizeof(struct settings), length[STORE_CA]);
	uint32_t words[CHUNK / 4]; /* as words: a chip may want its source aligned */

	for (size_t at = 0; at < length[part]; at += CHUNK) {
		size_t some = smaller(CHUNK, length[part] - at);
		bool filled = part == STORE_CA && length[STORE_IDENTITY] > 0;

		memset(words, 0xff, sizeof words);
		if (part == save->part)
			memcpy(words, save->bytes + at, some);
		else if (!store_read(store, part, at, words, some))
			return false;
		save->header.crc = store_crc32(save->header.crc, words, filled ? to_word(some) : some);
		if (!port->slot_write(port->self, save->slot, to + at, words, to_word(some)))
			return false;
	}
	return true;
}

static bool save(struct store *store, const struct settings *settings, enum store_part part,
		 const uint8_t *bytes, size_t length)
{
	const struct port *port = store->port;
	struct save save = {
		.slot = store->slot < 0 ? 0 : 1u - (unsigned)store->slot,
		.part = part,
		.bytes = bytes,
		.header = { .magic = MAGIC,
			    .layout = LAYOUT,
			    .settings_length = sizeof *settings,
			    .sequence = store->sequence + 1 },
	};
	struct header *header = &save.header;
	struct header seen;

	for (int i = 0; i < STORE_PARTS; i++)
		header->length[i] = i == (int)part ? (uint32_t)length : store->length[i];
	header->crc = store_crc32(0, header, offsetof(struct header, crc));
	header->crc = store_crc32(header->crc, settings, sizeof *settings);
	if (!port->slot_erase(port->self, save.slot) ||
	    !port->slot_write(port->self, save.slot, SETTINGS_AT, settings, sizeof *settings) ||
	    !write_part(store, &save, STORE_CA) || !write_part(store, &save, STORE_IDENTITY))
		return false;
	/* Last of all: it makes the slot valid. */
	if (!port->slot_write(port->self, save.slot, 0, header, sizeof *header))
		return false;
	if (!slot_is_whole(port, save.slot, &seen) || seen.crc != header->crc ||
	    seen.sequence != header->sequence)
		return false;
	store->slot = (int)save.slot;
	store->sequence = header->sequence;
	store->settings_length = header->settings_length;
	for (int i = 0; i < STORE_PARTS; i++)
		store->length[i] = (uint16_t)header->length[i];
	store->other_damaged = false;
	return true;
}

bool store_save(struct store *store, const struct settings *settings)
{
	return save(store, settings, STORE_PARTS, NULL, 0);
}

bool store_fits(const struct store *store, enum store_part part, size_t length)
{
	return both_fit(part == STORE_CA ? length : store->length[STORE_CA],
			part == STORE_IDENTITY ? length : store->length[STORE_IDENTITY]);
}

bool store_save_part(struct store *store, const struct settings *settings, enum store_part part,
		     const void *bytes, size_t length)
{
	return store_fits(store, part, length) && save(store, settings, part, bytes, length);
}
