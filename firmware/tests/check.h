/* Counted checks: a failed one prints its place and text, and the test continues. */
#ifndef CHECK_H
#define CHECK_H

#include <stdio.h>
#include <string.h>

extern int checks_passed, checks_failed;

#define CHECK(condition, ...)                                                                      \
	do {                                                                                       \
		if (condition) {                                                                   \
			checks_passed++;                                                           \
		} else {                                                                           \
			checks_failed++;                                                           \
			fprintf(stderr, "%s:%d: failed: %s: ", __FILE__, __LINE__, #condition);    \
			fprintf(stderr, __VA_ARGS__);                                              \
			fprintf(stderr, "\n");                                                     \
		}                                                                                  \
	} while (0)

/* Prints the tally; a test's main() returns this. A test that checked nothing
 * has failed. */
int checks_end(const char *name);

#endif
