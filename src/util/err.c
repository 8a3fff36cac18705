/*
 * err.c - fills a struct err.  The text may quote file names and guest bytes,
 * so control characters in it are replaced: it stays one line, and a hostile
 * name cannot drive the user's terminal.
 */
#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>

int err_set(struct err *e, enum status status, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	e->status = status;
	va_start(ap, fmt);
	if (vsnprintf(e->text, sizeof e->text, fmt, ap) < 0)
		snprintf(e->text, sizeof e->text, "%s", fmt);
	va_end(ap);
	for (char *p = e->text; *p != '\0'; p++)
		if ((unsigned char)*p < ' ' || *p == 0x7f)
			*p = '?';
	return -1;
}
