/*
 * root_hot.c - from one root of the page tables to another.
 *
 * All address spaces of a guest share the kernel's half, as a rule, and then what the
 * TLB holds of it outlives a switch.  Whether two roots agree takes reading 4 KB, which
 * is a tenth of the first-level cache, so it is remembered:
 *
 *  1. What roots_seen says of a pair is true while its gen is roots_gen.
 *  2. A frame in such a pair carries FRAME_ROOT and FRAME_PT, so that every change of it
 *     comes by root_changes(): all writes to page tables are made by this layer (M1, M2).
 */
#include "mem/internal.h"

/* Bits in which the kernel halves of two roots differ. */
static uint64_t compare_halves(const struct mem *m, mfn_t a, mfn_t b)
{
	const uint64_t *ta = (const void *)frame_host(m, a);
	const uint64_t *tb = (const void *)frame_host(m, b);
	uint64_t differ = 0;

	for (unsigned i = 256; i < 512; i++)
		differ |= ta[i] ^ tb[i];
	return differ;
}

static uint64_t halves_differ(struct mem *m, mfn_t one, mfn_t other)
{
	mfn_t a = one < other ? one : other, b = one < other ? other : one;
	struct roots_seen *seen = &m->roots_seen[(a ^ b) % ROOTS_SEEN];
	uint64_t differ;

	if (!frame_here(m, a) || !frame_here(m, b))
		return PTE_P;
	if (seen->gen == m->roots_gen && seen->a == a && seen->b == b)
		return seen->differ;
	differ = compare_halves(m, a, b);
	if (frame_of(m, a)->flags & frame_of(m, b)->flags & FRAME_PT) {
		frame_of(m, a)->flags |= FRAME_ROOT;
		frame_of(m, b)->flags |= FRAME_ROOT;
		*seen = (struct roots_seen){ .gen = m->roots_gen, .a = a, .b = b, .differ = differ };
	}
	return differ;
}

/*
 * The kernel half of the TLB outlives a switch between roots that agree on it:
 * its entries are derived from the new root from now on, and the new root's
 * slots count as accessed where the old one's were.  (What the guest sees of
 * that is a function of its own tables only, never of what the TLB held.)
 */
static void inherit_kernel_half(struct mem *m, mfn_t old, mfn_t root, uint64_t differ)
{
	uint64_t *to = (void *)frame_host(m, root);
	const uint64_t *from = (const void *)frame_host(m, old);

	for (unsigned i = 256; i < 512 && (differ & PTE_A); i++) {
		uint64_t set = from[i] & ~to[i] & PTE_A;

		if (set == 0)
			continue;
		if (m->watch.n != 0)
			watch_walk(m, root, i * 8);
		note_write(m, root);
		root_changes(m, root);
		to[i] |= set;
	}
	tlb_note_pt(m, root, 4, (gva_t)1 << 63);
}

/* Nothing in a TLB comes from this root any more. */
static void forget_root(struct mem *m, mfn_t mfn)
{
	if (!frame_ok(m, mfn))
		return;
	for EACH_MMU(u, m)
		if (u->root[MEM_KERNEL] == mfn || u->root[MEM_USER] == mfn)
			return;
	frame_of(m, mfn)->pt_epoch[HALF_USER] = 0;
	frame_of(m, mfn)->pt_epoch[HALF_KERNEL] = 0;
}

static bool half_unused(struct mem *m, enum mem_half half)
{
	for EACH_MMU(u, m)
		if (u->used[MEM_KERNEL][half].n != 0 || u->used[MEM_USER][half].n != 0 ||
		    u->fetch_used[MEM_KERNEL][half].n != 0 || u->fetch_used[MEM_USER][half].n != 0)
			return false;
	return true;
}

bool mmu_same_kernel(struct mmu *u, mfn_t root)
{
	mfn_t now = u->root[MEM_KERNEL];

	return now == root || (halves_differ(u->mem, now, root) & ~(PTE_A | PTE_D)) == 0;
}

void mmu_set_root(struct mmu *u, enum mem_mode mode, mfn_t root)
{
	struct mem *m = u->mem;
	mfn_t old = u->root[mode];
	uint64_t differ;

	if (old == root)
		return;
	differ = halves_differ(m, old, root);
	u->root[mode] = root;
	space_root_set(u);
	tlb_flush_half(u, mode, HALF_USER);
	if ((differ & ~(PTE_A | PTE_D)) == 0)
		inherit_kernel_half(m, old, root, differ);
	else
		tlb_flush_half(u, mode, HALF_KERNEL);
	forget_root(m, old);
	if (half_unused(m, HALF_USER))
		m->epoch[HALF_USER]++; /* no table of the old space matters now */
}
