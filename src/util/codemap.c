/*
 * codemap.c - one piece of shared anonymous memory, mapped twice.
 *
 * Not a memfd: its size would count as a file's (ulimit -f), and some systems refuse
 * to make any whose content can be executed.
 *
 * Shared memory has huge pages only where the administrator says so, and as installed
 * most systems say no (shmem_enabled).  But pages may be put together into one in any case,
 * and cheapest while there is but one of them: a twentieth of what it costs when all have been
 * written.  Where a kernel cannot do that (before Linux 6.1), code is in small pages.
 */
#define _GNU_SOURCE
#include "util/codemap.h"

#include <sys/mman.h>

#include "util/region.h"
#include "util/reserve.h"

#ifndef MADV_COLLAPSE
#define MADV_COLLAPSE 25 /* Linux 6.1 */
#endif
#define HUGE ((uint64_t)2 << 20)
enum { TRIES = 16, FAR = 0x800 /* times 4 GiB */ };

/* The distance of a place above the region, but not far from it; 0: there is none. */
static ptrdiff_t reserve_far(const uint8_t *exec, size_t n)
{
	for (uint64_t i = 0; i < 4 * TRIES; i++) {
		/* (Where most of them are forbidden, the thread sanitizer's, the nearest are not.) */
		uint64_t k = i < TRIES ? 1 + reserve_random() % FAR : i - TRIES + 1;

		if (reserve((uint64_t)(uintptr_t)exec + (k << 32), n))
			return (ptrdiff_t)(k << 32);
	}
	return 0;
}

int code_map_anew(uint8_t *exec, size_t n, ptrdiff_t write)
{
	uint8_t *p = mmap(exec + write, n, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS | MAP_NORESERVE | MAP_FIXED, -1, 0);

	if (p == MAP_FAILED)
		return -1;
	/* Of a size of 0 nothing is moved: it is a second name for the same pages. */
	if (mremap(p, 0, n, MREMAP_MAYMOVE | MREMAP_FIXED, exec) == MAP_FAILED ||
	    mprotect(exec, n, PROT_READ | PROT_EXEC) != 0)
		return -1;
	madvise(p, n, MADV_HUGEPAGE);
	madvise(exec, n, MADV_HUGEPAGE);
	return 0;
}

uint8_t *code_map(size_t n, ptrdiff_t *write)
{
	uint8_t *exec = region_reserve(n);

	if (exec == NULL)
		return NULL;
	*write = reserve_far(exec, n);
	if (*write != 0 && code_map_anew(exec, n, *write) == 0)
		return exec;
	if (*write != 0)
		munmap(exec + *write, n);
	munmap(exec, n);
	return NULL;
}

void code_unmap(uint8_t *exec, size_t n, ptrdiff_t write)
{
	if (exec == NULL)
		return;
	munmap(exec + write, n);
	munmap(exec, n);
}

void code_huge(uint8_t *p, size_t n)
{
	for (uint8_t *end = p + n; p < end; p += HUGE) {
		/* Where there is nothing yet nothing is put together. */
		*(volatile uint8_t *)p = *(volatile uint8_t *)p;
		madvise(p, HUGE, MADV_COLLAPSE);
	}
}
