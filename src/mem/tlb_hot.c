/*
 * tlb_hot.c - filling and invalidating the soft TLB, and the page walk.
 *
 * Runs while the guest's vector registers are live: no libc calls, and the
 * file is compiled for general registers only.
 */
#include "mem/internal.h"

enum { PF_RSVD = 8 };

struct walk {
	uint64_t *entry[5]; /* [4]..[1] */
	mfn_t mfn;
	bool writable, nx;
};

static int fault(struct mem_fault *f, enum mem_mode mode, gva_t va, enum mem_access access,
	uint32_t bits)
{
	if (f != NULL) {
		f->va = va;
		f->noncanon = false;
		f->error = bits | (uint32_t)access | (mode == MEM_USER ? PF_U : 0);
	}
	return -1;
}

/* A page-table frame was used for va: remember where, so M1 can be kept. */
void tlb_note_pt(struct mem *m, mfn_t mfn, unsigned level, gva_t va)
{
	struct frame *fr = frame_of(m, mfn);
	unsigned shift = PAGE_SHIFT + 9 * level;
	gva_t base = level == 4 ? 0 : va >> shift << shift;
	enum mem_half half = mem_half(va);

	if (!(fr->flags & FRAME_PT)) {
		fr->flags |= FRAME_PT;
		tlb_unwrite(m, mfn);
	}
	if (fr->pt_epoch[HALF_USER] != m->epoch[HALF_USER] &&
	    fr->pt_epoch[HALF_KERNEL] != m->epoch[HALF_KERNEL]) {
		fr->pt_level = (uint8_t)level;
		fr->pt_va = base;
		fr->pt_multi = 0;
	} else if (fr->pt_level != level || fr->pt_va != base) {
		fr->pt_multi = 1;
	}
	fr->pt_epoch[half] = m->epoch[half];
}

/* Bytes [off, off + n) change: queues the frame if code was made from them. */
void tlb_code_changed(struct mem *m, mfn_t mfn, unsigned off, unsigned n)
{
	struct frame *fr = frame_of(m, mfn);
	struct code_queue *q = &m->dirty_code;

	if (!(fr->flags & FRAME_CODE))
		return;
	if (!(fr->code_map & code_bits(off, off + n)) && ++fr->code_misses <= CODE_MISSES)
		return;
	if (q->n == q->cap)
		__builtin_trap(); /* frame.c, reserve_queue() */
	q->v[q->n++] = mfn;
	q->marked--;
	fr->flags &= (uint8_t)~FRAME_CODE;
}

bool mem_code_dirty(const struct mem *m)
{
	return m->dirty_code.n != 0;
}

/* Walks the tables; touches nothing but *w. */
static int walk(const struct mmu *u, enum mem_mode mode, gva_t va, struct walk *w)
{
	const struct mem *m = u->mem;
	mfn_t mfn = u->root[mode];

	w->writable = true;
	w->nx = false;
	for (unsigned level = 4; level >= 1; level--) {
		unsigned i = va >> (PAGE_SHIFT + 9 * (level - 1)) & 511;
		uint64_t e;

		if (!frame_here(m, mfn))
			return level == 4 ? 0 : PF_P | PF_RSVD;
		w->entry[level] = (uint64_t *)(void *)frame_host(m, mfn) + i;
		e = *w->entry[level];
		if (!(e & PTE_P))
			return 0;
		if (level > 1 && (e & PTE_PS))
			return PF_P | PF_RSVD;
		w->writable &= (e & PTE_RW) != 0;
		w->nx |= (e & PTE_NX) != 0;
		mfn = PTE_MFN(e);
	}
	w->mfn = mfn;
	if (!frame_here(m, mfn))
		return PF_P | PF_RSVD;
	if (frame_of(m, mfn)->flags & FRAME_READONLY)
		w->writable = false;
	return -1; /* no fault so far */
}

static bool in_window(const struct mem *m, enum mem_mode mode, gva_t va)
{
	return mode == MEM_KERNEL && va - m->window_va < m->window_pages << PAGE_SHIFT;
}

static int window_walk(const struct mem *m, gva_t va, struct walk *w)
{
	w->writable = false;
	w->nx = true;
	w->mfn = m->window_mfn + ((va - m->window_va) >> PAGE_SHIFT);
	return -1;
}

/* Walk, permission check, A and D bits.  0, or -1 and *f. */
static int access_walk(struct mmu *u, enum mem_mode mode, gva_t va, enum mem_access access,
	struct walk *w, struct mem_fault *f)
{
	struct mem *m = u->mem;
	bool window = in_window(m, mode, va);
	int r;

	m->stats.walks++;
	if (mode == MEM_USER)
		mem_space_meets(m, va, PAGE_SIZE);
	if (!mem_canonical(va)) {
		fault(f, mode, va, access, 0);
		if (f != NULL)
			f->noncanon = true;
		return -1;
	}
	r = window ? window_walk(m, va, w) : walk(u, mode, va, w);
	if (r >= 0)
		return fault(f, mode, va, access, (uint32_t)r);
	if ((access == MEM_WRITE && !w->writable) || (access == MEM_FETCH && w->nx))
		return fault(f, mode, va, access, PF_P);
	if (window)
		return 0;
	for (unsigned level = 4; level >= 1; level--) {
		uint64_t *e = w->entry[level];
		uint64_t set = PTE_A | (level == 1 && access == MEM_WRITE ? PTE_D : 0);
		mfn_t table = MEM_FIRST_MFN + (((uint8_t *)e - m->ram) >> PAGE_SHIFT);

		if ((*e & set) != set) {
			note_write(m, table);
			root_changes(m, table);
			tlb_code_changed(m, table, (unsigned)((uintptr_t)e & (PAGE_SIZE - 1)), 8);
			if (m->watch.n != 0)
				watch_walk(m, table, (unsigned)((uintptr_t)e & (PAGE_SIZE - 1)));
			*e |= set;
		}
		tlb_note_pt(m, table, level, va);
	}
	return 0;
}

static void use(struct mmu *u, enum mem_mode mode, gva_t va, unsigned i)
{
	struct used *list = &u->used[mode][mem_half(va)];

	if (list->n < TLB_SIZE)
		list->idx[list->n] = (uint16_t)i;
	list->n++; /* beyond TLB_SIZE: overflow, flush by scanning */
}

/* Does slot k of the frame name a write entry that is still there? */
static bool wslot_live(struct mem *m, const struct frame *fr, unsigned k, uint64_t host)
{
	unsigned i = fr->widx[k];
	const struct tlb *t;

	if (fr->wtlb[k] == 0)
		return false;
	t = tlb_named(m, fr->wtlb[k]);
	return t->e[i].wtag != TLB_EMPTY(i) && t->e[i].host == host;
}

/* Remembers the entry in a free slot of its frame, so that it can be dropped. */
static void note_write_entry(struct mem *m, struct frame *fr, uint8_t tlb, unsigned i, uint64_t host)
{
	unsigned k;

	for (k = 0; k < WSLOTS; k++) {
		bool same = fr->widx[k] == i && fr->wtlb[k] == tlb;

		if (same || !wslot_live(m, fr, k, host))
			break;
	}
	if (k == WSLOTS) {
		fr->flags |= FRAME_WMULTI;
		return;
	}
	fr->wtlb[k] = tlb;
	fr->widx[k] = (uint16_t)i;
}

static void fill_write(struct mmu *u, enum mem_mode mode, mfn_t mfn, gva_t page, unsigned i)
{
	struct mem *m = u->mem;

	note_write(m, mfn);
	note_write_entry(m, frame_of(m, mfn), TLB_NAME(u, mode), i, (uint64_t)frame_host(m, mfn));
	u->tlb[mode].e[i].wtag = page;
}

int mmu_fill(struct mmu *u, enum mem_mode mode, gva_t va, enum mem_access access,
	struct mem_fault *f)
{
	struct mem *m = u->mem;
	struct tlb *t = &u->tlb[mode];
	gva_t page = va & PAGE_MASK;
	unsigned i = TLB_INDEX(va);
	struct walk w;
	bool held, window = in_window(m, mode, va);
	unsigned watched = 0;

	m->stats.fills++;
	if (access_walk(u, mode, va, access, &w, f) != 0)
		return -1;
	if (mem_code_dirty(m))
		return 1; /* the A and D bits just set were instructions */
	if (m->watch.n != 0)
		watched = watch_page(m, mode, va, w.mfn);
	if ((watched & WATCH_READ) || m->watch.hit)
		return 1;
	held = (frame_of(m, w.mfn)->flags & (FRAME_PT | FRAME_CODE)) != 0 || watched != 0;
	if (t->e[i].rtag != page || t->e[i].host != (uint64_t)frame_host(m, w.mfn)) {
		tlb_drop_write(t, i);
		t->e[i].rtag = page;
		t->e[i].host = (uint64_t)frame_host(m, w.mfn);
		t->e[i].delta = t->e[i].host - page;
		use(u, mode, va, i);
	}
	if (held)
		return access == MEM_WRITE;
	if (!window && w.writable && (*w.entry[1] & PTE_D))
		fill_write(u, mode, w.mfn, page, i);
	return 0;
}

void tlb_take_stack(struct tlb *t, gva_t va)
{
	unsigned i = TLB_INDEX(va);
	bool writable = t->e[i].wtag == (va & PAGE_MASK);

	t->stack.tag = va & PAGE_MASK;
	t->stack.delta = t->e[i].delta;
	for (unsigned k = 0; k < STACK_LIMITS; k++)
		t->stack.limit[k] = writable ? tlb_stack_limit(k) : 0;
}

bool mmu_no_effect(const struct mmu *u, enum mem_mode mode, gva_t va, enum mem_access access)
{
	struct walk w;

	if (!mem_canonical(va))
		return false;
	if (in_window(u->mem, mode, va))
		return access == MEM_READ;
	if (walk(u, mode, va, &w) >= 0 || (access == MEM_WRITE && !w.writable))
		return false;
	for (unsigned level = 4; level >= 1; level--)
		if (!(*w.entry[level] & PTE_A))
			return false;
	return access == MEM_READ || (*w.entry[1] & PTE_D);
}

mfn_t mmu_translate(struct mmu *u, enum mem_mode mode, gva_t va, enum mem_access access,
	struct mem_fault *f)
{
	struct walk w;

	return access_walk(u, mode, va, access, &w, f) == 0 ? w.mfn : MFN_NONE;
}

mfn_t mmu_peek(const struct mmu *u, enum mem_mode mode, gva_t va, uint64_t *pte)
{
	struct walk w;

	if (!mem_canonical(va))
		return MFN_NONE;
	if (in_window(u->mem, mode, va)) {
		window_walk(u->mem, va, &w);
		if (pte != NULL)
			*pte = (w.mfn << PAGE_SHIFT) | PTE_P | PTE_NX;
		return w.mfn;
	}
	if (walk(u, mode, va, &w) >= 0)
		return MFN_NONE;
	if (pte != NULL)
		*pte = *w.entry[1];
	return w.mfn;
}

/* User mode fetches from this frame at that page. */
static void note_fetch(struct mmu *u, mfn_t mfn, gva_t page)
{
	struct frame *fr = frame_of(u->mem, mfn);
	unsigned n = u->number;

	if (fr->fetched[n].space != u->fetch_space) {
		fr->fetched[n].space = u->fetch_space;
		fr->fetched[n].va = page;
	} else if (fr->fetched[n].va != page && fr->fetched[n].va != FETCH_MANY) {
		fr->fetched[n].va = FETCH_MANY;
		tlb_code_changed(u->mem, mfn, 0, PAGE_SIZE);
	}
}

bool mmu_fetched_once(const struct mmu *u, mfn_t mfn)
{
	const struct frame *fr = frame_of(u->mem, mfn);

	return fr->fetched[u->number].space == u->fetch_space &&
		fr->fetched[u->number].va != FETCH_MANY;
}

/* An entry changes hands.  Evicted, or left empty by an invalidation: it may be listed. */
static void take_fetch(struct mmu *u, enum mem_mode mode, struct fetch_entry *fe, gva_t page)
{
	struct fetch_used *list = &u->fetch_used[mode][mem_half(page)];

	if (fe->va != 1)
		u->fetch_gen[mode]++; /* its users can no longer be told */
	fe->va = page;
	if (fe->listed[mem_half(page)])
		return;
	fe->listed[mem_half(page)] = true;
	list->idx[list->n++] = (uint16_t)(fe - u->fetch[mode]);
}

mfn_t mmu_fetch(struct mmu *u, enum mem_mode mode, gva_t va, struct mem_fault *f)
{
	gva_t page = va & PAGE_MASK;
	struct fetch_entry *fe = &u->fetch[mode][(va >> PAGE_SHIFT) % ITLB_SIZE];
	struct walk w;

	if (fe->va == page)
		return fe->mfn;
	if (access_walk(u, mode, va, MEM_FETCH, &w, f) != 0)
		return MFN_NONE;
	take_fetch(u, mode, fe, page);
	fe->mfn = w.mfn;
	if (mode == MEM_USER)
		note_fetch(u, w.mfn, page);
	return w.mfn;
}

static void invalidate_in(struct mmu *u, gva_t va, bool fetch)
{
	gva_t page = va & PAGE_MASK;
	unsigned i = TLB_INDEX(va);

	for (int mode = 0; mode < 2; mode++) {
		struct tlb *t = &u->tlb[mode];
		struct fetch_entry *fe = &u->fetch[mode][(va >> PAGE_SHIFT) % ITLB_SIZE];

		if (t->e[i].rtag == page) {
			tlb_drop(t, i);
			u->mem->stats.invalidations++;
		}
		if (fetch && fe->va == page) {
			fe->va = 1;
			u->fetch_gen[mode]++;
		}
	}
}

static void invalidate(struct mem *m, gva_t va, bool fetch)
{
	for EACH_MMU(u, m)
		invalidate_in(u, va, fetch);
}

static void flush_fetch_half(struct mmu *u, enum mem_mode mode, enum mem_half half)
{
	struct fetch_used *list = &u->fetch_used[mode][half];

	if (list->n == 0)
		return;
	for (uint32_t k = 0; k < list->n; k++) {
		struct fetch_entry *fe = &u->fetch[mode][list->idx[k]];

		fe->listed[half] = false;
		if (fe->va != 1 && mem_half(fe->va) == half)
			fe->va = 1;
	}
	list->n = 0;
	u->fetch_gen[mode]++;
}

/* User mode fetches from the kernel's half next to never. */
static void flush_fetch(struct mmu *u, enum mem_mode mode, enum mem_half half)
{
	flush_fetch_half(u, mode, half);
	if (mode == MEM_USER) {
		flush_fetch_half(u, mode, half == HALF_USER ? HALF_KERNEL : HALF_USER);
		u->fetch_space++;
	}
}

void tlb_flush_half(struct mmu *u, enum mem_mode mode, enum mem_half half)
{
	struct tlb *t = &u->tlb[mode];
	struct used *list = &u->used[mode][half];
	bool listed = list->n <= TLB_SIZE;
	uint32_t n = listed ? list->n : TLB_SIZE;

	u->mem->stats.flushes++;
	for (uint32_t k = 0; k < n; k++) {
		unsigned i = listed ? list->idx[k] : k;

		if (t->e[i].rtag != TLB_EMPTY(i) && mem_half(t->e[i].rtag) == half)
			tlb_drop(t, i);
	}
	list->n = 0;
	flush_fetch(u, mode, half);
}

static void flush_halves(struct mem *m, bool user, bool kernel)
{
	for (int half = 0; half < HALF_COUNT; half++) {
		if (half == HALF_USER ? !user : !kernel)
			continue;
		for EACH_MMU(u, m) {
			tlb_flush_half(u, MEM_KERNEL, (enum mem_half)half);
			tlb_flush_half(u, MEM_USER, (enum mem_half)half);
		}
		m->epoch[half]++;
	}
}

void tlb_flush_all(struct mem *m)
{
	flush_halves(m, true, true);
}

static void unwrite_entry(struct tlb *t, unsigned i, uint64_t host)
{
	if (t->e[i].host == host)
		tlb_drop_write(t, i);
}

void tlb_unwrite(struct mem *m, mfn_t mfn)
{
	struct frame *fr = frame_of(m, mfn);
	uint64_t host = (uint64_t)frame_host(m, mfn);

	if (fr->space_page != 0)
		space_unwrite(m, mfn);
	if (fr->flags & FRAME_WMULTI) {
		for (unsigned name = 1; name <= 2 * MEM_MMUS; name++)
			for (unsigned i = 0; i < TLB_SIZE; i++)
				unwrite_entry(tlb_named(m, name), i, host);
	} else {
		for (unsigned k = 0; k < WSLOTS; k++)
			if (fr->wtlb[k] != 0)
				unwrite_entry(tlb_named(m, fr->wtlb[k]), fr->widx[k], host);
	}
	frame_no_writer(fr);
}

/*
 * Entry `index` of a page-table frame was present and changes.  A change that
 * leaves what is fetched from where (only RW, A, D and the like) spares the
 * fetch translations, on which links and jump caches hang.
 */
void tlb_pt_changed(struct mem *m, mfn_t mfn, unsigned index, bool fetch)
{
	struct frame *fr = frame_of(m, mfn);
	bool user = fr->pt_epoch[HALF_USER] == m->epoch[HALF_USER];
	bool kernel = fr->pt_epoch[HALF_KERNEL] == m->epoch[HALF_KERNEL];

	if (!user && !kernel)
		return;
	if (fr->pt_multi) {
		flush_halves(m, user, kernel);
	} else if (fr->pt_level == 1) {
		invalidate(m, fr->pt_va + ((gva_t)index << PAGE_SHIFT), fetch);
	} else if (fr->pt_level == 4) {
		flush_halves(m, user && index < 256, kernel && index >= 256);
	} else {
		flush_halves(m, user, kernel);
	}
}

/* A frame stops being a page table: nothing derived from it may stay. */
void tlb_pt_release(struct mem *m, mfn_t mfn)
{
	struct frame *fr = frame_of(m, mfn);

	if (fr->pt_level == 1 && !fr->pt_multi) {
		for (unsigned i = 0; i < 512; i++)
			tlb_pt_changed(m, mfn, i, true);
	} else {
		flush_halves(m, fr->pt_epoch[HALF_USER] == m->epoch[HALF_USER],
			fr->pt_epoch[HALF_KERNEL] == m->epoch[HALF_KERNEL]);
	}
	if (fr->space_pt != 0)
		space_pt_release(m, mfn);
	root_changes(m, mfn);
	fr->flags &= (uint8_t)~(FRAME_PT | FRAME_ROOT);
	fr->pt_epoch[HALF_USER] = fr->pt_epoch[HALF_KERNEL] = 0;
}
