/*
 * frame.c - the frames themselves: allocation, flags, and the one
 * function through which a frame is written from outside translated code.
 */
#define _GNU_SOURCE
#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include "mem/internal.h"
#include "util/hugemap.h"
#include "util/xxh.h"

static void *map(size_t n, bool low)
{
	return huge_map(n, PROT_READ | PROT_WRITE, low);
}

static void mmu_init(struct mem *m, unsigned number)
{
	struct mmu *u = &m->mmu[number];

	u->mem = m;
	u->number = (uint8_t)number;
	for (int mode = 0; mode < 2; mode++) {
		for (unsigned i = 0; i < TLB_SIZE; i++)
			u->tlb[mode].e[i].rtag = u->tlb[mode].e[i].wtag = TLB_EMPTY(i);
		for (unsigned i = 0; i < ITLB_SIZE; i++)
			u->fetch[mode][i].va = 1;
		u->root[mode] = MFN_NONE;
		u->fetch_gen[mode] = 1;
	}
	u->fetch_space = 1;
}

struct mem *mem_create(uint64_t ram_pages, uint64_t extra_pages, struct ttd_error *e)
{
	struct mem *m = map(sizeof *m, true);
	uint64_t all = ram_pages + extra_pages;

	if (m == NULL) {
		err_set(e, TTD_HOST, "cannot get %zu bytes for the soft MMU", sizeof *m);
		return NULL;
	}
	m->space.root = MFN_NONE;
	m->space.fd = -1;
	m->ram_pages = ram_pages;
	m->all_pages = all;
	m->ram = map(all << PAGE_SHIFT, false);
	m->frames = map(all * sizeof *m->frames, false);
	if (m->ram == NULL || m->frames == NULL) {
		err_set(e, TTD_HOST, "cannot get %llu MB of guest memory",
			(unsigned long long)(all >> 8));
		mem_destroy(m);
		return NULL;
	}
	for (unsigned i = 0; i < MEM_MMUS; i++)
		mmu_init(m, i);
	m->epoch[HALF_USER] = m->epoch[HALF_KERNEL] = 1;
	m->roots_gen = 1;
	return m;
}

void mem_destroy(struct mem *m)
{
	if (m == NULL)
		return;
	space_free(m);
	huge_unmap(m->ram, m->all_pages << PAGE_SHIFT);
	huge_unmap(m->frames, m->all_pages * sizeof *m->frames);
	epoch_free(m);
	free(m->watch.v);
	free(m->dirty_code.v);
	huge_unmap(m, sizeof *m);
}

void mem_fork(struct mem *m, bool too)
{
	mem_space_end(m);
	space_fork(m, too);
	huge_fork(m->ram, m->all_pages << PAGE_SHIFT, too);
	huge_fork(m->frames, m->all_pages * sizeof *m->frames, too);
	huge_fork(m, sizeof *m, too);
}

uint64_t mem_ram_pages(const struct mem *m) { return m->ram_pages; }
uint64_t mem_all_pages(const struct mem *m) { return m->all_pages; }
struct mmu *mem_mmu(struct mem *m, unsigned vcpu) { return &m->mmu[vcpu]; }
struct mem *mmu_mem(const struct mmu *u) { return u->mem; }
struct tlb *mmu_tlb(struct mmu *u, enum mem_mode mode) { return &u->tlb[mode]; }
const struct mem_stats *mem_stats(const struct mem *m) { return &m->stats; }

uint64_t mmu_fetch_gen(const struct mmu *u, enum mem_mode mode)
{
	return u->fetch_gen[mode];
}

const uint8_t *mem_page(const struct mem *m, mfn_t mfn)
{
	return frame_host(m, mfn);
}

unsigned mem_frame_flags(const struct mem *m, mfn_t mfn)
{
	return frame_ok(m, mfn)
		? frame_of(m, mfn)->flags & (FRAME_PT | FRAME_CODE | FRAME_READONLY | FRAME_ABSENT) : 0;
}

void mem_frame_set(struct mem *m, mfn_t mfn, enum mem_frame_flag flag)
{
	if (!frame_here(m, mfn) || (frame_of(m, mfn)->flags & flag))
		return;
	frame_of(m, mfn)->flags |= (uint8_t)flag;
	tlb_unwrite(m, mfn);
}

void mem_frame_clear(struct mem *m, mfn_t mfn, enum mem_frame_flag flag)
{
	if (!frame_here(m, mfn) || !(frame_of(m, mfn)->flags & flag))
		return;
	if (flag == FRAME_PT)
		tlb_pt_release(m, mfn);
	frame_of(m, mfn)->flags &= (uint8_t)~flag;
}

/* Room for every marked frame to be queued: tlb_code_changed() cannot make any. */
static void reserve_queue(struct code_queue *q)
{
	uint32_t cap = q->cap ? 2 * q->cap : 64;
	mfn_t *v;

	if (q->n + q->marked < q->cap)
		return;
	v = realloc(q->v, cap * sizeof *v);
	if (v == NULL)
		abort(); /* a few hundred bytes: the process is lost anyway */
	q->v = v;
	q->cap = cap;
}

void mem_code_mark(struct mem *m, mfn_t mfn, unsigned from, unsigned to)
{
	struct frame *fr = frame_of(m, mfn);

	if (!(fr->flags & FRAME_CODE)) {
		reserve_queue(&m->dirty_code);
		m->dirty_code.marked++;
		mem_frame_set(m, mfn, FRAME_CODE);
		fr->code_map = 0;
		fr->code_misses = 0;
	}
	fr->code_map |= code_bits(from, to);
}

mfn_t mem_next_dirty_code(struct mem *m)
{
	return m->dirty_code.n ? m->dirty_code.v[--m->dirty_code.n] : MFN_NONE;
}

/* (With A cleared, the next fetch is to set it again.) */
static bool moves_fetch(uint64_t old, const void *p)
{
	uint64_t new;

	memcpy(&new, p, sizeof new);
	return ((old ^ new) & (PTE_P | PTE_PS | PTE_NX | 0x000ffffffffff000ull)) || (old & ~new & PTE_A);
}

/* What hung on the old bytes of [off, off + n) goes before they change. */
static void before_write(struct mem *m, mfn_t mfn, unsigned off, const void *p, size_t n)
{
	struct frame *fr = frame_of(m, mfn);
	const uint64_t *table = (const void *)frame_host(m, mfn);

	tlb_code_changed(m, mfn, off, (unsigned)n);
	if (!(fr->flags & FRAME_PT))
		return;
	root_changes(m, mfn);
	for (unsigned i = off / 8; fr->space_pt != 0 && i <= (off + n - 1) / 8; i++)
		if (table[i] & PTE_P)
			space_pt_changed(m, mfn, i);
	if (n == 8 && off % 8 == 0) {
		if (table[off / 8] & PTE_P)
			tlb_pt_changed(m, mfn, off / 8, moves_fetch(table[off / 8], p));
		return;
	}
	for (unsigned i = off / 8; i <= (off + n - 1) / 8; i++)
		if (table[i] & PTE_P)
			tlb_pt_changed(m, mfn, i, true);
}

static int write_frame(struct mem *m, mfn_t mfn, unsigned off, const void *p, size_t n,
	bool direct)
{
	if (!frame_here(m, mfn) || off > PAGE_SIZE || n > PAGE_SIZE - off)
		return -1;
	if (n == 0)
		return 0;
	if (m->watch.n != 0)
		watch_frame(m, mfn, off, n, direct);
	before_write(m, mfn, off, p, n);
	note_write(m, mfn);
	memcpy(frame_host(m, mfn) + off, p, n);
	return 0;
}

int mem_write_frame(struct mem *m, mfn_t mfn, unsigned off, const void *p, size_t n)
{
	return write_frame(m, mfn, off, p, n, true);
}

void mem_guest_store(struct mem *m, mfn_t mfn, unsigned off, const void *p, size_t n)
{
	struct frame *fr = frame_of(m, mfn);

	write_frame(m, mfn, off, p, n, false);
	/* Linux writes directly only to tables it has taken out of use. */
	if (fr->flags & FRAME_PT)
		tlb_pt_release(m, mfn);
}

void mem_set_window(struct mem *m, gva_t va, mfn_t mfn, uint64_t n)
{
	m->window_va = va;
	m->window_mfn = mfn;
	m->window_pages = n;
	for (uint64_t i = 0; i < n; i++)
		mem_frame_set(m, mfn + i, FRAME_READONLY);
	tlb_flush_all(m);
}

uint64_t mem_digest(const struct mem *m)
{
	return XXH3_64bits(m->ram, m->all_pages << PAGE_SHIFT);
}
