#include "log.h"

#include <stdio.h>
#include <string.h>

void log_start(struct log *log, const struct port *port)
{
	log->port = port;
	log->open = NULL;
	log->broken = false;
}

static void write_end(struct log *log)
{
	log->port->serial_write(log->port->self, "\r\n", 2);
}

/* Settings and brokers supply some of the text: bytes that could control a
 * terminal or fake a line of their own are replaced. */
static void write_clean(struct log *log, const char *format, va_list arguments)
{
	char line[LOG_LINE_MAX];
	int length = vsnprintf(line, sizeof line, format, arguments);

	if (length < 0)
		return;
	if ((size_t)length >= sizeof line)
		length = sizeof line - 1;
	for (int i = 0; i < length; i++)
		if ((unsigned char)line[i] < 0x20 || line[i] == 0x7f)
			line[i] = '?';
	log->port->serial_write(log->port->self, line, (size_t)length);
}

static void break_open(struct log *log)
{
	if (log->open != NULL && !log->broken) {
		write_end(log);
		log->broken = true;
	}
}

void log_line(struct log *log, const char *format, ...)
{
	va_list arguments;

	break_open(log);
	va_start(arguments, format);
	write_clean(log, format, arguments);
	va_end(arguments);
	write_end(log);
}

void log_first(struct log *log, const char *format, ...)
{
	va_list arguments;

	break_open(log);
	va_start(arguments, format);
	write_clean(log, format, arguments);
	va_end(arguments);
}

void log_more(struct log *log, const char *format, ...)
{
	va_list arguments;

	va_start(arguments, format);
	write_clean(log, format, arguments);
	va_end(arguments);
}

void log_end(struct log *log)
{
	write_end(log);
}

void log_open(struct log *log, const char *start)
{
	log->open = start;
	log->broken = false;
	log->port->serial_write(log->port->self, start, strlen(start));
}

void log_close(struct log *log, const char *format, ...)
{
	va_list arguments;

	if (log->open != NULL && log->broken)
		log->port->serial_write(log->port->self, log->open, strlen(log->open));
	log->open = NULL;
	va_start(arguments, format);
	write_clean(log, format, arguments);
	va_end(arguments);
	write_end(log);
}
