/* The boot log: lines of text over the serial line, each ended by CR LF. */
#ifndef HILRIG_LOG_H
#define HILRIG_LOG_H

#include <stdarg.h>

#include "port.h"

struct log {
	const struct port *port;
	const char *open; /* the start of a line whose end is not known yet, or NULL */
	bool broken;      /* another line was written since */
};

/* Longer lines are cut. */
#define LOG_LINE_MAX 200

void log_start(struct log *log, const struct port *port);

/* Writes a whole line. */
void log_line(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

/* Writes a longer line in pieces: the first, any number more, the end. */
void log_first(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_more(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));
void log_end(struct log *log);

/* Writes the start of a line. `start` is kept, so it must be constant. */
void log_open(struct log *log, const char *start);

/* Writes the end of the line that log_open() began. If other lines were written
 * since, it writes the start again: start and end are always on one line. */
void log_close(struct log *log, const char *format, ...) __attribute__((format(printf, 2, 3)));

#endif
