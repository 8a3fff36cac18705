/*
 * diag.h - what a program says to its user on standard error: one-line
 * messages, in colour only on a terminal that wants it, and one progress
 * line that is redrawn in place.  Standard output is never touched.
 */
#ifndef TTD_UTIL_DIAG_H
#define TTD_UTIL_DIAG_H

#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>

#include "util/err.h"

enum diag_level { DIAG_ERROR, DIAG_WARNING, DIAG_NOTE };

/* A stream with the choice of colour made once: a terminal, TERM not "dumb", no NO_COLOR. */
struct diag {
	FILE *to;
	const char *program;
	bool colour;
	bool terminal;
	bool raw;  /* the terminal does not turn \n into \r\n: we do */
	bool line; /* a progress line is showing and must be cleared first */
};

void diag_init(struct diag *d, FILE *to, const char *program);
void diag_print(struct diag *d, enum diag_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* Prints e and returns its status, so that main() may return it. */
int diag_err(struct diag *d, const struct ttd_error *e);

/*
 * Redraws "what: 42% (12 of 30 UNIT)"; nothing happens when the stream is not
 * a terminal.  total 0: the amount is unknown, only `done` is shown.
 */
void diag_progress(struct diag *d, const char *what, uint64_t done, uint64_t total,
	const char *unit);
void diag_progress_end(struct diag *d);

#endif
