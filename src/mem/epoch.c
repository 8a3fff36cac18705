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
#define XXH_INLINE_ALL
#include <xxhash.h>

#include "mem/priv.h"

enum { MAP_BATCH = 4096 }; /* pages asked of the kernel at a time */

static size_t words(const struct mem *m)
{
	return (size_t)(m->all_pages + 63) / 64;
}

void epoch_free(struct mem *m)
{
	free(m->written);
	free(m->dirty);
	if (m->sums != NULL)
		munmap(m->sums, m->all_pages * sizeof *m->sums);
}

int mem_epoch_begin(struct mem *m)
{
	if (m->written == NULL) {
		m->written = malloc(words(m) * sizeof *m->written);
		if (m->written == NULL)
			return -1;
	}
	memset(m->written, 0, words(m) * sizeof *m->written);
	for (int mode = 0; mode < 2; mode++)
		for (unsigned i = 0; i < TLB_SIZE; i++)
			m->tlb[mode].wtag[i] = TLB_EMPTY(i);
	return 0;
}

static size_t count(const struct mem *m)
{
	size_t n = 0;

	for (size_t w = 0; m->written != NULL && w < words(m); w++)
		n += (size_t)__builtin_popcountll(m->written[w]);
	return n;
}

const mfn_t *mem_epoch_dirty(struct mem *m, size_t *n)
{
	size_t total = count(m), k = 0;
	mfn_t *list = realloc(m->dirty, (total + 1) * sizeof *list);

	*n = 0;
	if (list == NULL)
		return NULL;
	m->dirty = list;
	for (size_t w = 0; k < total; w++)
		for (uint64_t bits = m->written[w]; bits != 0; bits &= bits - 1)
			list[k++] = MEM_FIRST_MFN + w * 64 + (unsigned)__builtin_ctzll(bits);
	*n = total;
	return list;
}

static bool is_zero(const uint8_t *p)
{
	return p[0] == 0 && memcmp(p, p + 1, PAGE_SIZE - 1) == 0;
}

static uint64_t frame_sum(const struct mem *m, mfn_t mfn)
{
	const uint8_t *p = frame_host(m, mfn);

	return is_zero(p) ? 0 : XXH3_64bits_withSeed(p, PAGE_SIZE, mfn);
}

/*
 * The sum over everything, and each frame's share in `sums` when not NULL.
 * Pages that the kernel never gave us are zero: they are not touched, or a
 * large guest that is mostly idle would become as large as it may be.
 */
static uint64_t sum_all(const struct mem *m, uint64_t *sums)
{
	uint64_t map[MAP_BATCH], sum = 0, first = (uint64_t)m->ram >> PAGE_SHIFT;
	int fd = open("/proc/self/pagemap", O_RDONLY | O_CLOEXEC);

	for (uint64_t i = 0; i < m->all_pages; i += MAP_BATCH) {
		uint64_t n = m->all_pages - i < MAP_BATCH ? m->all_pages - i : MAP_BATCH;

		if (fd < 0 || pread(fd, map, n * 8, (off_t)((first + i) * 8)) != (ssize_t)(n * 8))
			memset(map, 0xff, sizeof map);
		for (uint64_t k = 0; k < n; k++) {
			uint64_t one;

			if (map[k] >> 62 == 0) /* neither present nor swapped out */
				continue;
			one = frame_sum(m, MEM_FIRST_MFN + i + k);
			if (sums != NULL && one != 0)
				sums[i + k] = one;
			sum += one;
		}
	}
	if (fd >= 0)
		close(fd);
	return sum;
}

uint64_t mem_sum_all(const struct mem *m)
{
	return sum_all(m, NULL);
}

static void first_sum(struct mem *m)
{
	m->sums = mmap(NULL, m->all_pages * sizeof *m->sums, PROT_READ | PROT_WRITE,
		MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (m->sums == MAP_FAILED || mem_epoch_begin(m) != 0)
		abort();
	m->sum = sum_all(m, m->sums);
}

uint64_t mem_sum(struct mem *m)
{
	const mfn_t *list;
	size_t n;

	if (m->sums == NULL) {
		first_sum(m);
		return m->sum;
	}
	list = mem_epoch_dirty(m, &n);
	if (list == NULL)
		abort(); /* a few bytes per page: the process is lost anyway */
	for (size_t i = 0; i < n; i++) {
		uint64_t *old = &m->sums[list[i] - MEM_FIRST_MFN], now = frame_sum(m, list[i]);

		m->sum += now - *old;
		*old = now;
	}
	mem_epoch_begin(m);
	return m->sum;
}
