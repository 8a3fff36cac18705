/*
 * hugemap.c - maps more than is asked for and gives the unaligned ends back.
 */
#include "util/hugemap.h"

#include <stdint.h>
#include <sys/mman.h>

#define HUGE ((size_t)2 << 20)
#define PAGE ((size_t)4096)

void *huge_map(size_t n, int prot, bool low)
{
	int flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE | (low ? MAP_32BIT : 0);
	size_t head, whole;
	uint8_t *p;

	n = (n + PAGE - 1) & ~(PAGE - 1);
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
		munmap(p, (n + PAGE - 1) & ~(PAGE - 1));
}
