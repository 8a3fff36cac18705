/*
 * check.h - what the guest's test programs share.
 *
 * A program checks itself, prints one "ok" line for each thing that held, and
 * digests of what it computed.  Its output has no times, addresses or process
 * ids in it: a run in the guest must print exactly what a run on the host
 * does.  The exit status is 0 when all held.
 */
#ifndef TTD_TEST_GUEST_CHECK_H
#define TTD_TEST_GUEST_CHECK_H

#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int check_failed;

/* Declared printf-like so that details of a failure can be given. */
__attribute__((format(printf, 2, 3), unused))
static void check(int ok, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	fputs(ok ? "ok " : "FAILED ", stdout);
	vprintf(fmt, ap);
	putchar('\n');
	va_end(ap);
	fflush(stdout);
	if (!ok)
		check_failed = 1;
}

/* FNV-1a, enough to tell two results apart. */
__attribute__((unused))
static uint64_t digest_add(uint64_t h, const void *data, size_t n)
{
	const unsigned char *p = data;

	while (n-- > 0)
		h = (h ^ *p++) * UINT64_C(0x100000001b3);
	return h;
}
#define DIGEST_START UINT64_C(0xcbf29ce484222325)

/* A generator of its own: the same numbers everywhere. */
__attribute__((unused))
static uint64_t random_next(uint64_t *state)
{
	uint64_t z = *state += UINT64_C(0x9e3779b97f4a7c15);

	z = (z ^ z >> 30) * UINT64_C(0xbf58476d1ce4e5b9);
	z = (z ^ z >> 27) * UINT64_C(0x94d049bb133111eb);
	return z ^ z >> 31;
}

#endif
