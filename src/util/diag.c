/*
 * diag.c - messages and the progress line.  A message is put together first
 * and written by one call, so that lines of several processes do not mix.
 */
#include "util/diag.h"

#include <inttypes.h>
#include <stdarg.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/text.h"

#define CLEAR_LINE "\r\033[K"

static const struct {
	const char *word, *colour;
} levels[] = {
	[DIAG_ERROR] = {"", "\033[1;31m"},
	[DIAG_WARNING] = {"warning: ", "\033[1;33m"},
	[DIAG_NOTE] = {"", "\033[1m"},
};

void diag_init(struct diag *d, FILE *to, const char *program)
{
	const char *term = getenv("TERM"), *no = getenv("NO_COLOR");

	*d = (struct diag){.to = to, .program = program};
	d->terminal = isatty(fileno(to)) == 1 && term != NULL && strcmp(term, "dumb") != 0;
	d->colour = d->terminal && (no == NULL || *no == '\0');
}

void diag_print(struct diag *d, enum diag_level level, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	if (vsnprintf(text, sizeof text, fmt, ap) < 0)
		text[0] = '\0';
	va_end(ap);
	text_clean(text);
	diag_progress_end(d);
	fprintf(d->to, "%s%s:%s %s%s%s", d->colour ? levels[level].colour : "", d->program,
		d->colour ? "\033[0m" : "", levels[level].word, text, d->raw ? "\r\n" : "\n");
	fflush(d->to);
}

int diag_err(struct diag *d, const struct ttd_error *e)
{
	struct ttd_error full = *e;

	err_complete(&full);
	diag_print(d, DIAG_ERROR, "%s", full.text);
	return (int)full.status;
}

/* One less than the terminal has: a line that reached its end could not be cleared. */
static int width(const struct diag *d)
{
	struct winsize w;

	return ioctl(fileno(d->to), TIOCGWINSZ, &w) == 0 && w.ws_col > 1 ? w.ws_col - 1 : 79;
}

void diag_progress(struct diag *d, const char *what, uint64_t done, uint64_t total,
	const char *unit)
{
	double part = done >= total ? 1.0 : (double)done / (double)total;
	char text[256];

	if (!d->terminal)
		return;
	d->line = true;
	if (total == 0)
		snprintf(text, sizeof text, "%s: %" PRIu64 " %s", what, done, unit);
	else
		snprintf(text, sizeof text, "%s: %d%% (%" PRIu64 " of %" PRIu64 " %s)", what,
			(int)(part * 100), done, total, unit);
	text_clean(text);
	fprintf(d->to, CLEAR_LINE "%.*s", width(d), text);
	fflush(d->to);
}

void diag_progress_end(struct diag *d)
{
	if (!d->line)
		return;
	d->line = false;
	fputs(CLEAR_LINE, d->to);
	fflush(d->to);
}
