/*
 * pages.c - pages in memory, counted; see pages.h.
 *
 *  PG1. refs[id] is how many tables' entries name the page; at 0 its room is on
 *      the free list.
 *  PG2. A page's bytes do not change while it is counted.
 */
#include "timeline/pages.h"

#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

struct pages {
	uint64_t frames;
	uint8_t *boot;   /* all frames as they were built; what was zero takes no memory */
	uint8_t *bytes;  /* page id at (id - 1) * PAGE_SIZE */
	uint32_t *refs;
	uint32_t *unused; /* a stack of ids that were used once */
	uint32_t nunused, used, max;
};

static void *reserve(size_t n)
{
	void *p = mmap(NULL, n, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	return p != MAP_FAILED ? p : NULL;
}

struct boot_copy {
	const struct mem *m;
	uint8_t *to;
};

static void copy_boot(void *ctx, mfn_t mfn)
{
	struct boot_copy *b = ctx;
	const uint8_t *p = mem_page(b->m, mfn);

	if (p[0] != 0 || memcmp(p, p + 1, PAGE_SIZE - 1) != 0)
		memcpy(b->to + ((mfn - MEM_FIRST_MFN) << PAGE_SHIFT), p, PAGE_SIZE);
}

struct pages *pages_create(const struct mem *m, size_t bytes, struct ttd_error *e)
{
	struct pages *s = calloc(1, sizeof *s);
	struct boot_copy b = { .m = m };

	if (s == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	s->frames = mem_all_pages(m);
	s->max = (uint32_t)(bytes >> PAGE_SHIFT < PAGE_FILE / 2 ? bytes >> PAGE_SHIFT : PAGE_FILE / 2);
	s->boot = b.to = reserve(s->frames << PAGE_SHIFT);
	s->bytes = reserve((size_t)s->max << PAGE_SHIFT);
	s->refs = reserve(((size_t)s->max + 1) * sizeof *s->refs);
	s->unused = reserve((size_t)s->max * sizeof *s->unused);
	if (s->boot == NULL || s->bytes == NULL || s->refs == NULL || s->unused == NULL) {
		err_set(e, TTD_HOST, "cannot get memory for checkpoints");
		pages_free(s);
		return NULL;
	}
	mem_each_used(m, copy_boot, &b);
	return s;
}

static void release(void *p, size_t n)
{
	if (p != NULL)
		munmap(p, n);
}

void pages_free(struct pages *s)
{
	if (s == NULL)
		return;
	release(s->boot, s->frames << PAGE_SHIFT);
	release(s->bytes, (size_t)s->max << PAGE_SHIFT);
	release(s->refs, ((size_t)s->max + 1) * sizeof *s->refs);
	release(s->unused, (size_t)s->max * sizeof *s->unused);
	free(s);
}

uint64_t pages_frames(const struct pages *s)
{
	return s->frames;
}

const uint8_t *pages_at(const struct pages *s, uint64_t frame, uint32_t id)
{
	return id == PAGE_BOOT ? s->boot + (frame << PAGE_SHIFT)
		: s->bytes + ((size_t)(id - 1) << PAGE_SHIFT);
}

uint32_t pages_add(struct pages *s, const uint8_t *bytes)
{
	uint32_t id;

	if (s->nunused > 0)
		id = s->unused[--s->nunused];
	else if (s->used < s->max)
		id = ++s->used;
	else
		return PAGE_UNKNOWN;
	memcpy(s->bytes + ((size_t)(id - 1) << PAGE_SHIFT), bytes, PAGE_SIZE);
	s->refs[id] = 1;
	return id;
}

static bool counted(uint32_t id)
{
	return id != PAGE_BOOT && !(id & PAGE_FILE); /* nor PAGE_UNKNOWN */
}

static void drop(struct pages *s, uint32_t id)
{
	if (counted(id) && --s->refs[id] == 0)
		s->unused[s->nunused++] = id;
}

void table_free(struct pages *s, uint32_t *table)
{
	for (uint64_t i = 0; table != NULL && i < s->frames; i++)
		drop(s, table[i]);
	free(table);
}

uint32_t *table_copy(struct pages *s, const uint32_t *from)
{
	uint32_t *t = malloc(s->frames * sizeof *t);

	if (t == NULL)
		return NULL;
	memcpy(t, from, s->frames * sizeof *t);
	for (uint64_t i = 0; i < s->frames; i++)
		if (counted(t[i]))
			s->refs[t[i]]++;
	return t;
}

void table_set(struct pages *s, uint32_t *table, uint64_t frame, uint32_t id)
{
	drop(s, table[frame]);
	table[frame] = id;
}

void table_assign(struct pages *s, uint32_t *table, const uint32_t *from)
{
	for (uint64_t i = 0; i < s->frames; i++) {
		if (table[i] == from[i])
			continue;
		if (counted(from[i]))
			s->refs[from[i]]++;
		table_set(s, table, i, from[i]);
	}
}
