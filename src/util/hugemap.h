/*
 * hugemap.h - anonymous memory that is used all over: the guest's RAM, the
 * translator's code and tables.  Aligned to 2 MiB and advised to be backed by
 * huge pages where the host has them, since the host's TLB would otherwise
 * miss on most accesses to it.
 */
#ifndef TTD_UTIL_HUGEMAP_H
#define TTD_UTIL_HUGEMAP_H

#include <stdbool.h>
#include <stddef.h>

/* Zeroed; prot as for mmap(); low: in the region (region.h).  NULL: there is none. */
void *huge_map(size_t n, int prot, bool low);
void huge_unmap(void *p, size_t n); /* p may be NULL */
/*
 * Do processes that are forked from now on have it?  At first they do; but a huge page that two
 * processes have falls apart, for good, when one of them writes to it.
 */
void huge_fork(void *p, size_t n, bool too);

#endif
