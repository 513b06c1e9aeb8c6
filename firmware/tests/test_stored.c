/* contract.toml tells a rig what stands in the settings flash: it is held
 * against the table and the struct that the firmware is made of. */
#include <stdlib.h>

#include "check.h"
#include "fields.h"
#include "store.h"

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
	default:
		return "text";
	}
}

int main(void)
{
	const char *text = contract();
	const char *at = strstr(text, "\n[stored.fields]\n");
	struct settings defaults;
	char line[256];
	char value[FIELD_TEXT_SIZE];
	unsigned told = 0;

	settings_defaults(&defaults);
	snprintf(line, sizeof line, "\nlength = %zu ", sizeof(struct settings));
	CHECK(strstr(text, line) != NULL, "the contract lacks:%s", line);
	CHECK(at != NULL, "the contract lacks [stored.fields]");
	for (unsigned i = 0; at != NULL && i < FIELDS; i++) {
		field_text(&fields[i], &defaults, value);
		snprintf(line, sizeof line, "\n%s = { at = %u, size = %u, kind = \"%s\"%s%s%s }\n",
			 fields[i].name, fields[i].offset, fields[i].size, kind(&fields[i]),
			 value[0] == 0 || strcmp(value, "0") == 0 ? "" : ", default = \"",
			 value[0] == 0 || strcmp(value, "0") == 0 ? "" : value,
			 value[0] == 0 || strcmp(value, "0") == 0 ? "" : "\"");
		CHECK(strstr(at, line) != NULL, "the contract lacks:%s", line);
	}
	for (at = at == NULL ? text : at + 1; *at != 0 && strncmp(at, "\n[", 2) != 0; at++)
		told += strncmp(at, "= { at = ", 9) == 0;
	CHECK(told == FIELDS, "the contract has %u fields, the firmware %u", told, FIELDS);
	return checks_end("test_stored");
}
