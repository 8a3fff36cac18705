/*
 * epoch.c - which frames were written since when, and the digest of memory
 * that is kept up to date with it.
 *
 * A write epoch costs a bit per frame, set where a frame becomes writable to
 * translated code and not at each store; so it may name frames that nobody
 * wrote to.  What is made of it must not depend on that: the sum does not.
 */
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/internal.h"
#include "util/xxh.h"
#include "util/zero.h"

enum { MAP_BATCH = 4096 }; /* pages asked of the kernel at a time */

static size_t words(const struct mem *m)
{
	return (size_t)(m->all_pages + 63) / 64;
}

void epoch_free(struct mem *m)
{
	free(m->written);
	for (int i = 0; i < MEM_LISTENERS; i++)
		free(m->earlier[i]);
	free(m->dirty);
	free(m->changed);
	if (m->sums != NULL)
		munmap(m->sums, m->all_pages * sizeof *m->sums);
}

/* What was written until now is news to all listeners but the one whose epoch begins. */
static void pass_on(struct mem *m, enum mem_listener but)
{
	for (int i = 0; i < MEM_LISTENERS; i++)
		for (size_t w = 0; m->earlier[i] != NULL && w < words(m); w++)
			m->earlier[i][w] = i == (int)but ? 0 : m->earlier[i][w] | m->written[w];
	memset(m->written, 0, words(m) * sizeof *m->written);
}

int mem_epoch_begin(struct mem *m, enum mem_listener who)
{
	if (m->earlier[who] == NULL)
		m->earlier[who] = calloc(words(m), sizeof *m->written);
	if (m->written == NULL)
		m->written = calloc(words(m), sizeof *m->written);
	if (m->earlier[who] == NULL || m->written == NULL)
		return -1;
	pass_on(m, who);
	for (unsigned name = 1; name <= 2 * MEM_MMUS; name++) {
		struct tlb *t = tlb_named(m, name);

		for (unsigned i = 0; i < TLB_SIZE; i++)
			t->e[i].wtag = TLB_EMPTY(i);
		tlb_drop_stack(t);
	}
	space_unwrite_all(m);
	return 0;
}

static uint64_t dirty_word(const struct mem *m, enum mem_listener who, size_t w)
{
	return m->earlier[who] != NULL ? m->earlier[who][w] | m->written[w] : 0;
}

size_t mem_epoch_count(const struct mem *m, enum mem_listener who)
{
	size_t n = 0;

	for (size_t w = 0; w < words(m); w++)
		n += (size_t)__builtin_popcountll(dirty_word(m, who, w));
	return n;
}

const mfn_t *mem_epoch_dirty(struct mem *m, enum mem_listener who, size_t *n)
{
	size_t total = mem_epoch_count(m, who), k = 0;
	mfn_t *list = realloc(m->dirty, (total + 1) * sizeof *list);

	*n = 0;
	if (list == NULL)
		return NULL;
	m->dirty = list;
	for (size_t w = 0; k < total; w++)
		for (uint64_t bits = dirty_word(m, who, w); bits != 0; bits &= bits - 1)
			list[k++] = MEM_FIRST_MFN + w * 64 + (unsigned)__builtin_ctzll(bits);
	*n = total;
	return list;
}

static uint64_t frame_sum(const struct mem *m, mfn_t mfn)
{
	const uint8_t *p = frame_host(m, mfn);

	return is_zero(p, PAGE_SIZE) ? 0 : XXH3_64bits_withSeed(p, PAGE_SIZE, mfn);
}

/*
 * Pages that the kernel never gave us are zero: they are not touched, or a
 * large guest that is mostly idle would become as large as it may be.
 */
void mem_each_used(const struct mem *m, void (*fn)(void *ctx, mfn_t mfn), void *ctx)
{
	uint64_t map[MAP_BATCH], first = (uint64_t)m->ram >> PAGE_SHIFT;
	int fd;

	if (m->space.fd >= 0) {
		space_each_used(m, fn, ctx);
		return;
	}
	fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	for (uint64_t i = 0; i < m->all_pages; i += MAP_BATCH) {
		uint64_t n = m->all_pages - i < MAP_BATCH ? m->all_pages - i : MAP_BATCH;

		if (fd < 0 || pread(fd, map, n * 8, (off_t)((first + i) * 8)) != (ssize_t)(n * 8))
			memset(map, 0xff, sizeof map);
		for (uint64_t k = 0; k < n; k++)
			if (map[k] >> 62 != 0) /* present or swapped out */
				fn(ctx, MEM_FIRST_MFN + i + k);
	}
	if (fd >= 0)
		close(fd);
}

struct summing {
	const struct mem *m;
	uint64_t *sums, sum;
};

static void add_sum(void *ctx, mfn_t mfn)
{
	struct summing *s = ctx;
	uint64_t one = frame_sum(s->m, mfn);

	if (s->sums != NULL && one != 0)
		s->sums[mfn - MEM_FIRST_MFN] = one;
	s->sum += one;
}

/* The sum over everything, and each frame's share in `sums` when not NULL. */
static uint64_t sum_all(const struct mem *m, uint64_t *sums)
{
	struct summing s = { .m = m, .sums = sums };

	mem_each_used(m, add_sum, &s);
	return s.sum;
}

uint64_t mem_sum_all(const struct mem *m)
{
	return sum_all(m, NULL);
}

static void first_sum(struct mem *m)
{
	m->sums = mmap(NULL, m->all_pages * sizeof *m->sums, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->sums == MAP_FAILED || mem_epoch_begin(m, MEM_FOR_SUM) != 0)
		abort();
	m->sum = sum_all(m, m->sums);
	m->changes_known = m->restored = false;
	m->nchanged = 0;
}

const struct mem_change *mem_changed(const struct mem *m, size_t *n)
{
	*n = m->nchanged;
	return m->changes_known ? m->changed : NULL;
}

uint64_t mem_sum(struct mem *m)
{
	struct mem_change *changed = NULL;
	const mfn_t *list;
	size_t n;

	if (m->sums == NULL) {
		first_sum(m);
		return m->sum;
	}
	list = mem_epoch_dirty(m, MEM_FOR_SUM, &n);
	if (list != NULL)
		changed = realloc(m->changed, (n + 1) * sizeof *changed);
	if (changed == NULL)
		abort(); /* a few bytes per page: the process is lost anyway */
	m->changed = changed;
	m->nchanged = 0;
	m->changes_known = !m->restored;
	m->restored = false;
	for (size_t i = 0; i < n; i++) {
		uint64_t *old = &m->sums[list[i] - MEM_FIRST_MFN], now = frame_sum(m, list[i]);

		if (now == *old)
			continue;
		changed[m->nchanged++] = (struct mem_change){ list[i], now - *old };
		m->sum += now - *old;
		*old = now;
	}
	mem_epoch_begin(m, MEM_FOR_SUM);
	return m->sum;
}
