/*
 * point.c - breakpoints and watches set from outside, for debuggers.  The guest
 * cannot tell: counts, state and memory are the same with and without them.
 *
 * At a breakpoint translation stops (trans.c) and run.c looks.
 * Kernel code is translated for its address, so only that address is slow; user
 * code for all mappings of a frame, so an instruction at the same offset of any
 * page is.  Where the look finds nothing, execution goes on in a block whose
 * first instruction has been looked at (BM_PASS).  Stops stay marked in
 * translations when the breakpoint goes: a debugger takes its breakpoints out
 * and puts them back at every stop, and that should cost nothing.
 *
 * Watches are in mem/watch.h.
 */
#include <stdlib.h>
#include <string.h>

#include "cpu/internal.h"

enum { STOPS_KEPT = 256 };

static int by_address(const void *a, const void *b)
{
	uint64_t x = *(const uint64_t *)a, y = *(const uint64_t *)b;

	return (x > y) - (x < y);
}

static bool is_stop(const struct points *p, uint64_t va)
{
	return p->nstops != 0 &&
		bsearch(&va, p->stops, p->nstops, sizeof va, by_address) != NULL;
}

static void mark(struct points *p)
{
	memset(p->offsets, 0, sizeof p->offsets);
	for (size_t i = 0; i < p->nstops; i++) {
		unsigned off = p->stops[i] & (PAGE_SIZE - 1);

		p->offsets[off / 64] |= (uint64_t)1 << off % 64;
	}
}

/* The addresses of all breakpoints, and of old ones unless there are too many. */
static int add_stops(struct cpu *c, const struct cpu_break *b, size_t n)
{
	struct points *p = &c->points;
	size_t keep = p->nstops + n > STOPS_KEPT ? 0 : p->nstops, k = keep;
	uint64_t *v;
	bool new = keep != p->nstops;

	for (size_t i = 0; i < n && !new; i++)
		new = !is_stop(p, b[i].va);
	if (!new)
		return 0;
	v = malloc((keep + n) * sizeof *v);
	if (v == NULL)
		return -1;
	if (keep != 0)
		memcpy(v, p->stops, keep * sizeof *v);
	for (size_t i = 0; i < n; i++)
		if (keep == 0 || !is_stop(p, b[i].va))
			v[k++] = b[i].va;
	qsort(v, k, sizeof *v, by_address);
	free(p->stops);
	p->stops = v;
	p->nstops = k;
	mark(p);
	cache_flush(c);
	return 0;
}

int cpu_set_breaks(struct cpu *c, const struct cpu_break *b, size_t n)
{
	struct points *p = &c->points;
	struct cpu_break *copy = NULL;

	if (n != 0) {
		copy = malloc(n * sizeof *copy);
		if (copy == NULL || add_stops(c, b, n) != 0) {
			free(copy);
			return -1;
		}
		memcpy(copy, b, n * sizeof *copy);
	}
	free(p->breaks);
	p->breaks = copy;
	p->nbreaks = n;
	p->passed = UINT64_MAX;
	return 0;
}

void cpu_pass_break(struct cpu *c)
{
	c->points.passed = c->s.icount;
	c->points.passed_rip = c->s.rip;
}

void points_free(struct cpu *c)
{
	free(c->points.breaks);
	free(c->points.stops);
}

/* Does a translation stop at this instruction to look?  page: of kernel code. */
bool points_stop_at(const struct cpu *c, bool kernel, uint64_t page, unsigned off)
{
	const struct points *p = &c->points;

	if (p->nstops == 0 || !(p->offsets[off / 64] >> off % 64 & 1))
		return false;
	return !kernel || is_stop(p, page + off);
}

static void exit_debug(struct cpu *c)
{
	memset(&c->x, 0, sizeof c->x);
	c->x.reason = CPU_EXIT_DEBUG;
}

/* true: a breakpoint on the instruction at rip; cpu.x is the exit. */
bool points_break(struct cpu *c)
{
	struct points *p = &c->points;

	unsigned off = c->s.rip & (PAGE_SIZE - 1);

	if (!(p->offsets[off / 64] >> off % 64 & 1) ||
	    (p->passed == c->s.icount && p->passed_rip == c->s.rip))
		return false;
	for (size_t i = 0; i < p->nbreaks; i++) {
		const struct cpu_break *b = &p->breaks[i];

		if (b->va != c->s.rip || (b->modes != 0 && !(b->modes >> c->s.mode & 1)) ||
		    (b->root != MFN_NONE && b->root != mmu_root(c->mmu, MEM_KERNEL)))
			continue;
		cpu_pass_break(c);
		exit_debug(c);
		c->x.debug.index = (unsigned)i;
		return true;
	}
	return false;
}

/*
 * true: memory that is watched was accessed; cpu.x is the exit.  A repeated
 * string instruction comes to its end first, or to what interrupts it.
 */
bool points_watch(struct cpu *c)
{
	const struct mem_watch_hit *hit = mem_watch_hit(c->mem);

	if (hit == NULL || (c->rep_at == c->s.icount && c->points.rep_rip == c->s.rip))
		return false;
	exit_debug(c);
	c->x.debug.watch = true;
	c->x.debug.index = hit->index;
	c->x.debug.hit = *hit;
	c->x.debug.rip = hit->by == WATCH_BY_HYPERVISOR ? 0 : c->points.insn_rip;
	mem_watch_clear(c->mem);
	return true;
}
