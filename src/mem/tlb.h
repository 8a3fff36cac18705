/*
 * tlb.h - the soft TLB as translated code sees it.  For src/mem and src/cpu.
 *
 * An MMU has one struct tlb for each mode, with a read tag and a write tag in each entry.
 * Translated code looks an address up by
 *	i = (va >> 12) & 0xffff;  x = va ^ e[i].tag;  hit when x <= 4096 - size
 * One compare decides two things: whether the tag matches, and whether the access stays in
 * the page.  After a hit x is the offset in the page, e[i].host is the page's address in the
 * host, and e[i].delta is what has to be added to a guest address to get the host's.  An empty
 * entry has a tag with wrong index bits, which match no address that could come to this entry.
 * All of an entry is in one cache line: a kernel touches a hundred pages between two switches.
 *
 * The page of the stack is used more than any other, and has an entry of its own as well.
 * Translated code asks
 *	x = va ^ stack.tag;  hit when x < stack.limit[k]
 * for an access of at most 2^k bytes.  Limits of 0 mean that there is no such page: nothing
 * hits.  stack.delta stays valid even then, until another page becomes the stack's, because
 * code whose check has passed may not have made its accesses yet.
 *
 * Everything here lives in the region (util/region.h), where an address has 32 bits.
 */
#ifndef TTD_MEM_TLB_H
#define TTD_MEM_TLB_H

#include "mem/mmu.h"

enum {
	TLB_BITS = 16,
	TLB_SIZE = 1 << TLB_BITS,
	ITLB_SIZE = 16384, /* 64 MiB: no two pages of the kernel's text collide */
};

#define TLB_INDEX(va) (((va) >> PAGE_SHIFT) & (TLB_SIZE - 1))
#define TLB_EMPTY(i) ((~(uint64_t)(i) & (TLB_SIZE - 1)) << PAGE_SHIFT)

enum { STACK_BITS_MIN = 3, STACK_BITS_MAX = 10, STACK_LIMITS = STACK_BITS_MAX - STACK_BITS_MIN + 1 };

struct tlb {
	struct tlb_entry {
		uint64_t rtag, wtag, host, delta;
	} e[TLB_SIZE];
	struct tlb_stack {
		uint64_t limit[STACK_LIMITS]; /* for 2^(STACK_BITS_MIN + k) bytes */
		uint64_t tag, delta;
	} stack; /* a page whose entry can be written through, or limits of 0 */
};

/* Halves of the address space: a root switch replaces only the user half. */
enum mem_half { HALF_USER, HALF_KERNEL, HALF_COUNT };
static inline enum mem_half mem_half(gva_t va) { return va >> 63 ? HALF_KERNEL : HALF_USER; }

struct tlb *mmu_tlb(struct mmu *u, enum mem_mode mode);

/* What limit[k] is when there is a page. */
static inline uint32_t tlb_stack_limit(unsigned k)
{
	return PAGE_SIZE + 1 - (1u << (STACK_BITS_MIN + k));
}

static inline void tlb_drop_stack(struct tlb *t)
{
	for (unsigned k = 0; k < STACK_LIMITS; k++)
		t->stack.limit[k] = 0;
}

/* Entry i can no longer be written through; or not be used at all. */
static inline void tlb_drop_write(struct tlb *t, unsigned i)
{
	if (t->e[i].wtag == t->stack.tag)
		tlb_drop_stack(t);
	t->e[i].wtag = TLB_EMPTY(i);
}
static inline void tlb_drop(struct tlb *t, unsigned i)
{
	tlb_drop_write(t, i);
	t->e[i].rtag = TLB_EMPTY(i);
}

/* The page of va, whose read tag matches, becomes the stack's; or just its distance is. */
void tlb_take_stack(struct tlb *t, gva_t va);

/*
 * Fills the entry of va for an access (MEM_READ or MEM_WRITE) that missed.
 * 0: the read tag, and for a write the write tag, now match.  1: the page is
 * accessible but its frame must not be written without our knowing (M2, M3): the
 * store has to be made through mem_write_frame(); or mem_code_dirty() holds, or it is
 * watched (watch.h).  -1: *f says the fault.
 * No libc, no vector registers: called with guest FP state live.
 */
int mmu_fill(struct mmu *u, enum mem_mode mode, gva_t va, enum mem_access access,
	struct mem_fault *f);

/* Would the access succeed and change nothing, not even an A or D bit? */
bool mmu_no_effect(const struct mmu *u, enum mem_mode mode, gva_t va, enum mem_access access);

/* The MFN that a fetch from va reads, by way of the fetch TLB. */
mfn_t mmu_fetch(struct mmu *u, enum mem_mode mode, gva_t va, struct mem_fault *f);

/*
 * Changes whenever a fetch translation of the mode that mmu_fetch() gave out
 * may have become wrong: everything keyed by virtual address is then stale.
 */
uint64_t mmu_fetch_gen(const struct mmu *u, enum mem_mode mode);
/*
 * Has user mode fetched from this frame by one address only, since its translations
 * were last dropped?  When that changes, code made from the frame is void: it is queued
 * as if its bytes had changed.
 */
bool mmu_fetched_once(const struct mmu *u, mfn_t mfn);

/*
 * Bytes [from, to) of a frame were translated: sets FRAME_CODE.  Stores that
 * miss such bytes leave the translations alone (unless there are many of them:
 * then the frame counts as data again).
 */
void mem_code_mark(struct mem *m, mfn_t mfn, unsigned from, unsigned to);

/*
 * Frames with FRAME_CODE that were written: mem clears the flag and queues
 * the frame; the CPU takes them before it runs more code.  MFN_NONE: none.
 */
mfn_t mem_next_dirty_code(struct mem *m);

/* Is a frame queued there?  Then no translation may be run before they are taken. */
bool mem_code_dirty(const struct mem *m);

/* A guest's own store (by a slow path) into a frame; like mem_write_frame. */
void mem_guest_store(struct mem *m, mfn_t mfn, unsigned off, const void *p, size_t n);

#endif
