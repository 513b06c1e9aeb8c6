#include "digest.h"

#include <stdio.h>

#include <bearssl.h>

bool digest_text(const struct store *store, enum store_part part, size_t at, size_t length,
		 char text[DIGEST_TEXT_SIZE])
{
	size_t end = at + length;
	br_sha256_context hash;
	uint8_t chunk[64];

	br_sha256_init(&hash);
	for (; at < end; at += sizeof chunk) {
		size_t some = end - at < sizeof chunk ? end - at : sizeof chunk;

		if (!store_read(store, part, at, chunk, some))
			return false;
		br_sha256_update(&hash, chunk, some);
	}
	br_sha256_out(&hash, chunk);
	for (int i = 0; i < 32; i++)
		snprintf(text + i * 2, 3, "%02x", chunk[i]);
	return true;
}
