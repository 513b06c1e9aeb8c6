/* contract.toml tells a rig what stands in the settings flash: it is held
 * against the table and the struct that the firmware is made of. */
#include <stdlib.h>

#include "check.h"
#include "fields.h"
#include "store.h"
#include "suites.h"

static char *contract(void)
{
	static char text[64 * 1024];
	FILE *file = fopen("../contract.toml", "rb");

	CHECK(file != NULL, "no ../contract.toml");
	if (file == NULL)
		exit(1);
	text[fread(text, 1, sizeof text - 1, file)] = 0;
	fclose(file);
	return text;
}

static const char *kind(const struct field *field)
{
	switch ((enum field_kind)field->kind) {
	case FIELD_ADDRESS:
		return "address";
	case FIELD_NUMBER:
	case FIELD_SIZE:
		return "number";
	case FIELD_BOX:
		return "box";
	case FIELD_SUITES:
		return "choice";
	case FIELD_DIGEST:
		return "hex";
	default:
		return "text";
	}
}

/* What follows the kind: the default, if it is not zero, or the choices. */
static void rest(const struct field *field, char to[128])
{
	struct settings defaults;
	char value[FIELD_TEXT_SIZE];

	settings_defaults(&defaults);
	field_text(field, &defaults, value);
	to[0] = 0;
	if (field->kind != FIELD_SUITES) {
		if (value[0] != 0 && strcmp(value, "0") != 0)
			snprintf(to, 128, ", default = \"%s\"", value);
		return;
	}
	for (int i = 0; i < SUITES_CHOICES; i++)
		snprintf(to + strlen(to), 128 - strlen(to), "%s\"%s\"", i == 0 ? ", of = [" : ", ",
			 suites_words[i]);
	strcat(to, "]");
}

int main(void)
{
	const char *text = contract();
	const char *at = strstr(text, "\n[stored.fields]\n");
	char line[256];
	char more[128];
	unsigned found = 0;

	snprintf(line, sizeof line, "\nlength = %zu ", sizeof(struct settings));
	CHECK(strstr(text, line) != NULL, "the contract lacks:%s", line);
	CHECK(at != NULL, "the contract lacks [stored.fields]");
	for (unsigned i = 0; at != NULL && i < FIELDS; i++) {
		rest(&fields[i], more);
		snprintf(line, sizeof line, "\n%s = { at = %u, size = %u, kind = \"%s\"%s }\n",
			 fields[i].name, fields[i].offset, fields[i].size, kind(&fields[i]), more);
		CHECK(strstr(at, line) != NULL, "the contract lacks:%s", line);
	}
	for (at = at == NULL ? text : at + 1; *at != 0 && strncmp(at, "\n[", 2) != 0; at++)
		found += strncmp(at, "= { at = ", 9) == 0;
	CHECK(found == FIELDS, "the contract has %u fields, the firmware %u", found, FIELDS);
	return checks_end("test_stored");
}
