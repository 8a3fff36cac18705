/*
 * xlsave.h - a guest as `xl save` of a real Xen host wrote it: the file of doc/spec/xlsave.md,
 * checked from one end to the other, and an index of what is in it.
 *
 * Only 64-bit PV guests with one vCPU; everything else is refused by name.  The file is
 * whatever somebody gave us: no length, count or offset in it is believed, what is allocated
 * is bounded by what this program can run, and each refusal names the record, its offset and
 * the reason.  Memory stays in the file: pages are read one by one, by xlsave_page().
 */
#ifndef TTD_XLSAVE_XLSAVE_H
#define TTD_XLSAVE_XLSAVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

enum {
	XLSAVE_PAGE = 4096,
	XLSAVE_LEAVES = 256, XLSAVE_MSRS = 64,
	XLSAVE_CONTEXT = 5168, /* struct vcpu_guest_context */
	XLSAVE_EXT = 64,       /* struct xen_domctl_ext_vcpucontext */
	XLSAVE_XSAVE = 832,    /* an area in standard form, as far as ymm */
	XLSAVE_P2M_PER_PAGE = XLSAVE_PAGE / 8,
};
#define XLSAVE_PAGES_MAX (UINT64_C(1) << 24) /* of 64 GB */

/* What a page is, a nibble: 1 to 4 are page tables of that level. */
enum {
	XLSAVE_NORMAL = 0, XLSAVE_PINNED = 8 /* added to a level */,
	XLSAVE_BROKEN = 0xd, XLSAVE_ALLOC = 0xe /* has no bytes: zeros */, XLSAVE_NONE = 0xf,
};

struct xlsave_leaf {
	uint32_t leaf, subleaf; /* ~0: has none */
	uint32_t r[4];          /* eax ebx ecx edx */
};

struct xlsave_msr {
	uint32_t index;
	uint64_t value;
};

struct xlsave {
	char *path;
	int fd;
	uint64_t size;
	uint32_t version;           /* of libxc's stream: 2 or 3 */
	uint32_t xen_major, xen_minor;
	char *config;               /* the domain's configuration, JSON; NULL: none */
	size_t config_len;
	uint64_t pages;             /* pfns are below */
	uint64_t *page;             /* by pfn: type << 60 | offset of its bytes */
	uint64_t *p2m;              /* the pfns of the guest's list of frames: */
	uint32_t np2m;
	struct xlsave_leaf leaf[XLSAVE_LEAVES];
	unsigned nleaf;             /* 0: no policy */
	struct xlsave_msr msr[XLSAVE_MSRS];
	unsigned nmsr;
	uint32_t tsc_khz;           /* 0: not said */
	uint64_t tsc_nsec;
	uint8_t shared_info[XLSAVE_PAGE];
	uint8_t context[XLSAVE_CONTEXT];
	bool has_shared_info, has_context, has_ext, has_xsave;
	uint8_t ext[XLSAVE_EXT];
	uint64_t xcr0;
	uint8_t xsave[XLSAVE_XSAVE];
	size_t xsave_len;           /* 0: none */
	const char *record;         /* being read: its name and where it begins, for messages */
	uint64_t record_at;
};

/*
 * Opens and reads all of it but the pages.  head: only as far as the first page, for what
 * `pages`, `config` and policies say.  -1: *e.  xlsave_close() in any case.
 */
int xlsave_open(struct xlsave *s, const char *path, bool head, struct ttd_error *e);
void xlsave_close(struct xlsave *s);

static inline unsigned xlsave_type(const struct xlsave *s, uint64_t pfn)
{
	return pfn < s->pages ? (unsigned)(s->page[pfn] >> 60) : XLSAVE_NONE;
}
/* The guest has the page. */
static inline bool xlsave_has(const struct xlsave *s, uint64_t pfn)
{
	unsigned type = xlsave_type(s, pfn);

	return type != XLSAVE_BROKEN && type != XLSAVE_NONE;
}
/* 1 to 4 for a page table, else 0. */
static inline unsigned xlsave_level(const struct xlsave *s, uint64_t pfn)
{
	unsigned type = xlsave_type(s, pfn);

	return type >= 1 && type <= 12 && (type & 7) <= 4 ? type & 7 : 0;
}
/* Its bytes.  -1: *e. */
int xlsave_page(const struct xlsave *s, uint64_t pfn, uint8_t page[XLSAVE_PAGE],
	struct ttd_error *e);

#endif
