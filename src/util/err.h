/*
 * err.h - one-line errors that travel upwards, and the exit statuses.
 *
 * A function that can fail for a reason the user should read takes a
 * `struct err *` last, fills it with err_set() and returns -1.  The text is
 * one line without a newline, names the file, offset, key or option it is
 * about, and says what to do.  Only src/cmd prints it.
 */
#ifndef TTD_UTIL_ERR_H
#define TTD_UTIL_ERR_H

enum status {
	ST_OK = 0,       /* guest powered off, or replay verified */
	ST_HOST = 1,     /* host error: file, memory, unsupported CPU */
	ST_USAGE = 2,    /* bad option or configuration */
	ST_CRASHED = 3,  /* the guest crashed */
	ST_DIVERGED = 4, /* replay diverged */
	ST_DAMAGED = 5,  /* log damaged */
};

struct err {
	enum status status;
	char text[480];
};

/* Fills *e (when e is not NULL) and returns -1, so callers can return it. */
int err_set(struct err *e, enum status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

#endif
