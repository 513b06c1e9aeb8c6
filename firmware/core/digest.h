/* SHA-256 of a stored certificate, for people to compare. */
#ifndef HILRIG_DIGEST_H
#define HILRIG_DIGEST_H

#include "store.h"

#define DIGEST_TEXT_SIZE 65

/* The digest of a range of a part, in hex. False if the flash cannot be read. */
bool digest_text(const struct store *store, enum store_part part, size_t at, size_t length,
		 char text[DIGEST_TEXT_SIZE]);

#endif
