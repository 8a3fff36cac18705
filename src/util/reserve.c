/*
 * reserve.c - see reserve.h.
 */
#define _GNU_SOURCE
#include "util/reserve.h"

#include <sys/mman.h>
#include <sys/random.h>

uint64_t reserve_random(void)
{
	uint64_t v = 0;

	return getrandom(&v, sizeof v, 0) == (ssize_t)sizeof v ? v : 0;
}

bool reserve(uint64_t at, size_t n)
{
	void *p = mmap((void *)(uintptr_t)at, n, PROT_NONE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED_NOREPLACE, -1, 0);

	if (p != (void *)(uintptr_t)at && p != MAP_FAILED)
		munmap(p, n); /* a kernel that does not know MAP_FIXED_NOREPLACE */
	return p == (void *)(uintptr_t)at;
}
