/*
 * memory.c - memory_op: which of the machine's frames the guest has, and how it
 * gives some up and gets others (ballooning).
 *
 * The machine has as many frames of RAM as the guest may ever have (maxmem).  Those
 * that it does not have are the only free memory there is: an extent comes from the
 * lowest of them, aligned to its size, so that what is given is a function of the
 * state.  What it may have now follows memory/target as xl makes it: a megabyte more.
 *
 * Under Xen a frame stays until nothing refers to it any more.  Here only our own uses
 * count: roots and pinned tables, the GDT, vcpu_info, rings.  A frame in use is
 * `loose` when it is given up, still the guest's, and goes when that use ends.  One
 * that is merely mapped goes at once, and the mappings lead nowhere (but with
 * strict.c, which counts them).
 */
#include "xen/strict.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include <xen/memory.h>

#include "xen/guestcopy.h"
#include "xen/mmu.h"

enum {
	SLACK_PAGES = 256,   /* libxl's LIBXL_MAXMEM_CONSTANT */
	FRAME_WORK = 16,     /* of a frame that leaves or enters, in hypercall_work()'s units */
	SCAN_WORK = 64,      /* words looked at for one such unit */
};
#define NOWHERE UINT64_MAX

static bool test_bit(const uint64_t *bits, uint64_t i) { return bits[i / 64] >> i % 64 & 1; }
static void set_bit(uint64_t *bits, uint64_t i) { bits[i / 64] |= UINT64_C(1) << i % 64; }
static void clear_bit(uint64_t *bits, uint64_t i) { bits[i / 64] &= ~(UINT64_C(1) << i % 64); }
static size_t words(const struct memory_state *s) { return (size_t)(s->pages + 63) / 64; }

/* ---- which are free ---- */

static void set_gone(struct memory_state *s, uint64_t i, bool gone)
{
	if (gone)
		set_bit(s->gone, i);
	else
		clear_bit(s->gone, i);
	if (gone && i < s->first)
		s->first = i;
}

static bool all_gone(const struct memory_state *s, uint64_t i, uint64_t n)
{
	for (uint64_t k = 0; k < n; k++) {
		if ((i + k) % 64 == 0 && n - k >= 64) {
			if (~s->gone[(i + k) / 64] != 0)
				return false;
			k += 63;
		} else if (!test_bit(s->gone, i + k)) {
			return false;
		}
	}
	return true;
}

/* The first free extent, aligned, of frames below `limit`; NOWHERE: none. */
static uint64_t find_extent(struct domain *d, unsigned order, mfn_t limit)
{
	struct memory_state *s = &d->memory;
	uint64_t n = UINT64_C(1) << order, end = s->pages, from, i;

	while (s->first < s->pages && !test_bit(s->gone, s->first))
		s->first = s->gone[s->first / 64] == 0 ? (s->first | 63) + 1 : s->first + 1;
	i = from = s->first & ~(n - 1);
	if (limit < MEM_FIRST_MFN + end)
		end = limit < MEM_FIRST_MFN ? 0 : limit - MEM_FIRST_MFN;
	while (i + n <= end && !all_gone(s, i, n)) {
		if (s->gone[i / 64] == 0)
			i = (i | 63) + 1; /* which is aligned for small extents, and rounded for others */
		else
			i += n;
		i = (i + n - 1) & ~(n - 1);
	}
	hypercall_work(d, (uint32_t)((i - from) / 64 / SCAN_WORK));
	return i + n <= end ? i : NOWHERE;
}

/* ---- leaving and entering ---- */

static bool used_by_vcpu(const struct vcpu *v, mfn_t mfn)
{
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		if (v->seg.gdt_entries > i * 512 && v->seg.gdt_mfn[i] == mfn)
			return true;
	return mfn == v->area.info_mfn || (v->d->ev.fifo.on && mfn == v->fifo.control) ||
		mfn == mmu_root(v->mmu, MEM_KERNEL) || mfn == mmu_root(v->mmu, MEM_USER);
}

static bool used_by_us(const struct domain *d, mfn_t mfn)
{
	for (unsigned i = 0; i < VCPUS; i++)
		if (used_by_vcpu(&d->vcpu[i], mfn))
			return true;
	for (unsigned i = 0; i < d->ev.fifo.pages; i++)
		if (d->ev.fifo.page[i] == mfn)
			return true;
	return mfn == d->con.ring || mfn == d->store_ring ||
		d->pin.level[mfn - MEM_FIRST_MFN] != 0 || d->memory.held[mfn - MEM_FIRST_MFN] != 0 ||
		strict_refers(d, mfn);
}

static void leave(struct domain *d, mfn_t mfn)
{
	struct memory_state *s = &d->memory;

	mem_frame_leave(d->mem, mfn);
	m2p_set(d, mfn, NOWHERE);
	set_gone(s, mfn - MEM_FIRST_MFN, true);
	__atomic_store_n(&s->has, s->has - 1, __ATOMIC_RELAXED);
	hypercall_work(d, FRAME_WORK);
}

static void enter(struct domain *d, mfn_t mfn)
{
	struct memory_state *s = &d->memory;

	mem_frame_enter(d->mem, mfn);
	set_gone(s, mfn - MEM_FIRST_MFN, false);
	__atomic_store_n(&s->has, s->has + 1, __ATOMIC_RELAXED);
	hypercall_work(d, FRAME_WORK);
}

static int give_up(struct domain *d, mfn_t mfn)
{
	struct memory_state *s = &d->memory;

	if (!is_ram(d, mfn))
		return -1;
	if (!used_by_us(d, mfn)) {
		leave(d, mfn);
	} else if (!test_bit(s->loose, mfn - MEM_FIRST_MFN)) {
		set_bit(s->loose, mfn - MEM_FIRST_MFN);
		s->nloose++;
	}
	return 0;
}

void memory_unused(struct domain *d, mfn_t mfn)
{
	struct memory_state *s = &d->memory;

	if (s->nloose == 0 || !is_ram(d, mfn) || !test_bit(s->loose, mfn - MEM_FIRST_MFN) ||
	    used_by_us(d, mfn))
		return;
	clear_bit(s->loose, mfn - MEM_FIRST_MFN);
	s->nloose--;
	leave(d, mfn);
}

void memory_hold(struct domain *d, mfn_t mfn)
{
	if (mfn - MEM_FIRST_MFN < d->memory.pages)
		d->memory.held[mfn - MEM_FIRST_MFN]++;
}

void memory_release(struct domain *d, mfn_t mfn)
{
	if (mfn - MEM_FIRST_MFN >= d->memory.pages)
		return;
	d->memory.held[mfn - MEM_FIRST_MFN]--;
	memory_unused(d, mfn);
}

/* Aligned, and within what it may have.  NOWHERE: no such extent. */
static mfn_t take(struct domain *d, unsigned order, mfn_t limit)
{
	struct memory_state *s = &d->memory;
	uint64_t n = UINT64_C(1) << order, i;

	if (s->has + n > s->max)
		return NOWHERE;
	i = find_extent(d, order, limit);
	for (uint64_t k = 0; i != NOWHERE && k < n; k++)
		enter(d, MEM_FIRST_MFN + i + k);
	return i != NOWHERE ? MEM_FIRST_MFN + i : NOWHERE;
}

/* ---- the three calls with a list of extents ---- */

struct extents {
	uint64_t list; /* guest address, 0: none */
	unsigned order;
	mfn_t limit;
};

int64_t memory_target(uint16_t domid)
{
	return domid == DOMID_SELF || domid == DOMID ? 0 : domid == 0 ? -EPERM : -ESRCH;
}

/* Frames must be below this (a number of address bits in mem_flags).  0: nonsense. */
static mfn_t frame_limit(uint32_t mem_flags)
{
	unsigned bits = XENMEMF_get_address_bits(mem_flags);

	if (bits == 0 || bits >= 64)
		return NOWHERE;
	return bits <= PAGE_SHIFT ? 0 : UINT64_C(1) << (bits - PAGE_SHIFT);
}

static bool decrease_one(struct vcpu *v, const struct extents *x, uint64_t i)
{
	uint64_t mfn;

	if (copy_from_guest(v, &mfn, x->list + i * 8, 8) < 0)
		return false;
	for (uint64_t k = 0; k < UINT64_C(1) << x->order; k++)
		if (give_up(v->d, mfn + k) < 0)
			return false;
	return true;
}

/* A frame that cannot be told stays the guest's, as under Xen. */
static bool increase_one(struct vcpu *v, const struct extents *x, uint64_t i)
{
	mfn_t mfn = take(v->d, x->order, x->limit);

	return mfn != NOWHERE &&
		(x->list == 0 || copy_to_guest(v, x->list + i * 8, &mfn, 8) == 0);
}

static bool populate_one(struct vcpu *v, const struct extents *x, uint64_t i)
{
	uint64_t pfn;
	mfn_t mfn;

	if (copy_from_guest(v, &pfn, x->list + i * 8, 8) < 0)
		return false;
	mfn = take(v->d, x->order, x->limit);
	if (mfn == NOWHERE)
		return false;
	for (uint64_t k = 0; k < UINT64_C(1) << x->order; k++)
		m2p_set(v->d, mfn + k, pfn + k);
	return copy_to_guest(v, x->list + i * 8, &mfn, 8) == 0;
}

/* All of these give the number of extents done; where nothing makes sense, of before. */
int64_t memory_extents(struct vcpu *v, const struct hypercall_args *h)
{
	static bool (*const fn[])(struct vcpu *v, const struct extents *x, uint64_t i) = {
		[XENMEM_increase_reservation] = increase_one,
		[XENMEM_decrease_reservation] = decrease_one,
		[XENMEM_populate_physmap] = populate_one,
	};
	unsigned op = h->a[0] & MEMORY_OP_MASK;
	uint64_t done = h->a[0] >> MEMORY_OP_BITS;
	struct xen_memory_reservation r;
	struct hypercall_args left = *h;
	struct extents x;
	uint32_t flags;

	if (copy_from_guest(v, &r, h->a[1], sizeof r) < 0 || memory_target(r.domid) < 0 ||
	    r.nr_extents > UINT32_MAX >> MEMORY_OP_BITS || done >= r.nr_extents ||
	    r.extent_order > MEMORY_ORDER_MAX)
		return (int64_t)done;
	memcpy(&flags, &r.mem_flags, sizeof flags);
	memcpy(&x.list, &r.extent_start, sizeof x.list);
	x.order = r.extent_order;
	x.limit = frame_limit(flags);
	/* No such nodes; no populating on demand for oneself. */
	if (x.limit == 0 || (flags & XENMEMF_exact_node_request) ||
	    (op == XENMEM_populate_physmap && (flags & XENMEMF_populate_on_demand)))
		return (int64_t)done;
	while (done < r.nr_extents && fn[op](v, &x, done)) {
		done++;
		if (done < r.nr_extents && hypercall_work(v->d, 1)) {
			left.a[0] = op | done << MEMORY_OP_BITS;
			return hypercall_again(v, &left);
		}
	}
	return (int64_t)done;
}

/* ---- for exchange.c: frames change hands without being counted ---- */

bool memory_steal(struct domain *d, mfn_t mfn)
{
	struct memory_state *s = &d->memory;
	uint64_t i = mfn - MEM_FIRST_MFN;

	if (!is_ram(d, mfn) || test_bit(s->gone, i) || test_bit(s->loose, i) || used_by_us(d, mfn))
		return false;
	set_gone(s, i, true);
	return true;
}

void memory_unsteal(struct domain *d, mfn_t mfn)
{
	set_gone(&d->memory, mfn - MEM_FIRST_MFN, false);
}

mfn_t memory_reserve(struct domain *d, unsigned order, uint32_t mem_flags)
{
	mfn_t limit = frame_limit(mem_flags);
	uint64_t i = find_extent(d, order, limit);

	for (uint64_t k = 0; i != NOWHERE && k < UINT64_C(1) << order; k++)
		set_gone(&d->memory, i + k, false);
	return i != NOWHERE ? MEM_FIRST_MFN + i : MFN_NONE;
}

void memory_unreserve(struct domain *d, mfn_t mfn, unsigned order)
{
	for (uint64_t k = 0; k < UINT64_C(1) << order; k++)
		set_gone(&d->memory, mfn - MEM_FIRST_MFN + k, true);
}

void memory_part(struct domain *d, mfn_t mfn)
{
	mem_frame_leave(d->mem, mfn);
	m2p_set(d, mfn, NOWHERE);
	hypercall_work(d, FRAME_WORK);
}

/* ---- how much ---- */

void memory_set_target(struct domain *d, uint64_t kib)
{
	struct memory_state *s = &d->memory;
	char path[64], value[32];
	uint64_t pages = kib / (PAGE_SIZE / 1024);

	if (pages > s->pages)
		return;
	s->max = pages + SLACK_PAGES < s->pages ? pages + SLACK_PAGES : s->pages;
	snprintf(path, sizeof path, "/local/domain/%d/memory/target", DOMID);
	snprintf(value, sizeof value, "%llu", (unsigned long long)kib);
	xs_write(d->store, path, value, strlen(value));
}

int memory_init(struct domain *d, uint64_t pages)
{
	struct memory_state *s = &d->memory;

	s->pages = mem_ram_pages(d->mem);
	s->gone = calloc(words(s), sizeof *s->gone);
	s->loose = calloc(words(s), sizeof *s->loose);
	s->held = calloc(s->pages, sizeof *s->held);
	if (s->gone == NULL || s->loose == NULL || s->held == NULL)
		return -1;
	s->has = s->first = pages;
	s->max = pages + SLACK_PAGES < s->pages ? pages + SLACK_PAGES : s->pages;
	for (uint64_t i = pages; i < s->pages; i++) {
		set_gone(s, i, true);
		m2p_set(d, MEM_FIRST_MFN + i, NOWHERE);
	}
	mem_set_absent(d->mem, s->gone);
	return 0;
}

void memory_fini(struct memory_state *s)
{
	free(s->gone);
	free(s->loose);
	free(s->held);
}

/* ---- state ---- */

static bool any(const struct memory_state *s, const uint64_t *bits)
{
	for (size_t i = 0; i < words(s); i++)
		if (bits[i] != 0)
			return true;
	return false;
}

static void save_bits(const struct memory_state *s, const uint64_t *bits, struct wbuf *w)
{
	bool some = any(s, bits);

	wbuf_u8(w, some);
	for (size_t i = 0; some && i < words(s); i++)
		wbuf_u64(w, bits[i]);
}

static void load_bits(const struct memory_state *s, uint64_t *bits, struct rbuf *r)
{
	bool some = rbuf_u8(r) != 0;

	for (size_t i = 0; i < words(s); i++)
		bits[i] = some ? rbuf_u64(r) : 0;
	if (s->pages % 64 != 0)
		bits[words(s) - 1] &= (UINT64_C(1) << s->pages % 64) - 1;
}

static uint64_t count(const struct memory_state *s, const uint64_t *bits)
{
	uint64_t n = 0;

	for (size_t i = 0; i < words(s); i++)
		n += (unsigned)__builtin_popcountll(bits[i]);
	return n;
}

void memory_save(const struct memory_state *s, struct wbuf *w)
{
	wbuf_u64(w, s->pages);
	wbuf_u64(w, s->max);
	save_bits(s, s->gone, w);
	save_bits(s, s->loose, w);
}

static void count_held(struct domain *d)
{
	const struct grant_state *g = &d->grant;

	memset(d->memory.held, 0, d->memory.pages * sizeof *d->memory.held);
	for (uint32_t ref = 0; ref < GRANT_ENTRIES; ref++)
		if (g->active[ref].pin != 0)
			memory_hold(d, g->active[ref].mfn);
}

/* After the frames' bytes were restored, and the grants. */
int memory_load(struct domain *d, struct rbuf *r)
{
	struct memory_state *s = &d->memory;

	if (rbuf_u64(r) != s->pages)
		return -1;
	s->max = rbuf_u64(r);
	load_bits(s, s->gone, r);
	load_bits(s, s->loose, r);
	if (r->bad || s->max > s->pages)
		return -1;
	for (size_t i = 0; i < words(s); i++)
		s->loose[i] &= ~s->gone[i];
	s->nloose = count(s, s->loose);
	__atomic_store_n(&s->has, s->pages - count(s, s->gone), __ATOMIC_RELAXED);
	s->first = 0;
	mem_set_absent(d->mem, s->gone);
	count_held(d);
	return 0;
}
