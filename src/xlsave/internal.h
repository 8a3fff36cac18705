/*
 * internal.h - what the files of src/xlsave share.
 */
#ifndef TTD_XLSAVE_INTERNAL_H
#define TTD_XLSAVE_INTERNAL_H

#include "xlsave/xlsave.h"

/* Reads n bytes at an offset; -1: *e, also when the file ends before. */
int xlsave_read(const struct xlsave *s, uint64_t at, void *p, size_t n, struct ttd_error *e);
/* Says what is wrong with the record that is being read.  -1. */
int xlsave_bad(const struct xlsave *s, struct ttd_error *e, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/*
 * records.c: libxc's records from `at` on, to END; or with head, to the first page, 1.
 * *at is then where they end.
 */
int xlsave_records(struct xlsave *s, uint64_t *at, bool head, struct ttd_error *e);

#endif
