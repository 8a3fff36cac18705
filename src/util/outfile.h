/*
 * outfile.h - a file that is made whole or not at all, as a name in a confined process may
 * be (util/names.h): it is written beside and renamed.  Where that cannot be (a device, a
 * pipe) it is written straight.
 */
#ifndef TTD_UTIL_OUTFILE_H
#define TTD_UTIL_OUTFILE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ttd/error.h>

struct outfile {
	const char *path; /* the caller's */
	char tmp[TTD_PATH_MAX];
	int fd;
	bool whole;
	bool hole;        /* it ends with pages that were not written */
	uint64_t at;
	int error;        /* the first errno value; nothing is written after it */
};

int outfile_open(struct outfile *f, const char *path, struct ttd_error *e);
/* Appends.  A page of zeros becomes a hole where the file can have one. */
void outfile_put(struct outfile *f, const void *p, size_t n);
/* Exactly once after an outfile_open() that succeeded; good: else it is given up.  -1: *e. */
int outfile_close(struct outfile *f, bool good, struct ttd_error *e);

#endif
