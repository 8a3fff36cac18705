/*
 * watch.c - setting and asking for what watch_hot.c notes.
 */
#include <stdlib.h>
#include <string.h>

#include "mem/internal.h"

int mem_set_watches(struct mem *m, const struct mem_watch *w, size_t n)
{
	struct mem_watch *copy = NULL;

	if (n != 0) {
		copy = malloc(n * sizeof *copy);
		if (copy == NULL)
			return -1;
		memcpy(copy, w, n * sizeof *copy);
	}
	free(m->watch.v);
	m->watch.v = copy;
	m->watch.n = n;
	m->watch.hit = false;
	mem_space_end(m);
	for (unsigned name = 1; n != 0 && name <= 2 * MEM_MMUS; name++) /* WA1 */
		for (unsigned i = 0; i < TLB_SIZE; i++)
			tlb_drop(tlb_named(m, name), i);
	return 0;
}

const struct mem_watch_hit *mem_watch_hit(const struct mem *m)
{
	return m->watch.hit ? &m->watch.first : NULL;
}

void mem_watch_clear(struct mem *m)
{
	m->watch.hit = false;
}

void mem_watch_undo(struct mem *m)
{
	if (m->watch.first.by == WATCH_BY_INSN)
		m->watch.hit = false;
}

void mem_watch_by_insn(struct mem *m, bool insn)
{
	m->watch.insn = insn;
}
