/*
 * err.c - fills an error.  The text may quote file names and guest bytes,
 * so what is not printable in it is replaced: it stays one line, and a hostile
 * name cannot drive the user's terminal.
 */
#include "util/err.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "util/text.h"

static const struct ttd_error unnamed = TTD_ERROR_INIT;

int err_set(struct ttd_error *e, enum ttd_status status, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL)
		return -1;
	e->status = status;
	va_start(ap, fmt);
	if (vsnprintf(e->text, sizeof e->text, fmt, ap) < 0)
		snprintf(e->text, sizeof e->text, "%s", fmt);
	va_end(ap);
	text_clean(e->text);
	return -1;
}

struct ttd_error *err_begin(struct ttd_error *err, struct ttd_error *own)
{
	if (err == NULL)
		err = own;
	*err = unnamed;
	return err;
}

void err_complete(struct ttd_error *e)
{
	if (e->text[0] == '\0')
		strcpy(e->text, unnamed.text);
	if (e->status == TTD_OK)
		e->status = unnamed.status;
}
