/*
 * mem.h - the frames of one guest, and what all of its vCPUs share of its memory.
 *
 * Machine frames are numbered from MEM_FIRST_MFN; the first `ram_pages` are
 * the guest's RAM (at build time pfn N is mfn MEM_FIRST_MFN + N), the
 * `extra_pages` after them are the hypervisor's own that a guest may map
 * (shared_info, grant table, machine-to-phys table).  All start zeroed.  A frame
 * of RAM may be absent: the guest gave it up, or was not given it yet.
 *
 * What goes by virtual address is in mem/mmu.h: each vCPU has a struct mmu.
 *
 * Invariants, of all MMUs (mem_check() asserts what can be asserted cheaply):
 *  M1. Coherence: a TLB entry exists only if a walk right now would give the
 *      same translation.  Hence every change of a page-table entry passes
 *      mem_write_frame() or mmu_copy_out(), and every change of a root passes
 *      mmu_set_root(); both invalidate before they return.
 *  M2. A frame that a walk used as a page table carries FRAME_PT and is in no
 *      write TLB, so that translated stores to it take the slow path.
 *  M3. A frame with translated code carries FRAME_CODE and is in no write TLB.
 *  M4. A read entry exists only if the accessed bits of its walk are set, a
 *      write entry only if the dirty bit is set too: TLB hits then have no
 *      effect a guest could see.
 *  M5. After mem_epoch_begin() no write entry is left, and a frame's bytes
 *      change only after it was noted as written: when a write entry for it
 *      comes to be, in mem_write_frame(), or when a walk sets A or D bits.
 *  M6. A frame with FRAME_ABSENT is all zero and has no other flag; no walk goes
 *      through it or ends at it, and nothing derived from it is in a TLB.
 */
#ifndef TTD_MEM_MEM_H
#define TTD_MEM_MEM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

typedef uint64_t gva_t; /* guest virtual address */

/* The upper bits are all as the highest that counts. */
static inline bool mem_canonical(gva_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}
typedef uint64_t mfn_t; /* machine frame number */

enum { PAGE_SHIFT = 12, PAGE_SIZE = 4096 };
#define PAGE_MASK (~(uint64_t)(PAGE_SIZE - 1))
#define MEM_FIRST_MFN ((mfn_t)0x18000)
#define MFN_NONE (~(mfn_t)0)

/* Page-table entry bits (SDM vol. 3, table 4-20). */
#define PTE_P ((uint64_t)1 << 0)
#define PTE_RW ((uint64_t)1 << 1)
#define PTE_US ((uint64_t)1 << 2)
#define PTE_A ((uint64_t)1 << 5)
#define PTE_D ((uint64_t)1 << 6)
#define PTE_PS ((uint64_t)1 << 7)
#define PTE_NX ((uint64_t)1 << 63)
#define PTE_MFN(pte) (((pte) & 0x000ffffffffff000ull) >> PAGE_SHIFT)

enum mem_frame_flag {
	FRAME_PT = 1,       /* used as a page table by some walk, or pinned */
	FRAME_CODE = 2,     /* translations were made from it */
	FRAME_READONLY = 4, /* the guest may never map it writable */
	FRAME_ABSENT = 8,   /* the guest does not have it; by the functions below only */
};

struct mem;
struct mmu;

enum { MEM_MMUS = 1 }; /* one for each vCPU */

/* ram_pages >= 1; extra_pages may be 0.  NULL and *e on failure. */
struct mem *mem_create(uint64_t ram_pages, uint64_t extra_pages, struct ttd_error *e);
void mem_destroy(struct mem *m);
/*
 * Do processes that are forked from now on have the guest's memory and what is kept about it?
 * At first they do.  Where they do not, *m must not be looked at.
 */
void mem_fork(struct mem *m, bool too);

uint64_t mem_ram_pages(const struct mem *m);
uint64_t mem_all_pages(const struct mem *m); /* RAM and extra */

bool mem_is_ram(const struct mem *m, mfn_t mfn); /* a frame of RAM that the guest has */

/*
 * Host address of a frame's 4096 bytes, NULL when the guest has no such frame.
 * Read freely; to write a frame that the guest can already see use
 * mem_write_frame(), which keeps M1..M3.  (The domain builder may write
 * directly: nothing has been walked yet.)
 */
uint8_t *mem_frame(const struct mem *m, mfn_t mfn);
unsigned mem_frame_flags(const struct mem *m, mfn_t mfn);
void mem_frame_set(struct mem *m, mfn_t mfn, enum mem_frame_flag flag);
void mem_frame_clear(struct mem *m, mfn_t mfn, enum mem_frame_flag flag);
/* The bytes of any frame there is, also of an absent one: what a checkpoint holds. */
const uint8_t *mem_page(const struct mem *m, mfn_t mfn);

/*
 * A frame of RAM leaves the guest: its bytes go, and whatever was derived from it or
 * led to it; the host gets its page back.  One that enters is all zero.  The third
 * says it of all frames of RAM at once (a bit per frame that is absent), between
 * mem_restore_frame() and the guest's next instruction, or before its first; the
 * bytes are the caller's affair then (M6).
 */
void mem_frame_leave(struct mem *m, mfn_t mfn);
void mem_frame_enter(struct mem *m, mfn_t mfn);
void mem_set_absent(struct mem *m, const uint64_t *absent);

/*
 * Writes n bytes at an offset of a frame; off + n <= PAGE_SIZE.  Invalidates
 * whatever was derived from the old bytes (translations of addresses when the
 * frame is a page table, code when it holds code).  Returns -1 when there is
 * no such frame.  Hypercalls use it for page-table entries (n = 8).
 */
int mem_write_frame(struct mem *m, mfn_t mfn, unsigned off, const void *p, size_t n);

/*
 * For what must use neither vector registers nor libc (*_hot.c): mem_poke() writes a byte as
 * mem_write_frame() does, where mem_may_poke() says that this takes no more than a store.
 * mem_frame() and mem_is_ram() are made for that, too.
 */
bool mem_may_poke(const struct mem *m, mfn_t mfn);
void mem_poke(struct mem *m, mfn_t mfn, unsigned off, uint8_t value);

/*
 * The read-only window at `va` that kernel mode sees whatever its tables say
 * (the machine-to-phys table in Xen's hole), n frames from mfn.  One only.
 */
void mem_set_window(struct mem *m, gva_t va, mfn_t mfn, uint64_t n);

/* XXH3 digest of all frames, RAM then extra. */
uint64_t mem_digest(const struct mem *m);

/*
 * Write epochs.  mem_epoch_begin() starts one: forgets what was written.
 * mem_epoch_dirty() lists the frames that may have been written since, in
 * ascending order; the list stays until the next call of either.  Before the
 * first mem_epoch_begin() nothing is noted and the list is empty.  -1, NULL:
 * no memory.  mem_epoch_count() tells only how many they are, in no time.  Each
 * listener has epochs of its own.
 */
enum mem_listener { MEM_FOR_SUM /* mem_sum()'s own */, MEM_FOR_CHECKPOINT, MEM_LISTENERS };
int mem_epoch_begin(struct mem *m, enum mem_listener who);
size_t mem_epoch_count(const struct mem *m, enum mem_listener who);
const mfn_t *mem_epoch_dirty(struct mem *m, enum mem_listener who, size_t *n);

/*
 * Sum over all frames that are not all zero of their XXH3 digest with the
 * frame's number as seed.  mem_sum() begins a write epoch with each call and
 * looks only at what was written since the last one; mem_sum_all() looks at
 * everything and begins nothing.  Both give the same.
 */
uint64_t mem_sum(struct mem *m);
uint64_t mem_sum_all(const struct mem *m);

/*
 * The frames that changed between the last two mem_sum(), ascending, and by
 * what the sum did because of each.  NULL: not known, because there was only
 * one, or memory was restored between them.
 * It stays until the next mem_sum().
 */
struct mem_change {
	mfn_t mfn;
	uint64_t by;
};
const struct mem_change *mem_changed(const struct mem *m, size_t *n);

/* Calls fn for each frame that may be other than all zero. */
void mem_each_used(const struct mem *m, void (*fn)(void *ctx, mfn_t mfn), void *ctx);

/*
 * Going back to a checkpoint: mem_restore_frame() for each frame that may differ (4096
 * bytes), then mem_restore_end() with a bit per frame for FRAME_PT, of which the guest can
 * tell (xen/ptwr.c), and then mmu_restore() of each MMU.  Between the first and the last
 * call nothing else may be done.  Translations of code that did not change stay.
 */
void mem_restore_frame(struct mem *m, mfn_t mfn, const uint8_t *page);
void mem_restore_end(struct mem *m, const uint8_t *pt);
/* The bits for mem_restore_end(), (mem_all_pages() + 7) / 8 bytes. */
void mem_pt_bits(const struct mem *m, uint8_t *pt);

struct mem_stats {
	uint64_t fills, walks, flushes, invalidations;
};
const struct mem_stats *mem_stats(const struct mem *m);

#endif
