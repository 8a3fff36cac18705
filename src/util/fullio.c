/*
 * fullio.c - goes on after signals and short reads and writes.
 */
#include "util/fullio.h"

#include <errno.h>
#include <unistd.h>

/* What was not transferred yet. */
struct rest {
	uint8_t *p;
	size_t n;
	uint64_t at;
};

/* After a call that transferred k bytes.  0, or an errno value. */
static int moved(struct rest *r, ssize_t k)
{
	if (k < 0 && errno == EINTR)
		return 0;
	if (k <= 0)
		return k < 0 ? errno : EIO;
	r->p += k;
	r->n -= (size_t)k;
	r->at += (uint64_t)k;
	return 0;
}

int pwrite_full(int fd, const void *p, size_t n, uint64_t at)
{
	struct rest r = {(uint8_t *)(uintptr_t)p, n, at};
	int rc = 0;

	while (rc == 0 && r.n > 0)
		rc = moved(&r, pwrite(fd, r.p, r.n, (off_t)r.at));
	return rc;
}

int write_full(int fd, const void *p, size_t n)
{
	struct rest r = {(uint8_t *)(uintptr_t)p, n, 0};
	int rc = 0;

	while (rc == 0 && r.n > 0)
		rc = moved(&r, write(fd, r.p, r.n));
	return rc;
}

int pread_full(int fd, void *p, size_t n, uint64_t at)
{
	struct rest r = {p, n, at};
	int rc = 0;

	while (rc == 0 && r.n > 0)
		rc = moved(&r, pread(fd, r.p, r.n, (off_t)r.at));
	return rc;
}

int read_full(int fd, void *p, size_t n)
{
	struct rest r = {p, n, 0};
	int rc = 0;

	while (rc == 0 && r.n > 0)
		rc = moved(&r, read(fd, r.p, r.n));
	return rc;
}
