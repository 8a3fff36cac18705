/*
 * cache.c - the code cache: memory in the region for code and for what describes
 * it, and the hash of blocks.
 *
 * Both memories are filled from the bottom and emptied only as a whole; a dead
 * block's memory stays until then, so stale pointers to it are harmless.
 *
 * Code is written at other addresses than it runs at (util/codemap.h).  Processors
 * notice changes of code by its physical address; what manuals ask for besides, a
 * serializing instruction, is about processors of another age.
 */
#define _GNU_SOURCE
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "cpu/emit.h"
#include "cpu/internal.h"
#include "util/codemap.h"
#include "util/hugemap.h"

/* Sites must stay sorted by host address: they have the upper half to themselves. */
static struct site *site_base(struct cpu *c)
{
	return (struct site *)(void *)(c->meta + META_SIZE / 2);
}

/* A translation is as long as CODE_SLACK at most. */
static void ahead(const struct cpu *c, uint8_t **huge, const uint8_t *p)
{
	while (*huge - p < CODE_SLACK && *huge < c->cold_end) {
		code_huge(*huge + c->code_write, PIECE);
		*huge += PIECE;
	}
}

/* Before a translation: where it will be written is in huge pages, if the host has some. */
void cache_ahead(struct cpu *c)
{
	ahead(c, &c->huge[0], c->code_p);
	ahead(c, &c->huge[1], c->cold_p);
}

static void empty(struct cpu *c)
{
	c->code_p = c->glue_end;
	c->cold_p = c->cold;
	c->meta_p = c->meta;
	c->sites = c->site_p = site_base(c);
	c->huge[0] = c->code;
	c->huge[1] = c->code + (CODE_SIZE & -PIECE);
	cache_ahead(c);
}

/* ---- processes ---- */

static atomic_uint forks; /* how many there were from the first process to this one */
static pthread_once_t counting = PTHREAD_ONCE_INIT;

static void in_child(void) { atomic_fetch_add(&forks, 1); }
static void count_forks(void) { pthread_atfork(NULL, NULL, in_child); }

/* A child must not write into the code that its parent runs. */
void cache_own(struct cpu *c)
{
	unsigned now = atomic_load_explicit(&forks, memory_order_relaxed);

	if (c->forks == now)
		return;
	c->forks = now;
	if (code_map_anew(c->code, CODE_SIZE + COLD_SIZE, c->code_write) != 0)
		abort(); /* there is nothing that could run */
	glue_build(c);
	cache_flush(c);
}

/* ---- all of it ---- */

int cache_init(struct cpu *c, struct ttd_error *e)
{
	uint64_t pages = mem_all_pages(c->mem);

	c->code = code_map(CODE_SIZE + COLD_SIZE, &c->code_write);
	c->meta = huge_map(META_SIZE, PROT_READ | PROT_WRITE, true);
	c->jc = huge_map(2 * sizeof *c->jc, PROT_READ | PROT_WRITE, true);
	c->hash = calloc((size_t)1 << HASH_BITS, sizeof *c->hash);
	c->frame_blocks = calloc(pages, sizeof *c->frame_blocks);
	c->jc_used[0] = calloc(JC_SIZE, sizeof **c->jc_used);
	c->jc_used[1] = calloc(JC_SIZE, sizeof **c->jc_used);
	if (c->code == NULL || c->meta == NULL || c->jc == NULL || c->hash == NULL ||
	    c->frame_blocks == NULL || c->jc_used[0] == NULL || c->jc_used[1] == NULL)
		return err_set(e, TTD_HOST,
			"cannot get memory for the code cache (is executable memory "
			"forbidden here?)");
	c->cold = c->code_end = c->code + CODE_SIZE;
	c->cold_end = c->cold + COLD_SIZE;
	pthread_once(&counting, count_forks);
	c->forks = atomic_load(&forks);
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
	code_unmap(c->code, CODE_SIZE + COLD_SIZE, c->code_write);
	huge_unmap(c->meta, META_SIZE);
	huge_unmap(c->jc, 2 * sizeof *c->jc);
	free(c->hash);
	free(c->frame_blocks);
	free(c->jc_used[0]);
	free(c->jc_used[1]);
}

void cpu_fork(struct cpu *c, bool too)
{
	huge_fork(c->meta, META_SIZE, too);
	huge_fork(c->jc, 2 * sizeof *c->jc, too);
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
