/*
 * hugemap.c - maps more than is asked for and gives the unaligned ends back.
 */
#include "util/hugemap.h"

#include <stdint.h>
#include <sys/mman.h>

#include "util/region.h"

#define HUGE ((size_t)2 << 20)
#define PAGE ((size_t)4096)

static size_t whole_pages(size_t n)
{
	return (n + PAGE - 1) & ~(PAGE - 1);
}

/* In the region. */
static void *map_low(size_t n, int prot, int flags)
{
	void *p = region_reserve(n);

	if (p == NULL || mmap(p, n, prot, flags | MAP_FIXED, -1, 0) == MAP_FAILED)
		return NULL;
	madvise(p, n, MADV_HUGEPAGE);
	return p;
}

void *huge_map(size_t n, int prot, bool low)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE;
	size_t head, whole;
	uint8_t *p;

	n = whole_pages(n);
	if (low)
		return map_low(n, prot, flags);
	whole = n + HUGE;
	if (whole < n)
		return NULL;
	p = mmap(NULL, whole, prot, flags, -1, 0);
	if (p == MAP_FAILED)
		return NULL;
	head = -(uintptr_t)p & (HUGE - 1);
	if (head != 0)
		munmap(p, head);
	munmap(p + head + n, HUGE - head);
	madvise(p + head, n, MADV_HUGEPAGE);
	return p + head;
}

void huge_unmap(void *p, size_t n)
{
	if (p != NULL)
		munmap(p, whole_pages(n));
}

void huge_fork(void *p, size_t n, bool too)
{
	madvise(p, whole_pages(n), too ? MADV_DOFORK : MADV_DONTFORK);
}
