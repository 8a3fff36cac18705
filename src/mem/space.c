/*
 * space.c - memory that can be mapped twice, and what becomes of it in a forked process.
 *
 * A child has memory of its own, as with any fork(): it maps the file anew, privately, before
 * it does anything else.  (Its parent must not run the guest meanwhile: what the child has
 * not looked at yet is the parent's.)
 */
#define _GNU_SOURCE
#include "mem/space.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <unistd.h>

#include "mem/internal.h"
#include "util/hugemap.h"
#include "util/layout.h"

enum { MEMS = 16 };
/* Those of this process whose memory is a file; away: in a child there is nothing of it, nor *m. */
static struct {
	struct mem *m;
	int fd;
	bool away;
} shared[MEMS];
static pthread_mutex_t registry = PTHREAD_MUTEX_INITIALIZER;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void own(struct mem *m)
{
	struct space *s = &m->space;

	mem_space_end(m);
	if (mmap(m->ram, m->all_pages << PAGE_SHIFT, PROT_READ | PROT_WRITE,
	    MAP_PRIVATE | MAP_NORESERVE | MAP_FIXED, s->fd, 0) == MAP_FAILED)
		abort(); /* or it would write into its parent's */
	s->fd = -1;
	s->enabled = false;
}

static void before_fork(void) { pthread_mutex_lock(&registry); }
static void in_parent(void) { pthread_mutex_unlock(&registry); }
static void in_child(void)
{
	for (int i = 0; i < MEMS; i++) {
		if (shared[i].m == NULL)
			continue;
		if (!shared[i].away)
			own(shared[i].m);
		close(shared[i].fd);
		shared[i].m = NULL;
	}
	pthread_mutex_unlock(&registry);
}

static void watch_forks(void) { pthread_atfork(before_fork, in_parent, in_child); }

static bool enter(struct mem *m, struct mem *was)
{
	bool done = false;

	pthread_once(&once, watch_forks);
	pthread_mutex_lock(&registry);
	for (int i = 0; i < MEMS && !done; i++)
		if (shared[i].m == was) {
			shared[i].m = m;
			shared[i].fd = m != NULL ? m->space.fd : -1;
			shared[i].away = false;
			done = true;
		}
	pthread_mutex_unlock(&registry);
	return done;
}

void space_fork(const struct mem *m, bool too)
{
	pthread_mutex_lock(&registry);
	for (int i = 0; i < MEMS; i++)
		if (shared[i].m == m)
			shared[i].away = !too;
	pthread_mutex_unlock(&registry);
}

void space_free(struct mem *m)
{
	struct space *s = &m->space;

	mem_space_end(m);
	if (s->enabled) {
		enter(NULL, m);
		close(s->fd);
	}
	free(s->page);
	free(s->hash);
	free(s->table);
}

int mem_space_enable(struct mem *m, bool anywhere)
{
	struct space *s = &m->space;
	size_t n = (size_t)m->all_pages << PAGE_SHIFT;
	uint64_t from, to;

	if (m->all_pages > UINT32_MAX || (!layout_settled(&from, &to) && !anywhere))
		return -1;
	if (to != 0) {
		s->near_from = (from - SPACE_MARGIN) & ~(SPACE_MARGIN - 1);
		s->near_to = to + SPACE_MARGIN;
	}
	s->page = calloc(SPACE_PAGES, sizeof *s->page);
	s->hash = calloc((size_t)1 << SPACE_HASH_BITS, sizeof *s->hash);
	s->table = calloc(SPACE_TABLES, sizeof *s->table);
	s->fd = memfd_create("guest", MFD_CLOEXEC);
	if (s->page == NULL || s->hash == NULL || s->table == NULL || s->fd < 0 ||
	    ftruncate(s->fd, (off_t)n) != 0 || !enter(m, NULL)) {
		if (s->fd >= 0)
			close(s->fd);
		s->fd = -1;
		return -1; /* space_free() has the rest */
	}
	if (mmap(m->ram, n, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE | MAP_FIXED, s->fd, 0) ==
	    MAP_FAILED)
		abort(); /* what was there is gone */
	madvise(m->ram, n, MADV_HUGEPAGE);
	s->top = 1;
	s->enabled = true;
	return 0;
}

/* Calls fn for each frame that the file has: one that was swapped out is among them. */
void space_each_used(const struct mem *m, void (*fn)(void *ctx, mfn_t mfn), void *ctx)
{
	off_t end = (off_t)(m->all_pages << PAGE_SHIFT), at = 0, hole;

	while ((at = lseek(m->space.fd, at, SEEK_DATA)) >= 0 && at < end) {
		hole = lseek(m->space.fd, at, SEEK_HOLE);
		for (; at < hole; at += PAGE_SIZE)
			fn(ctx, MEM_FIRST_MFN + ((uint64_t)at >> PAGE_SHIFT));
	}
}
