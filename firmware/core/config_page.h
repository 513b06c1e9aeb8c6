/* The configuration page: one form with every field, sent as it is made. */
#ifndef HILRIG_CONFIG_PAGE_H
#define HILRIG_CONFIG_PAGE_H

#include "out.h"

/* `note` stands over the form, e.g. that the settings were stored; NULL for
 * none. Renders the same bytes each time as long as the settings stand. */
void config_page_render(struct out *out, const char *note);

#endif
