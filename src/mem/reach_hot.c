/*
 * reach_hot.c - guest memory for those who complete an exit while the guest's vector
 * registers are live: a host address, or NULL where it takes more than a load or a store.
 */
#include "mem/internal.h"

uint8_t *mem_frame(const struct mem *m, mfn_t mfn)
{
	return frame_here(m, mfn) ? frame_host(m, mfn) : NULL;
}

bool mem_is_ram(const struct mem *m, mfn_t mfn)
{
	return mfn - MEM_FIRST_MFN < m->ram_pages && frame_here(m, mfn);
}

mfn_t mmu_root(const struct mmu *u, enum mem_mode mode) { return u->root[mode]; }

uint8_t *mmu_reach(struct mmu *u, enum mem_mode mode, gva_t va, size_t n, enum mem_access access)
{
	const struct tlb *t = &u->tlb[mode];
	unsigned i = TLB_INDEX(va), off = va & (PAGE_SIZE - 1);

	if (n > PAGE_SIZE - off || u->mem->watch.n != 0)
		return NULL;
	if ((access == MEM_WRITE ? t->e[i].wtag : t->e[i].rtag) != (va & PAGE_MASK) &&
	    mmu_fill(u, mode, va, access, NULL) != 0)
		return NULL;
	return (uint8_t *)(uintptr_t)t->e[i].host + off;
}

bool mem_may_poke(const struct mem *m, mfn_t mfn)
{
	return frame_here(m, mfn) && !(frame_of(m, mfn)->flags & (FRAME_PT | FRAME_CODE)) &&
		m->watch.n == 0;
}

void mem_poke(struct mem *m, mfn_t mfn, unsigned off, uint8_t value)
{
	note_write(m, mfn);
	frame_host(m, mfn)[off] = value;
}
