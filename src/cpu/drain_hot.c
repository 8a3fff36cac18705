/*
 * drain_hot.c - what happens to translations when guest code or its mapping changes.
 *
 * Also where the guest's vector registers are live (quick_hot.c), but never in the midst
 * of a block.
 */
#include "cpu/internal.h"

static void unlink_in(const struct cpu *c, struct block *b, bool far_only)
{
	struct link **pl = &b->in_links, *l;

	while ((l = *pl) != NULL) {
		if (far_only && !l->far) {
			pl = &l->next;
			continue;
		}
		*pl = l->next;
		l->to = NULL;
		l->left = LINK_USES;
		link_set(c, l, l->stub);
	}
}

static void unlink_far(struct cpu *c, enum mem_mode mode)
{
	for (struct link *l = c->far_links[mode]; l != NULL; l = l->far_next) {
		l->listed = false;
		if (l->to != NULL)
			unlink_in(c, l->to, true);
	}
	c->far_links[mode] = NULL;
}

static void kill_block(struct cpu *c, struct block *b)
{
	struct block **pb = &c->hash[block_hash(b->phys, b->page, b->mode)];

	b->dead = true;
	while (*pb != NULL && *pb != b)
		pb = &(*pb)->hash_next;
	if (*pb == b)
		*pb = b->hash_next;
	unlink_in(c, b, false);
}

static void kill_frame(struct cpu *c, mfn_t mfn)
{
	struct block *b = c->frame_blocks[mfn - MEM_FIRST_MFN], *next;

	c->frame_blocks[mfn - MEM_FIRST_MFN] = NULL;
	for (; b != NULL; b = next) {
		next = b->phys >> PAGE_SHIFT == mfn ? b->frame_next : b->frame2_next;
		if (!b->dead)
			kill_block(c, b);
	}
	c->stats.code_invalidations++;
}

void cache_drain(struct cpu *c)
{
	bool killed = false;
	mfn_t mfn;

	while ((mfn = mem_next_dirty_code(c->mem)) != MFN_NONE) {
		kill_frame(c, mfn);
		killed = true;
	}
	for (int mode = 0; mode < 2; mode++) {
		uint64_t gen = mmu_fetch_gen(c->mmu, (enum mem_mode)mode);
		bool moved = gen != c->fetch_gen[mode];

		c->fetch_gen[mode] = gen;
		if (moved || killed)
			jc_flush(c, (enum mem_mode)mode);
		if (moved)
			unlink_far(c, (enum mem_mode)mode);
	}
}
