/*
 * canon.c - memory in the guest's own numbering; see canon.h.
 *
 * Which pfn a frame has the machine-to-phys table says, which the guest keeps right because
 * Xen's tools ask it too.  What it says is not believed: of two frames that claim a pfn the
 * first has it, and a number beyond the machine's RAM is none.
 *
 * Which frames are page tables follows from the roots and the pins: whatever hangs below
 * one is a table of the next level.  A frame that hostile tables name at several levels is
 * what it was first found as, so each is looked at once.
 */
#include "xen/canon.h"

#include <stdlib.h>
#include <string.h>

#include "xen/internal.h"
#include "xen/mmu.h"

enum { LEVELS = 4, SLOTS = PAGE_SIZE / 8, HOLE_FIRST = 256, HOLE_END = 272 };
#define PTE_FRAME UINT64_C(0x000ffffffffff000)

struct canon {
	struct mem *mem;
	uint64_t pages;
	mfn_t *mfn;       /* by pfn */
	uint64_t *pfn;    /* by frame, from MEM_FIRST_MFN */
	uint8_t *level;   /* by frame */
	mfn_t *todo;      /* tables that were found and not looked at yet */
	uint64_t ntodo;
};

/* ---- numbers ---- */

static uint64_t m2p_get(const struct domain *d, mfn_t mfn)
{
	gva_t va = M2P_START + mfn * 8;
	mfn_t table = mmu_peek(current_vcpu(d)->mmu, MEM_KERNEL, va & PAGE_MASK, NULL);
	const uint8_t *page = table != MFN_NONE ? mem_frame(d->mem, table) : NULL;

	return page != NULL ? get64(page + (va & (PAGE_SIZE - 1))) : UINT64_MAX;
}

static void number(struct canon *c, const struct domain *d)
{
	memset(c->mfn, 0xff, c->pages * sizeof *c->mfn);
	for (uint64_t i = 0; i < c->pages; i++) {
		mfn_t mfn = MEM_FIRST_MFN + i;
		uint64_t pfn = is_ram(d, mfn) ? m2p_get(d, mfn) : UINT64_MAX;

		if (pfn >= c->pages || c->mfn[pfn] != MFN_NONE)
			pfn = UINT64_MAX;
		else
			c->mfn[pfn] = mfn;
		c->pfn[i] = pfn;
	}
}

uint64_t canon_pages(const struct canon *c) { return c->pages; }

mfn_t canon_mfn(const struct canon *c, uint64_t pfn)
{
	return pfn < c->pages ? c->mfn[pfn] : MFN_NONE;
}

uint64_t canon_pfn(const struct canon *c, mfn_t mfn)
{
	return mfn - MEM_FIRST_MFN < c->pages ? c->pfn[mfn - MEM_FIRST_MFN] : UINT64_MAX;
}

/* ---- page tables ---- */

static bool hole(unsigned level, unsigned slot)
{
	return level == LEVELS && slot >= HOLE_FIRST && slot < HOLE_END;
}

static void add_table(struct canon *c, mfn_t mfn, unsigned level)
{
	uint64_t i = mfn - MEM_FIRST_MFN;

	if (!mem_is_ram(c->mem, mfn) || c->level[i] != 0)
		return;
	c->level[i] = (uint8_t)level;
	c->todo[c->ntodo++] = mfn;
}

static void look_below(struct canon *c, mfn_t table, unsigned level)
{
	const uint8_t *page = mem_frame(c->mem, table);

	for (unsigned i = 0; level > 1 && i < SLOTS; i++) {
		uint64_t pte = get64(page + i * 8);

		if ((pte & PTE_P) && !(pte & PTE_PS) && !hole(level, i))
			add_table(c, PTE_MFN(pte), level - 1);
	}
}

/* The highest first: what hangs below one is then known for what it is. */
static void find_tables(struct canon *c, const struct domain *d)
{
	for (unsigned i = 0; i < VCPUS; i++) {
		add_table(c, mmu_root(d->vcpu[i].mmu, MEM_KERNEL), LEVELS);
		add_table(c, mmu_root(d->vcpu[i].mmu, MEM_USER), LEVELS);
	}
	for (unsigned level = LEVELS; level > 0; level--) {
		for (uint64_t i = 0; i < c->pages; i++)
			if (d->pin.level[i] == level)
				add_table(c, MEM_FIRST_MFN + i, level);
		while (c->ntodo > 0) {
			mfn_t table = c->todo[--c->ntodo];

			look_below(c, table, c->level[table - MEM_FIRST_MFN]);
		}
	}
}

unsigned canon_level(const struct canon *c, uint64_t pfn)
{
	mfn_t mfn = canon_mfn(c, pfn);

	return mfn != MFN_NONE ? c->level[mfn - MEM_FIRST_MFN] : 0;
}

static uint64_t canon_entry(const struct canon *c, uint64_t pte)
{
	uint64_t pfn;

	if (!(pte & PTE_P))
		return pte;
	pfn = canon_pfn(c, PTE_MFN(pte));
	return pfn != UINT64_MAX ? (pte & ~PTE_FRAME) | pfn << PAGE_SHIFT : 0;
}

bool canon_page(const struct canon *c, uint64_t pfn, uint8_t page[PAGE_SIZE])
{
	mfn_t mfn = canon_mfn(c, pfn);
	unsigned level = canon_level(c, pfn);

	if (mfn == MFN_NONE) {
		memset(page, 0, PAGE_SIZE);
		return false;
	}
	memcpy(page, mem_frame(c->mem, mfn), PAGE_SIZE);
	for (unsigned i = 0; level != 0 && i < SLOTS; i++)
		put64(page + i * 8, hole(level, i) ? 0 : canon_entry(c, get64(page + i * 8)));
	return true;
}

/* ---- all of it ---- */

struct canon *canon_create(struct domain *d, struct ttd_error *e)
{
	struct canon *c = calloc(1, sizeof *c);
	uint64_t n = mem_ram_pages(d->mem);

	if (c != NULL) {
		c->mem = d->mem;
		c->pages = n;
		c->mfn = calloc(n, sizeof *c->mfn);
		c->pfn = calloc(n, sizeof *c->pfn);
		c->level = calloc(n, 1);
		c->todo = calloc(n, sizeof *c->todo);
	}
	if (c == NULL || c->mfn == NULL || c->pfn == NULL || c->level == NULL || c->todo == NULL) {
		canon_free(c);
		err_set(e, TTD_HOST, "out of memory for the numbers of the guest's pages");
		return NULL;
	}
	number(c, d);
	find_tables(c, d);
	return c;
}

void canon_free(struct canon *c)
{
	if (c == NULL)
		return;
	free(c->mfn);
	free(c->pfn);
	free(c->level);
	free(c->todo);
	free(c);
}
