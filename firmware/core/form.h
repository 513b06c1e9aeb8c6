/* The submitted configuration form: checked field by field, stored as a whole
 * or not at all. */
#ifndef HILRIG_FORM_H
#define HILRIG_FORM_H

#include "core.h"
#include "fields.h"
#include "query.h"

struct form {
	struct settings settings; /* with the submitted values */
	uint32_t boxes_seen[2];   /* a bit for each entry of `fields` */
	bool save;                /* the form's SAVE button was pressed */
	char refused[QUERY_KEY_MAX + 1];
	const char *why; /* not NULL: refused */
};

void form_start(struct form *form, const struct settings *settings);

/* A query_taker; the context is the form. */
void form_take(void *form, const struct query_pair *pair);

/* Checks the whole form. NULL, or the reason for the refusal; `refused` names the field. */
const char *form_end(struct form *form, const uint8_t mac[6]);

#endif
