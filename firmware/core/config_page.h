/* The configuration page: one form with every field, sent while it is rendered. */
#ifndef HILRIG_CONFIG_PAGE_H
#define HILRIG_CONFIG_PAGE_H

#include "out.h"

/* `note` is shown above the form, e.g. that the settings were stored; NULL for
 * none. Renders the same bytes each time until the settings change. */
void config_page_render(struct out *out, const char *note);

#endif
