/* Settings in flash: blank, damaged, and a power cut at every byte of a save. */
#include <stdlib.h>

#include "check.h"
#include "host_port.h"
#include "store.h"

static struct host host;

/* As store_load() has them. */
static void defaults_of_port(struct settings *settings)
{
	settings_defaults(settings);
	settings->tls_fragment = 16384;
}

static void make_settings(struct settings *settings, unsigned number)
{
	defaults_of_port(settings);
	settings->mqtt_port = (uint16_t)(1000 + number);
	snprintf(settings->broker, sizeof settings->broker, "broker-%u", number);
}

static void fill_ca(uint8_t *der, size_t length, unsigned seed)
{
	for (size_t i = 0; i < length; i++)
		der[i] = (uint8_t)(seed + i * 7);
}

static bool part_is(struct store *store, enum store_part part, const uint8_t *bytes, size_t length)
{
	static uint8_t seen[STORE_CA_MAX];

	return store->length[part] == length &&
	       (length == 0 ||
		(store_read(store, part, 0, seen, length) && memcmp(seen, bytes, length) == 0));
}

static void test_crc(void)
{
	/* The check value of CRC-32/ISO-HDLC. */
	CHECK(store_crc32(0, "123456789", 9) == 0xcbf43926u, "%08x", store_crc32(0, "123456789", 9));
	CHECK(store_crc32(store_crc32(0, "1234", 4), "56789", 5) == 0xcbf43926u, "in two parts");
}

/* What a rig writes as data and a blank flash leave it to the port; what was chosen stays. */
static void test_the_record_size_is_the_ports(void)
{
	struct store store;
	struct settings settings, seen;

	host_start(&host);
	host.port.tls_record = 4096;
	store_load(&store, &host.port, &seen);
	CHECK(seen.tls_fragment == 4096, "blank flash: %u", seen.tls_fragment);
	settings_defaults(&settings);
	CHECK(store_save(&store, &settings), "save");
	CHECK(store_load(&store, &host.port, &seen) == STORE_LOADED && seen.tls_fragment == 4096,
	      "stored as zero: %u", seen.tls_fragment);
	settings.tls_fragment = 16384;
	CHECK(store_save(&store, &settings), "save");
	CHECK(store_load(&store, &host.port, &seen) == STORE_LOADED && seen.tls_fragment == 16384,
	      "stored: %u", seen.tls_fragment);
	host_stop(&host);
}

static void test_blank_and_damaged(void)
{
	struct store store;
	struct settings settings, defaults;

	defaults_of_port(&defaults);
	host_start(&host);
	memset(&settings, 0xaa, sizeof settings);
	CHECK(store_load(&store, &host.port, &settings) == STORE_BLANK, "blank flash");
	CHECK(memcmp(&settings, &defaults, sizeof settings) == 0, "blank flash gives the defaults");
	CHECK(settings.ip[0] == 0 && settings.http_port == 9705 && settings.baud == 115200,
	      "and these are no 255.255.255.255");

	memset(host.flash, 0, sizeof host.flash);
	CHECK(store_load(&store, &host.port, &settings) == STORE_DAMAGED, "zeros");
	for (unsigned round = 0; round < 200; round++) {
		for (size_t i = 0; i < sizeof host.flash; i++)
			((uint8_t *)host.flash)[i] = (uint8_t)rand();
		CHECK(store_load(&store, &host.port, &settings) == STORE_DAMAGED, "noise");
		CHECK(memcmp(&settings, &defaults, sizeof settings) == 0, "noise gives the defaults");
	}
	host_stop(&host);
}

static void test_any_flipped_bit_is_seen(void)
{
	struct store store;
	struct settings settings, seen;
	uint8_t der[100];
	size_t used = STORE_HEADER_SIZE + sizeof settings + sizeof der;
	unsigned unseen = 0;

	host_start(&host);
	make_settings(&settings, 1);
	fill_ca(der, sizeof der, 3);
	store_load(&store, &host.port, &seen);
	CHECK(store_save_part(&store, &settings, STORE_CA, der, sizeof der), "save");
	for (size_t bit = 0; bit < used * 8; bit++) {
		host.flash[0][bit / 8] ^= (uint8_t)(1u << bit % 8);
		unseen += store_load(&store, &host.port, &seen) != STORE_DAMAGED;
		host.flash[0][bit / 8] ^= (uint8_t)(1u << bit % 8);
	}
	CHECK(unseen == 0, "%u flipped bits were not seen", unseen);
	CHECK(store_load(&store, &host.port, &seen) == STORE_LOADED, "and whole again");
	host_stop(&host);
}

static void test_saves_alternate(void)
{
	struct store store;
	struct settings settings, seen;
	uint8_t der[STORE_CA_MAX];

	host_start(&host);
	fill_ca(der, sizeof der, 9);
	store_load(&store, &host.port, &seen);
	CHECK(!store_save_part(&store, &seen, STORE_CA, der, STORE_CA_MAX + 1), "a CA too large");
	CHECK(store_save_part(&store, &seen, STORE_CA, der, STORE_CA_MAX), "the largest CA");
	for (unsigned n = 1; n < 20; n++) {
		make_settings(&settings, n);
		CHECK(store_save(&store, &settings), "save %u", n);
		CHECK(store_load(&store, &host.port, &seen) == STORE_LOADED, "load %u", n);
		CHECK(memcmp(&settings, &seen, sizeof seen) == 0, "round %u", n);
		CHECK(store.sequence == n + 1, "sequence %u", store.sequence);
		CHECK(part_is(&store, STORE_CA, der, STORE_CA_MAX), "the CA stays, round %u", n);
		CHECK(!store.other_damaged, "both copies whole");
	}
	host_stop(&host);
}

/* The two parts beside each other, of every remainder of a word. */
static void test_both_parts(void)
{
	struct store store;
	struct settings settings;
	static uint8_t ca[STORE_CA_MAX], own[STORE_IDENTITY_MAX];

	fill_ca(ca, sizeof ca, 5);
	fill_ca(own, sizeof own, 6);
	for (size_t i = 0; i < 16; i++) {
		size_t ca_length = 60 + i % 4, own_length = 700 + i / 4;

		host_start(&host);
		store_load(&store, &host.port, &settings);
		CHECK(store_save_part(&store, &settings, STORE_CA, ca, ca_length), "CA");
		CHECK(store_save_part(&store, &settings, STORE_IDENTITY, own, own_length), "own");
		CHECK(store_save_part(&store, &settings, STORE_CA, ca, ca_length + 7), "another CA");
		CHECK(store_save(&store, &settings), "settings alone");
		CHECK(store_load(&store, &host.port, &settings) == STORE_LOADED, "load");
		CHECK(part_is(&store, STORE_CA, ca, ca_length + 7), "the CA stays, %zu", i);
		CHECK(part_is(&store, STORE_IDENTITY, own, own_length), "and the other, %zu", i);
		CHECK(store_save_part(&store, &settings, STORE_IDENTITY, NULL, 0), "removed");
		CHECK(store_load(&store, &host.port, &settings) == STORE_LOADED, "load");
		CHECK(part_is(&store, STORE_IDENTITY, NULL, 0), "it is gone, %zu", i);
		CHECK(part_is(&store, STORE_CA, ca, ca_length + 7), "the CA is not, %zu", i);
		host_stop(&host);
	}
	host_start(&host);
	store_load(&store, &host.port, &settings);
	CHECK(store_save_part(&store, &settings, STORE_IDENTITY, own, sizeof own), "the largest");
	CHECK(!store_save_part(&store, &settings, STORE_CA, ca, STORE_BOTH_MAX - sizeof own + 1),
	      "a CA that is too large beside it");
	CHECK(store_save_part(&store, &settings, STORE_CA, ca, STORE_BOTH_MAX - sizeof own),
	      "and one that just fits");
	CHECK(store_load(&store, &host.port, &settings) == STORE_LOADED, "load");
	CHECK(part_is(&store, STORE_IDENTITY, own, sizeof own), "whole");
	host_stop(&host);
}

/* A slot of layout 1: settings of 680 bytes, then the CA. */
static void test_older_layout(void)
{
	struct store store;
	struct settings settings, seen;
	uint8_t ca[90];
	uint8_t *slot = host.flash[0];
	uint32_t word;

	host_start(&host);
	make_settings(&settings, 7);
	fill_ca(ca, sizeof ca, 8);
	memcpy(slot, "HLRG\1\0\xa8\2\5\0\0\0", 12);
	memset(slot + 12, 0, 20);
	slot[12] = sizeof ca;
	memcpy(slot + 32, &settings, 680);
	memcpy(slot + 32 + 680, ca, sizeof ca);
	word = store_crc32(store_crc32(0, slot, 28), slot + 32, 680 + sizeof ca);
	memcpy(slot + 28, &word, 4);
	memset(&seen, 0xaa, sizeof seen);
	CHECK(store_load(&store, &host.port, &seen) == STORE_LOADED, "it is read");
	CHECK(store.sequence == 5 && memcmp(&seen, &settings, sizeof seen) == 0,
	      "and what it lacks has its default");
	CHECK(part_is(&store, STORE_CA, ca, sizeof ca) && part_is(&store, STORE_IDENTITY, NULL, 0),
	      "the CA");
	CHECK(store_save(&store, &seen), "a save");
	CHECK(host.flash[1][4] == 2, "of the present layout");
	CHECK(store_load(&store, &host.port, &seen) == STORE_LOADED && store.sequence == 6 &&
		      memcmp(&seen, &settings, sizeof seen) == 0 &&
		      part_is(&store, STORE_CA, ca, sizeof ca),
	      "keeps all of it");
	host_stop(&host);
}

static void test_sequence_wraps(void)
{
	struct store store;
	struct settings settings, seen;

	host_start(&host);
	store_load(&store, &host.port, &seen);
	store.sequence = UINT32_MAX - 2;
	for (unsigned n = 0; n < 6; n++) {
		make_settings(&settings, n);
		CHECK(store_save(&store, &settings), "save");
		store_load(&store, &host.port, &seen);
		CHECK(seen.mqtt_port == 1000 + n, "the newest counts across the wrap, %u", n);
	}
	host_stop(&host);
}

/* Cuts the power after `cut` bytes of a save and looks what is there after. */
static unsigned cut_at(long cut, bool first, bool new_ca)
{
	struct store store;
	struct settings old, new, seen;
	uint8_t old_ca[90], new_ca_bytes[110];
	enum store_state state;
	bool stored, is_old, is_new;

	host_start(&host);
	fill_ca(old_ca, sizeof old_ca, 1);
	fill_ca(new_ca_bytes, sizeof new_ca_bytes, 2);
	store_load(&store, &host.port, &seen);
	defaults_of_port(&old);
	if (!first) {
		make_settings(&old, 1);
		store_save(&store, &old); /* both slots in use */
		make_settings(&old, 2);
		store_save_part(&store, &old, STORE_CA, old_ca, sizeof old_ca);
	}
	make_settings(&new, 3);
	host.power_left = cut;
	stored = new_ca ? store_save_part(&store, &new, STORE_CA, new_ca_bytes, sizeof new_ca_bytes) :
			  store_save(&store, &new);
	host.power_left = -1;
	host.power_is_off = false;

	state = store_load(&store, &host.port, &seen);
	is_new = state == STORE_LOADED && memcmp(&seen, &new, sizeof seen) == 0 &&
		 (new_ca ? part_is(&store, STORE_CA, new_ca_bytes, sizeof new_ca_bytes) :
			   part_is(&store, STORE_CA, old_ca, first ? 0 : sizeof old_ca));
	is_old = (first ? state != STORE_LOADED : state == STORE_LOADED) &&
		 memcmp(&seen, &old, sizeof seen) == 0 &&
		 part_is(&store, STORE_CA, old_ca, first ? 0 : sizeof old_ca);
	/* What was confirmed stays; what was not is one or the other. */
	if (!(stored ? is_new : is_old || is_new)) {
		fprintf(stderr, "cut after %ld bytes: stored %d, state %d, neither old nor new\n", cut,
			stored, state);
		return 1;
	}
	/* And the next save works. */
	if (!store_save(&store, &new) || store_load(&store, &host.port, &seen) != STORE_LOADED ||
	    memcmp(&seen, &new, sizeof seen) != 0) {
		fprintf(stderr, "cut after %ld bytes: the next save does not work\n", cut);
		return 1;
	}
	host_stop(&host);
	return 0;
}

static void test_power_cuts(void)
{
	/* Erase, settings, CA (padded), header. */
	long whole = PORT_SLOT_SIZE + STORE_HEADER_SIZE + (long)sizeof(struct settings) + 112;

	for (int first = 0; first < 2; first++)
		for (int ca = 0; ca < 2; ca++) {
			unsigned wrong = 0;

			for (long cut = 0; cut <= whole + 4; cut++)
				wrong += cut_at(cut, first, ca);
			CHECK(wrong == 0, "%u cuts lost the settings (first %d, CA %d)", wrong, first, ca);
		}
}

static void test_dead_flash(void)
{
	struct store store;
	struct settings settings;

	host_start(&host);
	host.power_is_off = true;
	CHECK(store_load(&store, &host.port, &settings) == STORE_DAMAGED, "unreadable is not blank");
	CHECK(!store_save(&store, &settings), "a save reports that it failed");
	host_stop(&host);
}

int main(void)
{
	test_crc();
	test_the_record_size_is_the_ports();
	test_blank_and_damaged();
	test_any_flipped_bit_is_seen();
	test_saves_alternate();
	test_both_parts();
	test_older_layout();
	test_sequence_wraps();
	test_power_cuts();
	test_dead_flash();
	return checks_end("settings store");
}
