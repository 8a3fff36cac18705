/*
 * space.h - one address space of the guest, mapped in ours at its own addresses.
 *
 * The pages that programs of one user root touch are mapped where the guest has them,
 * so that translated code can use their addresses as they are and the host's MMU does what the
 * soft TLB does else.
 *
 * Invariants (mem_check() asserts what can be asserted):
 *  MS1. A page is mapped only if a TLB entry for it could exist (M1, M4): a walk would find
 *       this frame and set no bit.  It is writable only if a write entry could be (M2, M3, M5).
 *  MS2. The tables that lead to a mapped page carry FRAME_PT, and struct frame's space_pt tells
 *       where they lead, whether or not the root is the current one: a space that is left
 *       and entered again is still right.
 *  MS3. Nothing of ours is mapped where a page could come to be (util/layout.h).  A guest that
 *       has something in our range gets no space any more; a root that has something close to
 *       what of ours is above gets none.
 */
#ifndef TTD_MEM_SPACE_H
#define TTD_MEM_SPACE_H

#include "mem/mmu.h"
#include "util/layout.h"

/*
 * Makes a mapped space possible: before the guest's memory is written to.  -1: not in this
 * process, which loses nothing but time.  anywhere: the caller knows that the guest has no
 * addresses of ours, for tests.
 */
int mem_space_enable(struct mem *m, bool anywhere);
bool mem_space_enabled(const struct mem *m);

/* Is the user root of this MMU the one that is mapped, and is it to be used? */
const bool *mem_space_here(const struct mmu *u);

/*
 * A guest's program has, or will have, n bytes there.  (It is told of all addresses that user
 * mode touches through the soft TLB, and that system calls return.)
 */
void mem_space_meets(struct mem *m, gva_t from, uint64_t n);

/*
 * A system call returns `result` to user mode, its second argument being `second`: where a mapping
 * is, and how long it is.  (Most of them it is not; then it is no such number.)
 */
static inline void mem_space_result(struct mem *m, uint64_t result, uint64_t second)
{
	const uint64_t from = LAYOUT_FROM / 2;

	if (__builtin_expect(result - from < LAYOUT_TO - from, 0))
		mem_space_meets(m, result, second);
}

/* Begins a space for the user root of this MMU; ends the one there is. */
void mem_space_begin(struct mmu *u);
void mem_space_end(struct mem *m);
mfn_t mem_space_root(const struct mem *m); /* MFN_NONE: there is none */
/* How often the host's page tables had to be changed: faults, pages unmapped. */
uint64_t mem_space_cost(const struct mem *m);

/*
 * User mode's access of `size` bytes or fewer faulted in the host at va.  MAPPED: try again.
 * CAREFUL: the instruction goes by the careful path.  FAULT: it is the guest's, *f says why.
 * No libc: called in a signal handler.
 */
enum space_answer { SPACE_MAPPED, SPACE_CAREFUL, SPACE_FAULT };
enum space_answer mem_space_fault(struct mmu *u, gva_t va, unsigned size, enum mem_access access,
	struct mem_fault *f);

struct space_stats {
	uint64_t begun, faults, pages, unmapped;
};
const struct space_stats *mem_space_stats(const struct mem *m);

#endif
