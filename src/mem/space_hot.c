/*
 * space_hot.c - see space.h.
 *
 * Runs in signal handlers and while the guest's vector registers are live: general registers
 * only, and nothing of libc.
 */
#include <sys/mman.h>

#include "mem/internal.h"
#include "util/layout.h"
#include "util/rawmap.h"

#define HASH(va) ((uint32_t)((va) >> PAGE_SHIFT) * 2654435761u >> (32 - SPACE_HASH_BITS))

/* ---- the table of mapped pages ---- */

static struct space_page *find(const struct space *s, gva_t va)
{
	for (uint32_t i = s->hash[HASH(va)]; i != 0; i = s->page[i].next)
		if (s->page[i].va == va)
			return &s->page[i];
	return NULL;
}

static struct space_page *add(struct mem *m, gva_t va, uint64_t frame)
{
	struct space *s = &m->space;
	uint32_t i = s->free != 0 ? s->free : s->top, *head = &s->hash[HASH(va)];
	struct space_page *p = &s->page[i];

	if (s->free != 0)
		s->free = p->next;
	else
		s->top++;
	*p = (struct space_page){ .va = va, .frame = (uint32_t)frame, .next = *head,
		.frame_next = m->frames[frame].space_page };
	*head = m->frames[frame].space_page = i;
	s->count++;
	s->stats.pages++;
	return p;
}

static void unchain(struct space *s, uint32_t *at, uint32_t i, bool of_frame)
{
	while (*at != i)
		at = of_frame ? &s->page[*at].frame_next : &s->page[*at].next;
	*at = of_frame ? s->page[i].frame_next : s->page[i].next;
}

static void take_out(struct mem *m, struct space_page *p)
{
	struct space *s = &m->space;
	uint32_t i = (uint32_t)(p - s->page);

	unchain(s, &s->hash[HASH(p->va)], i, false);
	unchain(s, &m->frames[p->frame].space_page, i, true);
	p->va = 0;
	s->count--;
	p->next = s->free;
	s->free = i;
}

/* ---- ending it, or some of it ---- */

static void unmap(struct mem *m, gva_t va)
{
	struct space_page *p = find(&m->space, va);

	if (p == NULL)
		return;
	take_out(m, p);
	raw_munmap(va, PAGE_SIZE);
	m->space.stats.unmapped++;
	m->space.cost++;
}

/* The pages from p on that follow each other and are, or are not, writable. */
static size_t run_from(const struct space *s, const struct space_page *p, bool writable_only)
{
	size_t n = PAGE_SIZE;

	while ((p = find(s, p->va + PAGE_SIZE)) != NULL && (p->writable || !writable_only))
		n += PAGE_SIZE;
	return n;
}

void mem_space_end(struct mem *m)
{
	struct space *s = &m->space;

	if (s->root == MFN_NONE)
		return;
	for (uint32_t i = 1; i < s->top; i++) {
		struct space_page *p = &s->page[i];

		if (p->va == 0 || find(s, p->va - PAGE_SIZE) != NULL)
			continue;
		for (gva_t va = p->va, end = va + run_from(s, p, false); va < end; va += PAGE_SIZE) {
			if (va == p->va)
				raw_munmap(va, (size_t)(end - va));
			take_out(m, find(s, va));
		}
	}
	for (uint32_t i = 0; i < s->ntables; i++)
		m->frames[s->table[i]].space_pt = 0;
	s->free = 0;
	s->top = 1;
	s->ntables = 0;
	s->root = MFN_NONE;
	for EACH_MMU(u, m)
		u->space_here = false;
}

/* Has the root a table for addresses close to what of ours is above? */
static bool is_near(const struct mmu *u)
{
	const struct mem *m = u->mem;
	const gva_t step = (gva_t)1 << (PAGE_SHIFT + 9);

	for (gva_t va = m->space.near_from; va < m->space.near_to; va += step) {
		mfn_t mfn = u->root[MEM_USER];

		for (unsigned level = 4; level > 1 && frame_here(m, mfn); level--) {
			const uint64_t *table = (const void *)frame_host(m, mfn);
			uint64_t e = table[va >> (PAGE_SHIFT + 9 * (level - 1)) & 511];

			mfn = e & PTE_P ? PTE_MFN(e) : MFN_NONE;
		}
		if (mfn != MFN_NONE)
			return true;
	}
	return false;
}

void mem_space_begin(struct mmu *u)
{
	struct mem *m = u->mem;
	struct space *s = &m->space;

	mem_space_end(m);
	if (!s->enabled || s->refused || m->watch.n != 0 || u->root[MEM_USER] == MFN_NONE ||
	    is_near(u))
		return;
	s->root = u->root[MEM_USER];
	for EACH_MMU(each, m)
		space_root_set(each);
	s->cost = 0;
	s->stats.begun++;
}

void mem_space_meets(struct mem *m, gva_t from, uint64_t n)
{
	if (from < LAYOUT_TO && (from >= LAYOUT_FROM || n > LAYOUT_FROM - from)) {
		m->space.refused = true;
		mem_space_end(m);
	}
}

/* ---- keeping MS1 and MS2 ---- */

void space_root_set(struct mmu *u)
{
	mfn_t root = u->mem->space.root;

	u->space_here = root != MFN_NONE && root == u->root[MEM_USER];
}

void space_unwrite(struct mem *m, mfn_t mfn)
{
	struct space *s = &m->space;

	for (uint32_t i = frame_of(m, mfn)->space_page; i != 0; i = s->page[i].frame_next) {
		if (!s->page[i].writable)
			continue;
		s->page[i].writable = false;
		raw_mprotect(s->page[i].va, PAGE_SIZE, PROT_READ);
		s->cost++;
	}
}

void space_unwrite_all(struct mem *m)
{
	struct space *s = &m->space;

	if (s->root == MFN_NONE)
		return;
	for (uint32_t i = 1; i < s->top; i++) {
		struct space_page *p = &s->page[i], *before;
		gva_t va = p->va, end;

		if (va == 0 || !p->writable ||
		    ((before = find(s, va - PAGE_SIZE)) != NULL && before->writable))
			continue;
		end = va + run_from(s, p, true);
		raw_mprotect(va, (size_t)(end - va), PROT_READ);
		for (; va < end; va += PAGE_SIZE)
			find(s, va)->writable = false;
	}
}

void space_pt_changed(struct mem *m, mfn_t mfn, unsigned index)
{
	uint64_t pt = frame_of(m, mfn)->space_pt, base = pt & PAGE_MASK;

	switch (pt & 7) {
	case 0:
		break;
	case 1:
		unmap(m, base + ((gva_t)index << PAGE_SHIFT));
		break;
	case 2:
		base += (gva_t)index << (PAGE_SHIFT + 9);
		for (unsigned i = 0; i < 512; i++)
			unmap(m, base + ((gva_t)i << PAGE_SHIFT));
		break;
	default:
		if (index < 256 || (pt & 7) != 4) /* else the kernel's half of a root */
			mem_space_end(m);
	}
}

void space_pt_release(struct mem *m, mfn_t mfn)
{
	uint64_t pt = frame_of(m, mfn)->space_pt;

	if ((pt & 7) != 1) {
		if (pt != 0)
			mem_space_end(m);
		return;
	}
	for (unsigned i = 0; i < 512; i++)
		space_pt_changed(m, mfn, i);
}

/* ---- mapping ---- */

/* Its entries lead to pages from here on.  false: they already do elsewhere. */
static bool note_table(struct mem *m, mfn_t mfn, unsigned level, gva_t va)
{
	struct space *s = &m->space;
	struct frame *fr = frame_of(m, mfn);
	unsigned shift = PAGE_SHIFT + 9 * level;
	uint64_t pt = (level == 4 ? 0 : va >> shift << shift) | level;

	if (fr->space_pt == pt)
		return true;
	if (fr->space_pt != 0 || s->ntables == SPACE_TABLES)
		return false;
	fr->space_pt = pt;
	s->table[s->ntables++] = (uint32_t)(mfn - MEM_FIRST_MFN);
	return true;
}

/* May a page of the guest's be mapped there (MS3)? */
static bool clear_of_us(const struct space *s, gva_t va)
{
	return !s->refused && (va < LAYOUT_FROM || va >= LAYOUT_TO) &&
		(va < s->near_from || va >= s->near_to);
}

static bool map_run(struct mem *m, gva_t va, uint64_t frame, unsigned n, bool writable)
{
	struct space *s = &m->space;

	if (s->count + n >= SPACE_PAGES)
		return false;
	if (!raw_mmap(va, (size_t)n << PAGE_SHIFT, PROT_READ | (writable ? PROT_WRITE : 0),
	    MAP_SHARED | MAP_FIXED | MAP_POPULATE, s->fd, frame << PAGE_SHIFT))
		return false;
	for (unsigned i = 0; i < n; i++) {
		add(m, va + ((gva_t)i << PAGE_SHIFT), frame + i)->writable = writable;
		if (writable)
			note_write(m, MEM_FIRST_MFN + frame + i);
	}
	return true;
}

enum { LEFT_OUT, READ_ONLY, WRITABLE };

/* What a page may be mapped as, by its entry in a table that is `writable` up to here. */
static int mapped_as(const struct mem *m, uint64_t e, bool writable)
{
	mfn_t mfn = PTE_MFN(e);

	if ((e & (PTE_P | PTE_A)) != (PTE_P | PTE_A) || !frame_here(m, mfn))
		return LEFT_OUT;
	return writable && (e & (PTE_RW | PTE_D)) == (PTE_RW | PTE_D) &&
		(frame_of(m, mfn)->flags & (FRAME_PT | FRAME_CODE | FRAME_READONLY)) == 0
		? WRITABLE : READ_ONLY;
}

/* The page of va, and those around it that can be, by runs of frames. */
static bool map_around(struct mem *m, const struct space_walk *w, gva_t va)
{
	unsigned index = va >> PAGE_SHIFT & 511, i = index & ~(SPACE_AROUND - 1u), end = i + SPACE_AROUND;
	gva_t base = (va & PAGE_MASK) - ((gva_t)index << PAGE_SHIFT);

	while (i < end) {
		int as = mapped_as(m, w->table[i], w->writable), next = as;
		unsigned n = 0;

		if (as == LEFT_OUT || find(&m->space, base + ((gva_t)i << PAGE_SHIFT)) != NULL) {
			i++;
			continue;
		}
		while (i + n < end && next == as && PTE_MFN(w->table[i + n]) == PTE_MFN(w->table[i]) + n &&
		    find(&m->space, base + ((gva_t)(i + n) << PAGE_SHIFT)) == NULL) {
			n++;
			if (i + n < end)
				next = mapped_as(m, w->table[i + n], w->writable);
		}
		if (!map_run(m, base + ((gva_t)i << PAGE_SHIFT), PTE_MFN(w->table[i]) - MEM_FIRST_MFN, n,
		    as == WRITABLE))
			return false;
		i += n;
	}
	return true;
}

/* The walk changes nothing (mmu_no_effect()), and its tables are known from now on. */
static bool walk_known(struct mem *m, gva_t va, struct space_walk *w)
{
	mfn_t mfn = m->space.root;

	w->writable = true;
	for (unsigned level = 4;; level--) {
		uint64_t e;

		w->table = (const uint64_t *)(const void *)frame_host(m, mfn);
		if (!(frame_of(m, mfn)->flags & FRAME_PT) || !note_table(m, mfn, level, va))
			return false;
		if (level == 1)
			return true;
		e = w->table[va >> (PAGE_SHIFT + 9 * (level - 1)) & 511];
		w->writable &= (e & PTE_RW) != 0;
		mfn = PTE_MFN(e);
	}
}

static enum space_answer map_page(struct mem *m, gva_t va, enum mem_access access)
{
	struct space_page *p = find(&m->space, va & PAGE_MASK);
	struct space_walk w;
	int as;

	if (!clear_of_us(&m->space, va) || !walk_known(m, va, &w)) {
		mem_space_end(m);
		return SPACE_CAREFUL;
	}
	as = mapped_as(m, w.table[va >> PAGE_SHIFT & 511], w.writable);
	if (as == LEFT_OUT || (access == MEM_WRITE && as != WRITABLE))
		return SPACE_CAREFUL;
	if (p != NULL && (p->writable || as != WRITABLE))
		return SPACE_CAREFUL; /* the host has its own reasons */
	if (p != NULL) {
		note_write(m, MEM_FIRST_MFN + p->frame);
		p->writable = raw_mprotect(p->va, PAGE_SIZE, PROT_READ | PROT_WRITE);
		return p->writable ? SPACE_MAPPED : SPACE_CAREFUL;
	}
	if (!map_around(m, &w, va)) {
		mem_space_end(m);
		return SPACE_CAREFUL;
	}
	return SPACE_MAPPED;
}

enum space_answer mem_space_fault(struct mmu *u, gva_t va, unsigned size, enum mem_access access,
	struct mem_fault *f)
{
	struct mem *m = u->mem;
	unsigned off = va & (PAGE_SIZE - 1);

	m->space.stats.faults++;
	m->space.cost++;
	if (!mmu_no_effect(u, MEM_USER, va, access)) {
		/* What crosses a page sets the bits of both, or of none: which was first? */
		if (size > 1 && (off == 0 || off + size > PAGE_SIZE))
			return SPACE_CAREFUL;
		if (mmu_translate(u, MEM_USER, va, access, f) == MFN_NONE)
			return SPACE_FAULT;
		if (mem_code_dirty(m))
			return SPACE_CAREFUL; /* the bits were instructions */
	}
	return map_page(m, va, access);
}

bool space_holds(struct mem *m)
{
	struct space *s = &m->space;
	uint32_t tables = s->ntables, pages = 0;

	for (uint32_t i = 1; i < s->top; i++) {
		const struct space_page *p = &s->page[i];
		struct space_walk w;
		uint64_t e;

		if (p->va == 0)
			continue;
		pages++;
		if (!clear_of_us(s, p->va) || !walk_known(m, p->va, &w))
			return false;
		e = w.table[p->va >> PAGE_SHIFT & 511];
		if (PTE_MFN(e) != MEM_FIRST_MFN + p->frame ||
		    mapped_as(m, e, w.writable) < (p->writable ? WRITABLE : READ_ONLY))
			return false;
	}
	return pages == s->count && tables == s->ntables && (s->root != MFN_NONE || pages == 0);
}

const bool *mem_space_here(const struct mmu *u) { return &u->space_here; }
bool mem_space_enabled(const struct mem *m) { return m->space.enabled && !m->space.refused; }
mfn_t mem_space_root(const struct mem *m) { return m->space.root; }
uint64_t mem_space_cost(const struct mem *m) { return m->space.cost; }
const struct space_stats *mem_space_stats(const struct mem *m) { return &m->space.stats; }
