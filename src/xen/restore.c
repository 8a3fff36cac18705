/*
 * restore.c - memory of a saved guest; see restore.h.
 *
 * A page keeps its number: pfn N becomes the machine's frame MEM_FIRST_MFN + N, as the
 * builder has it.  In an image page tables hold pfns, and so do start_info's two rings, the
 * GDT's and the roots' fields of the context; everything else that holds frames of the old
 * host is stale, and the guest makes it anew when it goes on (xen/arch/x86/xen/suspend_pv.c in
 * Linux): event channels, grants, vcpu_info.  They are a new domain's here.
 */
#include "xen/internal.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include <xen/grant_table.h>

#include "xen/restore.h"
#include "xlsave/xlsave.h"

enum { SLOTS = PAGE_SIZE / 8, L4 = 4, IS_TABLE = 1 /* of ctrlreg[1]: there is a user table */ };
#define PTE_FRAME UINT64_C(0x000ffffffffff000)
#define P2M_INVALID UINT64_MAX

static mfn_t mfn_of(uint64_t pfn)
{
	return MEM_FIRST_MFN + pfn;
}

static int wrong(const struct xlsave *s, struct ttd_error *e, const char *what, uint64_t pfn)
{
	return err_set(e, TTD_HOST, "image %s: %s is page %#" PRIx64 ", which is missing or of another "
		"type", s->path, what, pfn);
}

static bool is_normal(const struct xlsave *s, uint64_t pfn)
{
	unsigned type = xlsave_type(s, pfn);

	return type == XLSAVE_NORMAL || type == XLSAVE_ALLOC;
}

/* ---- pages ---- */

static int localise(const struct xlsave *s, uint64_t pfn, uint8_t *page, struct ttd_error *e)
{
	for (unsigned i = 0; i < SLOTS; i++) {
		uint64_t pte = get64(page + i * 8), to = PTE_MFN(pte);

		if (!(pte & PTE_P))
			continue;
		if (!xlsave_has(s, to))
			return err_set(e, TTD_HOST, "image %s: entry %u of page table %#" PRIx64 " leads to "
				"page %#" PRIx64 ", which is not in it", s->path, i, pfn, to);
		put64(page + i * 8, (pte & ~PTE_FRAME) | mfn_of(to) << PAGE_SHIFT);
	}
	return 0;
}

static int put_pages(struct domain *d, const struct xlsave *s, struct ttd_error *e)
{
	for (uint64_t pfn = 0; pfn < s->pages; pfn++) {
		uint8_t *page = mem_frame(d->mem, mfn_of(pfn));

		if (!xlsave_has(s, pfn) || xlsave_type(s, pfn) == XLSAVE_ALLOC)
			continue;
		if (xlsave_page(s, pfn, page, e) != 0 ||
			(xlsave_level(s, pfn) != 0 && localise(s, pfn, page, e) != 0))
			return -1;
	}
	return 0;
}

/* The guest's list of its frames, which it maps and reads. */
static void put_p2m(struct domain *d, const struct xlsave *s)
{
	for (uint64_t pfn = 0; pfn < (uint64_t)s->np2m * SLOTS; pfn++)
		put64(mem_frame(d->mem, mfn_of(s->p2m[pfn / SLOTS])) + pfn % SLOTS * 8,
			xlsave_has(s, pfn) ? mfn_of(pfn) : P2M_INVALID);
}

/* What the guest had given up. */
static void leave_pages(struct domain *d, const struct xlsave *s)
{
	for (uint64_t pfn = 0; pfn < s->pages; pfn++)
		if (!xlsave_has(s, pfn))
			memory_part(d, mfn_of(pfn));
}

/* ---- what it shares with its host ---- */

static int put_start_info(struct domain *d, const struct xlsave *s, uint64_t pfn,
	struct ttd_error *e)
{
	struct start_info si;
	uint8_t *page;

	if (!is_normal(s, pfn))
		return wrong(s, e, "start_info", pfn);
	page = mem_frame(d->mem, mfn_of(pfn));
	memcpy(&si, page, sizeof si);
	if (!is_normal(s, si.store_mfn))
		return wrong(s, e, "the ring of xenstore", si.store_mfn);
	if (!is_normal(s, si.console.domU.mfn) || si.console.domU.mfn == si.store_mfn)
		return wrong(s, e, "the ring of the console", si.console.domU.mfn);
	d->store_ring = si.store_mfn = mfn_of(si.store_mfn);
	d->con.ring = si.console.domU.mfn = mfn_of(si.console.domU.mfn);
	si.store_evtchn = PORT_STORE;
	si.console.domU.evtchn = PORT_CONSOLE;
	si.nr_pages = s->pages;
	si.shared_info = d->shared_info << PAGE_SHIFT;
	si.flags = 0;
	memcpy(page, &si, sizeof si);
	return grant_seed(d, GNTTAB_RESERVED_CONSOLE, d->con.ring) < 0 ||
		grant_seed(d, GNTTAB_RESERVED_XENSTORE, d->store_ring) < 0
		? err_set(e, TTD_HOST, "the grant table has no room for the console") : 0;
}

/* Of the old one only what the kernel said of itself. */
static void put_shared_info(struct domain *d, const struct xlsave *s)
{
	struct shared_info *si = (struct shared_info *)mem_frame(d->mem, d->shared_info), old;

	_Static_assert(sizeof old <= XLSAVE_PAGE, "it is a page");
	memcpy(&old, s->shared_info, sizeof old);
	si->arch.max_pfn = old.arch.max_pfn;
	si->arch.p2m_cr3 = old.arch.p2m_cr3;
	si->arch.p2m_vaddr = old.arch.p2m_vaddr;
	si->arch.p2m_generation = old.arch.p2m_generation;
	memset(si->evtchn_mask, 0xff, sizeof si->evtchn_mask);
}

/* ---- page tables and GDT ---- */

/* Of its pfn, in the form of cr3. */
static int root(const struct xlsave *s, const char *what, uint64_t cr, mfn_t *mfn,
	struct ttd_error *e)
{
	uint64_t pfn = cr >> PAGE_SHIFT | (cr & (PAGE_SIZE - 2)) << 40; /* xen_cr3_to_pfn() */

	if (xlsave_level(s, pfn) != L4)
		return wrong(s, e, what, pfn);
	*mfn = mfn_of(pfn);
	return 0;
}

static int put_roots(struct domain *d, const struct vcpu_guest_context *c, const struct xlsave *s,
	struct ttd_error *e)
{
	mfn_t kernel, user = MFN_NONE;

	if (root(s, "cr3", c->ctrlreg[3], &kernel, e) != 0 ||
		((c->ctrlreg[1] & IS_TABLE) &&
		root(s, "the user's page table", c->ctrlreg[1] & PAGE_MASK, &user, e) != 0))
		return -1;
	mmu_set_root(current_vcpu(d)->mmu, MEM_KERNEL, kernel);
	mmu_set_root(current_vcpu(d)->mmu, MEM_USER, user);
	for (uint64_t pfn = 0; pfn < s->pages; pfn++)
		if (xlsave_level(s, pfn) != 0 && (xlsave_type(s, pfn) & XLSAVE_PINNED) &&
			pin_table(d, mfn_of(pfn), xlsave_level(s, pfn)) != 0)
			return wrong(s, e, "a pinned page table", pfn);
	return 0;
}

static int gdt(struct vcpu_guest_context *c, const struct xlsave *s, struct ttd_error *e)
{
	if (c->gdt_ents > FIRST_RESERVED_ENTRY)
		return err_set(e, TTD_HOST, "image %s: a GDT of %" PRIu64 " entries", s->path,
			(uint64_t)c->gdt_ents);
	for (unsigned i = 0; i < GDT_FRAMES; i++) {
		if (i * 512 >= c->gdt_ents)
			c->gdt_frames[i] = 0;
		else if (!is_normal(s, c->gdt_frames[i]))
			return wrong(s, e, "the GDT", c->gdt_frames[i]);
		else
			c->gdt_frames[i] = mfn_of(c->gdt_frames[i]);
	}
	return 0;
}

/* ---- all of it ---- */

int restore_domain(struct domain *d, const struct xlsave *s, struct ttd_error *e)
{
	struct vcpu_guest_context c;
	struct vcpu *v = current_vcpu(d);
	uint64_t start_info;

	_Static_assert(sizeof c == XLSAVE_CONTEXT, "as the image has it");
	memcpy(&c, s->context, sizeof c);
	start_info = c.user_regs.rdx;
	if (put_pages(d, s, e) != 0 || put_start_info(d, s, start_info, e) != 0 ||
		gdt(&c, s, e) != 0)
		return -1;
	put_p2m(d, s);
	put_shared_info(d, s);
	c.user_regs.rdx = mfn_of(start_info);
	if (put_roots(d, &c, s, e) != 0 || restore_vcpu(v, &c, s, e) != 0)
		return -1;
	leave_pages(d, s);
	memset(&v->call, 0, sizeof v->call); /* pins counted as work of a hypercall */
	return 0;
}
