/*
 * records.c - libxc's records of a PV guest, one function each, in a table.
 *
 * A page may come more than once, as live migration sends what changed again: the last one
 * counts.  So the index is filled as records come, and looked at when all have come.
 */
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"
#include "util/checked.h"
#include "xlsave/internal.h"

enum {
	REC_END = 0, REC_PAGE_DATA = 1, REC_P2M_FRAMES = 3, REC_STATIC_DATA_END = 0x10,
	RECORD_MAX = 128 << 20,
	ENTRIES = 512, /* of PAGE_DATA read at a time */
	VCPU = 8,      /* bytes before a vCPU's data */
};
#define OPTIONAL UINT32_C(0x80000000)
#define PFN_MASK ((UINT64_C(1) << 52) - 1)

typedef int record_fn(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e);

static int length(const struct xlsave *s, uint32_t len, uint32_t want, struct ttd_error *e)
{
	return len == want ? 0 : xlsave_bad(s, e, "it has %u bytes, not %u", len, want);
}

static int pv_info(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	uint8_t b[8];

	if (length(s, len, sizeof b, e) != 0 || xlsave_read(s, at, b, sizeof b, e) != 0)
		return -1;
	if (b[0] != 8 || b[1] != 4)
		return xlsave_bad(s, e, "a guest of %u bits with %u levels of page tables; only 64-bit "
			"guests run here", b[0] * 8u, b[1]);
	return 0;
}

static int p2m_frames(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	uint8_t b[8];
	uint64_t pages;
	size_t n;

	if (s->page != NULL)
		return xlsave_bad(s, e, "it comes twice");
	if (len < sizeof b)
		return xlsave_bad(s, e, "it has %u bytes", len);
	if (xlsave_read(s, at, b, sizeof b, e) != 0)
		return -1;
	pages = (uint64_t)get32(b + 4) + 1;
	if (get32(b) != 0 || pages < 3 || pages > XLSAVE_PAGES_MAX)
		return xlsave_bad(s, e, "pages %#x to %#x; a guest here has at most 64 GB", get32(b),
			get32(b + 4));
	n = (size_t)((pages - 1) / XLSAVE_P2M_PER_PAGE) + 1;
	if (length(s, len, (uint32_t)(sizeof b + 8 * n), e) != 0)
		return -1;
	s->p2m = calloc(n, sizeof *s->p2m);
	s->page = malloc(pages * sizeof *s->page);
	if (s->p2m == NULL || s->page == NULL)
		return err_set(e, TTD_HOST, "out of memory for the image's pages");
	memset(s->page, 0xff, pages * sizeof *s->page); /* XLSAVE_NONE */
	s->pages = pages;
	s->np2m = (uint32_t)n;
	return xlsave_read(s, at + sizeof b, s->p2m, 8 * n, e);
}

/* Entries [0, n) at p; *data: where the next page's bytes are. */
static int take_entries(struct xlsave *s, const uint8_t *p, unsigned n, uint64_t *data,
	uint64_t end, struct ttd_error *e)
{
	for (unsigned i = 0; i < n; i++) {
		uint64_t entry = get64(p + 8 * i), pfn = entry & PFN_MASK;
		unsigned type = (unsigned)(entry >> 60);

		if (pfn >= s->pages)
			return xlsave_bad(s, e, "page %#llx lies beyond the guest's %#llx",
				(unsigned long long)pfn, (unsigned long long)s->pages);
		if ((entry >> 52 & 0xff) != 0 || (type > 4 && type < 9))
			return xlsave_bad(s, e, "page %#llx has the unknown type %#x",
				(unsigned long long)pfn, (unsigned)(entry >> 52));
		s->page[pfn] = (uint64_t)type << 60 | *data;
		if (type >= XLSAVE_BROKEN)
			continue;
		if (end - *data < XLSAVE_PAGE)
			return xlsave_bad(s, e, "it is too short for its pages");
		*data += XLSAVE_PAGE;
	}
	return 0;
}

static int page_data(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	uint8_t b[8 * ENTRIES];
	uint64_t data, end = at + len;
	uint32_t count;

	if (s->page == NULL)
		return xlsave_bad(s, e, "it comes before X86_PV_P2M_FRAMES");
	if (len < 8)
		return xlsave_bad(s, e, "it has %u bytes", len);
	if (xlsave_read(s, at, b, 8, e) != 0)
		return -1;
	count = get32(b);
	if (count > (len - 8) / 8)
		return xlsave_bad(s, e, "%u pages do not fit into %u bytes", count, len);
	at += 8;
	data = at + 8 * (uint64_t)count;
	for (uint32_t done = 0; done < count;) {
		unsigned n = count - done < ENTRIES ? count - done : ENTRIES;

		if (xlsave_read(s, at + 8 * (uint64_t)done, b, 8 * n, e) != 0 ||
			take_entries(s, b, n, &data, end, e) != 0)
			return -1;
		done += n;
	}
	return data == end ? 0 : xlsave_bad(s, e, "%llu bytes more than its pages",
		(unsigned long long)(end - data));
}

static int tsc_info(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	uint8_t b[24];

	if (length(s, len, sizeof b, e) != 0 || xlsave_read(s, at, b, sizeof b, e) != 0)
		return -1;
	s->tsc_khz = get32(b + 4);
	s->tsc_nsec = get64(b + 8);
	return 0;
}

static int shared_info(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	s->has_shared_info = true;
	return length(s, len, sizeof s->shared_info, e) != 0 ? -1
		: xlsave_read(s, at, s->shared_info, sizeof s->shared_info, e);
}

/* There is one vCPU here. */
static int vcpu_of(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	uint8_t b[VCPU];

	if (len < VCPU)
		return xlsave_bad(s, e, "it has %u bytes", len);
	if (xlsave_read(s, at, b, sizeof b, e) != 0)
		return -1;
	return get32(b) == 0 ? 0 : xlsave_bad(s, e, "vCPU %u: a guest has one here; set vcpus=1 in "
		"its configuration, or take others offline, before it is saved", get32(b));
}

static int vcpu_basic(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	s->has_context = true;
	return vcpu_of(s, at, len, e) != 0 || length(s, len, VCPU + XLSAVE_CONTEXT, e) != 0 ? -1
		: xlsave_read(s, at + VCPU, s->context, XLSAVE_CONTEXT, e);
}

static int vcpu_extended(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	s->has_ext = true;
	return vcpu_of(s, at, len, e) != 0 || length(s, len, VCPU + XLSAVE_EXT, e) != 0 ? -1
		: xlsave_read(s, at + VCPU, s->ext, XLSAVE_EXT, e);
}

static int vcpu_xsave(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	enum { BEFORE = VCPU + 16, LEAST = 576 };
	uint8_t b[16];

	if (vcpu_of(s, at, len, e) != 0)
		return -1;
	if (len < BEFORE || (len > BEFORE && len < BEFORE + LEAST) || len > BEFORE + XLSAVE_XSAVE)
		return xlsave_bad(s, e, "an area of %u bytes; none is longer than AVX's here, %d",
			len - BEFORE, XLSAVE_XSAVE);
	if (xlsave_read(s, at + VCPU, b, sizeof b, e) != 0)
		return -1;
	s->has_xsave = true;
	s->xcr0 = get64(b);
	s->xsave_len = len - BEFORE;
	return xlsave_read(s, at + BEFORE, s->xsave, s->xsave_len, e);
}

static int vcpu_msrs(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	return vcpu_of(s, at, len, e) != 0 ? -1 : (len - VCPU) % 16 == 0 ? 0
		: xlsave_bad(s, e, "it has %u bytes", len);
}

static int cpuid_policy(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	uint8_t b[24];

	if (len % sizeof b != 0 || len / sizeof b > XLSAVE_LEAVES)
		return xlsave_bad(s, e, "it has %u bytes", len);
	for (s->nleaf = 0; s->nleaf < len / sizeof b; s->nleaf++) {
		struct xlsave_leaf *l = &s->leaf[s->nleaf];

		if (xlsave_read(s, at + s->nleaf * sizeof b, b, sizeof b, e) != 0)
			return -1;
		l->leaf = get32(b);
		l->subleaf = get32(b + 4);
		for (unsigned i = 0; i < 4; i++)
			l->r[i] = get32(b + 8 + 4 * i);
	}
	return 0;
}

static int msr_policy(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	uint8_t b[16];

	if (len % sizeof b != 0 || len / sizeof b > XLSAVE_MSRS)
		return xlsave_bad(s, e, "it has %u bytes", len);
	for (s->nmsr = 0; s->nmsr < len / sizeof b; s->nmsr++) {
		if (xlsave_read(s, at + s->nmsr * sizeof b, b, sizeof b, e) != 0)
			return -1;
		s->msr[s->nmsr] = (struct xlsave_msr){get32(b), get64(b + 8)};
	}
	return 0;
}

static int ignored(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	(void)s, (void)at, (void)len, (void)e;
	return 0;
}

static int hvm(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	(void)at, (void)len;
	return xlsave_bad(s, e, "it is of an HVM guest; only PV guests run here");
}

static int live(struct xlsave *s, uint64_t at, uint32_t len, struct ttd_error *e)
{
	(void)at, (void)len;
	return xlsave_bad(s, e, "a stream of Remus or COLO, or one to be verified, is not supported");
}

static const struct {
	const char *name;
	record_fn *take;
} records[] = {
	[REC_END] = {"END", ignored}, [REC_PAGE_DATA] = {"PAGE_DATA", page_data},
	[2] = {"X86_PV_INFO", pv_info}, [REC_P2M_FRAMES] = {"X86_PV_P2M_FRAMES", p2m_frames},
	[4] = {"X86_PV_VCPU_BASIC", vcpu_basic}, [5] = {"X86_PV_VCPU_EXTENDED", vcpu_extended},
	[6] = {"X86_PV_VCPU_XSAVE", vcpu_xsave}, [7] = {"SHARED_INFO", shared_info},
	[8] = {"X86_TSC_INFO", tsc_info}, [9] = {"HVM_CONTEXT", hvm}, [10] = {"HVM_PARAMS", hvm},
	[11] = {"TOOLSTACK", hvm}, [12] = {"X86_PV_VCPU_MSRS", vcpu_msrs}, [13] = {"VERIFY", live},
	[14] = {"CHECKPOINT", live}, [15] = {"CHECKPOINT_DIRTY_PFN_LIST", live},
	[REC_STATIC_DATA_END] = {"STATIC_DATA_END", ignored},
	[17] = {"X86_CPUID_POLICY", cpuid_policy}, [18] = {"X86_MSR_POLICY", msr_policy},
};
enum { RECORDS = sizeof records / sizeof *records };

static int one_record(struct xlsave *s, uint64_t at, uint32_t type, uint32_t len,
	struct ttd_error *e)
{
	if (len > RECORD_MAX || !range_ok(at, len, s->size))
		return xlsave_bad(s, e, "%u bytes do not fit into the file", len);
	if (type < RECORDS)
		return records[type].take(s, at, len, e);
	return type & OPTIONAL ? 0 : xlsave_bad(s, e, "unknown type %#x, which cannot be left out",
		type);
}

/* What a receiver needs. */
static int complete(const struct xlsave *s, struct ttd_error *e)
{
	if (s->page == NULL)
		return xlsave_bad(s, e, "the stream has no X86_PV_P2M_FRAMES");
	if (!s->has_context || !s->has_shared_info)
		return xlsave_bad(s, e, "the stream has no %s",
			s->has_context ? "SHARED_INFO" : "X86_PV_VCPU_BASIC");
	for (uint32_t i = 0; i < s->np2m; i++)
		if (xlsave_type(s, s->p2m[i]) != XLSAVE_NORMAL)
			return xlsave_bad(s, e, "page %#llx, of the list of frames, is missing or no normal "
				"page", (unsigned long long)s->p2m[i]);
	return 0;
}

int xlsave_records(struct xlsave *s, uint64_t *at, bool head, struct ttd_error *e)
{
	for (;;) {
		uint8_t h[8];
		uint32_t type, len;

		s->record = "a record";
		s->record_at = *at;
		if (xlsave_read(s, *at, h, sizeof h, e) != 0)
			return -1;
		type = get32(h);
		len = get32(h + 4);
		if (type < RECORDS)
			s->record = records[type].name;
		if (head && type == REC_PAGE_DATA && s->page != NULL)
			return 1;
		if (one_record(s, *at + sizeof h, type, len, e) != 0)
			return -1;
		if (type == REC_END)
			break;
		*at += sizeof h + (((uint64_t)len + 7) & ~UINT64_C(7));
	}
	*at += 8;
	return complete(s, e);
}

int xlsave_page(const struct xlsave *s, uint64_t pfn, uint8_t page[XLSAVE_PAGE],
	struct ttd_error *e)
{
	if (!xlsave_has(s, pfn) || xlsave_type(s, pfn) == XLSAVE_ALLOC) {
		memset(page, 0, XLSAVE_PAGE);
		return 0;
	}
	return xlsave_read(s, s->page[pfn] & PFN_MASK, page, XLSAVE_PAGE, e);
}
