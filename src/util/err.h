/*
 * err.h - one-line errors that travel upwards.
 *
 * A function that can fail for a reason the user should read takes a
 * `struct ttd_error *` last, fills it with err_set() and returns -1.  The text is
 * one line without a newline, names the file, offset, key or option it is
 * about, and says what to do.  Only src/cmd prints it.
 *
 * Every one begins as TTD_ERROR_INIT: who returns -1 and forgot to say why still makes an
 * error of it.  tools/check-layers looks that they do, except for those named `none`, which
 * nobody reads, and those that err_begin() fills.
 */
#ifndef TTD_UTIL_ERR_H
#define TTD_UTIL_ERR_H

#include <ttd/error.h>

/* Fills *e (when e is not NULL) and returns -1, so callers can return it. */
int err_set(struct ttd_error *e, enum ttd_status status, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* For a public function: the caller's error, or *own when there is none; as it begins. */
struct ttd_error *err_begin(struct ttd_error *err, struct ttd_error *own);

/* Makes an error of one that is not filled, as those inside of zeroed structures. */
void err_complete(struct ttd_error *e);

#endif
