#include "form.h"

#include <stdio.h>
#include <string.h>

_Static_assert(FIELDS <= 64, "boxes_seen has a bit for each field");

void form_start(struct form *form, const struct settings *settings)
{
	memset(form, 0, sizeof *form);
	form->settings = *settings;
}

static void refuse(struct form *form, const char *name, const char *why)
{
	if (form->why != NULL)
		return;
	/* The name may be anything that a peer sent, and it is echoed. */
	for (size_t i = 0; i < QUERY_KEY_MAX && name[i] != 0; i++) {
		char c = name[i];
		bool plain = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
			     (c >= '0' && c <= '9') || c == '_';

		form->refused[i] = plain ? c : '?';
	}
	form->why = why;
}

void form_take(void *context, const struct query_pair *pair)
{
	struct form *form = context;
	const struct field *field;
	const char *why;
	size_t index;

	if (form->why != NULL)
		return;
	if (!pair->key_cut && strcmp(pair->key, "save") == 0) {
		form->save = true;
		return;
	}
	field = pair->key_cut ? NULL : field_find(pair->key);
	if (field == NULL)
		why = "no such field";
	else if (pair->malformed)
		why = "badly encoded";
	else if (pair->value_cut)
		why = "too long";
	else
		why = field_set(field, &form->settings, pair->value);
	if (why != NULL) {
		refuse(form, pair->key, why);
		return;
	}
	index = (size_t)(field - fields);
	form->boxes_seen[index / 32] |= 1u << (index % 32);
}

const char *form_end(struct form *form, const uint8_t mac[6])
{
	const char *name;
	const char *why;

	/* A browser leaves out a box that is not ticked. A query without the
	 * button is not the whole form, so there a missing box has no meaning. */
	for (size_t i = 0; i < FIELDS && form->save; i++)
		if (fields[i].kind == FIELD_BOX && !(form->boxes_seen[i / 32] & 1u << (i % 32)))
			field_set(&fields[i], &form->settings, "off");
	why = fields_check(&form->settings, mac, &name);
	if (why != NULL)
		refuse(form, name, why);
	return form->why;
}
