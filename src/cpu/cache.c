/*
 * cache.c - the code cache: memory below 2 GiB for code and for what describes
 * it, the hash of blocks, links between them, and what happens when guest code
 * or its mapping changes.
 *
 * Both memories are filled from the bottom and emptied only as a whole; a dead
 * block's memory stays until then, so stale pointers to it are harmless.
 */
#define _GNU_SOURCE
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/emit.h"
#include "cpu/priv.h"
#include "util/hugemap.h"

/* Sites must stay sorted by host address: they have the upper half to themselves. */
static struct site *site_base(struct cpu *c)
{
	return (struct site *)(void *)(c->meta + META_SIZE / 2);
}

static void empty(struct cpu *c)
{
	c->code_p = c->glue_end;
	c->cold_p = c->cold;
	c->meta_p = c->meta;
	c->sites = c->site_p = site_base(c);
}

int cache_init(struct cpu *c, struct err *e)
{
	uint64_t pages = mem_all_pages(c->mem);

	c->code = huge_map(CODE_SIZE + COLD_SIZE, PROT_READ | PROT_WRITE | PROT_EXEC, true);
	c->meta = huge_map(META_SIZE, PROT_READ | PROT_WRITE, true);
	c->jc = huge_map(2 * sizeof *c->jc, PROT_READ | PROT_WRITE, true);
	c->hash = calloc((size_t)1 << HASH_BITS, sizeof *c->hash);
	c->frame_blocks = calloc(pages, sizeof *c->frame_blocks);
	c->jc_used[0] = calloc(JC_SIZE, sizeof **c->jc_used);
	c->jc_used[1] = calloc(JC_SIZE, sizeof **c->jc_used);
	if (c->code == NULL || c->meta == NULL || c->jc == NULL || c->hash == NULL ||
	    c->frame_blocks == NULL || c->jc_used[0] == NULL || c->jc_used[1] == NULL)
		return err_set(e, ST_HOST,
			"cannot get memory below 2 GiB for the code cache (is writable and executable "
			"memory forbidden here?)");
	c->cold = c->code_end = c->code + CODE_SIZE;
	c->cold_end = c->cold + COLD_SIZE;
	c->meta_end = c->meta + META_SIZE;
	for (int mode = 0; mode < 2; mode++)
		for (unsigned i = 0; i < JC_SIZE; i++)
			c->jc[mode][i].va = ~(uint64_t)i; /* never equal to a pc of this index */
	glue_build(c);
	empty(c);
	return 0;
}

void cache_free(struct cpu *c)
{
	huge_unmap(c->code, CODE_SIZE + COLD_SIZE);
	huge_unmap(c->meta, META_SIZE);
	huge_unmap(c->jc, 2 * sizeof *c->jc);
	free(c->hash);
	free(c->frame_blocks);
	free(c->jc_used[0]);
	free(c->jc_used[1]);
}

bool cache_room(struct cpu *c)
{
	return c->code_end - c->code_p > CODE_SLACK && c->cold_end - c->cold_p > CODE_SLACK &&
		(uint8_t *)site_base(c) - c->meta_p > META_SLACK &&
		c->meta_end - (uint8_t *)c->site_p > META_SLACK;
}

void *meta_alloc(struct cpu *c, size_t n)
{
	void *p = c->meta_p;

	c->meta_p += (n + 15) & ~(size_t)15;
	memset(p, 0, n);
	return p;
}

static void forget_frames(struct cpu *c)
{
	uint64_t pages = mem_all_pages(c->mem);

	memset(c->frame_blocks, 0, pages * sizeof *c->frame_blocks);
	memset(c->hash, 0, sizeof *c->hash << HASH_BITS);
}

void cache_flush(struct cpu *c)
{
	forget_frames(c);
	c->far_links[MEM_KERNEL] = c->far_links[MEM_USER] = NULL;
	empty(c);
	jc_flush(c, MEM_KERNEL);
	jc_flush(c, MEM_USER);
	c->stats.cache_flushes++;
}

void cache_insert(struct cpu *c, struct block *b)
{
	struct block **h = &c->hash[block_hash(b->phys, b->page, b->mode)];
	struct block **f = &c->frame_blocks[(b->phys >> PAGE_SHIFT) - MEM_FIRST_MFN];

	b->hash_next = *h;
	*h = b;
	b->frame_next = *f;
	*f = b;
	if (b->mfn2 != MFN_NONE) {
		f = &c->frame_blocks[b->mfn2 - MEM_FIRST_MFN];
		b->frame2_next = *f;
		*f = b;
	}
}

static void unlink_in(struct block *b, bool far_only)
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
		link_set(l, l->stub);
	}
}

static void unlink_far(struct cpu *c, enum mem_mode mode)
{
	for (struct link *l = c->far_links[mode]; l != NULL; l = l->far_next) {
		l->listed = false;
		if (l->to != NULL)
			unlink_in(l->to, true);
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
	unlink_in(b, false);
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
		uint64_t gen = mem_fetch_gen(c->mem, (enum mem_mode)mode);
		bool moved = gen != c->fetch_gen[mode];

		c->fetch_gen[mode] = gen;
		if (moved || killed)
			jc_flush(c, (enum mem_mode)mode);
		if (moved)
			unlink_far(c, (enum mem_mode)mode);
	}
}
