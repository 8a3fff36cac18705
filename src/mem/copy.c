/*
 * copy.c - copies between guest virtual memory and the host.
 */
#include <assert.h>
#include <string.h>

#include "mem/internal.h"

static size_t page_left(gva_t va, size_t n)
{
	size_t left = PAGE_SIZE - (va & ~PAGE_MASK);

	return n < left ? n : left;
}

/* Translates every page of the range first, so that a fault copies nothing. */
static int touch(struct mmu *u, enum mem_mode mode, gva_t va, size_t n, enum mem_access access,
	struct mem_fault *f)
{
	while (n > 0) {
		size_t k = page_left(va, n);

		if (mmu_translate(u, mode, va, access, f) == MFN_NONE)
			return -1;
		va += k;
		n -= k;
	}
	return 0;
}

/*
 * Host address of a range in one page that the TLB knows, else NULL.  Nothing is
 * filled here: what stays out of the TLB, stays out (cpu/debug_hot.c).
 */
static uint8_t *hit(const struct mmu *u, enum mem_mode mode, gva_t va, size_t n, bool write)
{
	const struct tlb *t = &u->tlb[mode];
	unsigned i = TLB_INDEX(va), off = va & (PAGE_SIZE - 1);

	if (n > PAGE_SIZE - off || (write ? t->e[i].wtag : t->e[i].rtag) != (va & PAGE_MASK))
		return NULL;
	return (uint8_t *)(uintptr_t)t->e[i].host + off;
}

int mmu_copy_in(struct mmu *u, enum mem_mode mode, void *dst, gva_t src, size_t n,
	struct mem_fault *f)
{
	const uint8_t *host = hit(u, mode, src, n, false);
	uint8_t *p = dst;

	if (host != NULL) {
		memcpy(dst, host, n);
		return 0;
	}
	if (touch(u, mode, src, n, MEM_READ, f) != 0)
		return -1;
	while (n > 0) {
		size_t k = page_left(src, n);
		mfn_t mfn = mmu_peek(u, mode, src, NULL);

		memcpy(p, frame_host(u->mem, mfn) + (src & ~PAGE_MASK), k);
		p += k;
		src += k;
		n -= k;
	}
	return 0;
}

int mmu_copy_out(struct mmu *u, enum mem_mode mode, gva_t dst, const void *src, size_t n,
	struct mem_fault *f)
{
	uint8_t *host = hit(u, mode, dst, n, true);
	const uint8_t *p = src;

	if (host != NULL) {
		memcpy(host, src, n);
		return 0;
	}
	if (touch(u, mode, dst, n, MEM_WRITE, f) != 0)
		return -1;
	if (u->mem->watch.n != 0)
		mmu_watch_access(u, mode, dst, n, true);
	while (n > 0) {
		size_t k = page_left(dst, n);
		/* A store into its own page tables may unmap the rest: give up there. */
		mfn_t mfn = mmu_translate(u, mode, dst, MEM_WRITE, f);

		if (mfn == MFN_NONE)
			return -1;
		mem_guest_store(u->mem, mfn, (unsigned)(dst & ~PAGE_MASK), p, k);
		p += k;
		dst += k;
		n -= k;
	}
	return 0;
}

/* M1, M4: whatever the TLB holds, a walk gives too; M2, M3: and no more. */
static void check_entry(const struct mmu *u, enum mem_mode mode, unsigned i)
{
	const struct mem *m = u->mem;
	const struct tlb *t = &u->tlb[mode];
	uint64_t pte;
	mfn_t mfn;

	if (t->e[i].rtag == TLB_EMPTY(i)) {
		assert(t->e[i].wtag == TLB_EMPTY(i));
		return;
	}
	mfn = mmu_peek(u, mode, t->e[i].rtag, &pte);
	assert(mfn != MFN_NONE);
	assert(t->e[i].host == (uint64_t)frame_host(m, mfn));
	assert(t->e[i].delta == t->e[i].host - t->e[i].rtag);
	if (t->e[i].wtag == TLB_EMPTY(i))
		return;
	assert(t->e[i].wtag == t->e[i].rtag);
	assert((pte & PTE_D) && (pte & PTE_A) && (pte & PTE_RW));
	assert(!(frame_of(m, mfn)->flags & (FRAME_PT | FRAME_CODE | FRAME_READONLY)));
}

/* What hits there would hit for writing in the entry, too. */
static void check_stack(const struct tlb *t)
{
	unsigned i = TLB_INDEX(t->stack.tag);

	if (t->stack.limit[0] == 0)
		return;
	assert(t->e[i].wtag == t->stack.tag);
	assert(t->e[i].delta == t->stack.delta);
}

void mem_check(struct mem *m)
{
	for EACH_MMU(u, m)
		for (int mode = 0; mode < 2; mode++) {
			for (unsigned i = 0; i < TLB_SIZE; i++)
				check_entry(u, (enum mem_mode)mode, i);
			check_stack(&u->tlb[mode]);
		}
	assert(space_holds(m));
}
