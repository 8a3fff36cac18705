/*
 * fullio.c - goes on after signals and short writes.
 */
#include "util/fullio.h"

#include <errno.h>
#include <unistd.h>

int pwrite_full(int fd, const void *p, size_t n, uint64_t at)
{
	const uint8_t *b = p;

	while (n > 0) {
		ssize_t k = pwrite(fd, b, n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0)
			return k < 0 ? errno : EIO;
		b += k;
		at += (uint64_t)k;
		n -= (size_t)k;
	}
	return 0;
}
