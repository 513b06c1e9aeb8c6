/* The fields of the configuration form: one table for the page, for the values
 * that a form sends, and for the checks. */
#ifndef HILRIG_FIELDS_H
#define HILRIG_FIELDS_H

#include "settings.h"

enum field_kind {
	FIELD_TEXT,    /* any UTF-8 without control characters */
	FIELD_SECRET,  /* text that is never shown; empty leaves the stored one */
	FIELD_HOST,    /* host name or dotted decimal; may be empty */
	FIELD_TOPIC,   /* MQTT topic name: no + and no #; may be empty */
	FIELD_ADDRESS, /* dotted decimal; empty is 0.0.0.0 */
	FIELD_NUMBER,  /* unsigned, `least` to `most` */
	FIELD_SIZE,    /* a record size that TLS can ask for */
	FIELD_BOX,     /* check box */
	FIELD_SUITES,  /* one of suites_words, stored as its index */
	FIELD_DIGEST,  /* `size` bytes in hex; empty is zeros */
};

struct field {
	const char *name;  /* key in the form */
	const char *label; /* for people */
	uint8_t kind;
	uint8_t size; /* bytes in the struct, with the NUL of a text */
	uint16_t offset;
	uint32_t least, most;
};

#define FIELDS 44

extern const struct field fields[FIELDS];

/* NULL if no field has that name. */
const struct field *field_find(const char *name);

/* Checks a value and puts it into `settings`. NULL, or the reason for the refusal. */
const char *field_set(const struct field *field, struct settings *settings, const char *value);

/* Checks the fields against each other, for the board with this MAC address.
 * NULL, or the reason for the refusal; `name` is then the wrong field. */
const char *fields_check(const struct settings *settings, const uint8_t mac[6], const char **name);

/* Room for field_text(). */
#define FIELD_TEXT_SIZE (SETTINGS_TEXT_MAX + 1)

/* The value as text; empty for a secret; "on" or empty for a box. */
void field_text(const struct field *field, const struct settings *settings,
		char text[FIELD_TEXT_SIZE]);

#endif
