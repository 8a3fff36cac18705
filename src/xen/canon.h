/*
 * canon.h - the guest's memory in its own numbering (pfns), as saved images and dumps hold
 * it: page by page in the order of pfns, and with pfns in the entries of page tables.
 */
#ifndef TTD_XEN_CANON_H
#define TTD_XEN_CANON_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/err.h"

struct domain;
struct canon;

/* As the domain, which must stand still, is now.  NULL: *e. */
struct canon *canon_create(struct domain *d, struct ttd_error *e);
void canon_free(struct canon *c);

uint64_t canon_pages(const struct canon *c); /* pfns are below; some may have no page */
mfn_t canon_mfn(const struct canon *c, uint64_t pfn); /* MFN_NONE: it has none */
uint64_t canon_pfn(const struct canon *c, mfn_t mfn); /* UINT64_MAX: it has none */
/* 1 to 4 for a page table of that level, else 0. */
unsigned canon_level(const struct canon *c, uint64_t pfn);
/*
 * The page; of a page table's present entries those that lead to a page of the guest's have
 * its pfn, all others are zero.  false: there is none, and the page is zero.
 */
bool canon_page(const struct canon *c, uint64_t pfn, uint8_t page[PAGE_SIZE]);

#endif
