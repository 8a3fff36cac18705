/*
 * internal.h - inside of struct mem, for src/mem only.
 */
#ifndef TTD_MEM_INTERNAL_H
#define TTD_MEM_INTERNAL_H

#include "mem/mem.h"
#include "mem/space.h"
#include "mem/tlb.h"
#include "mem/watch.h"

enum {
	CODE_MISSES = 64,    /* stores to a code page that we bear before giving it up */
	FRAME_WMULTI = 0x80, /* more write entries than slots: search */
	FRAME_ROOT = 0x40,   /* roots_seen tells of it: root.c */
	ROOTS_SEEN = 64,
	WSLOTS = 3,
};

/*
 * What we know of a frame.  The pt_* fields remember where walks of the current epoch met
 * it as a page table, whichever MMU's they were, so that a changed entry invalidates
 * just the addresses it translated.  An epoch is the time between two flushes of a half in
 * all MMUs: a frame last walked in an earlier epoch has nothing in any TLB.
 */
struct frame {
	uint8_t flags;
	uint8_t pt_level; /* 1..4 */
	uint8_t pt_multi; /* met at several addresses or levels */
	uint8_t wtlb[WSLOTS];  /* slots that name a write entry: of this TLB (TLB_NAME), 0 none, */
	uint16_t widx[WSLOTS]; /* the one with this index */
	uint16_t code_misses; /* stores beside the code since it was marked */
	uint64_t pt_epoch[HALF_COUNT];
	gva_t pt_va; /* address translated by its entry 0 */
	uint64_t code_map; /* a bit per 64 bytes that hold translated code */
	struct {
		uint64_t space; /* when user mode fetched from it last, */
		gva_t va;       /* and where; FETCH_MANY: at several addresses */
	} fetched[MEM_MMUS];
	uint64_t space_pt;    /* a table of the mapped space: address of its entry 0 | level */
	uint32_t space_page;  /* where the frame is mapped: first of a chain in space.page; 0: nowhere */
};
#define FETCH_MANY ((gva_t)1)

/* Indices filled since the half was last flushed; may repeat. */
struct used {
	uint32_t n;
	uint16_t idx[TLB_SIZE];
};

struct fetch_entry {
	gva_t va; /* page address, or 1: empty */
	mfn_t mfn;
	bool listed[HALF_COUNT];
};

/* Fetch entries in use; unlike `used` it names each one once. */
struct fetch_used {
	uint32_t n;
	uint16_t idx[ITLB_SIZE];
};

struct code_queue {
	mfn_t *v;
	uint32_t n, cap;
	uint32_t marked; /* frames with FRAME_CODE: this many may yet be queued */
};

/* In what bits the kernel's halves of two roots differ. */
struct roots_seen {
	uint64_t gen, differ;
	mfn_t a, b; /* a < b */
};

struct mmu {
	struct tlb tlb[2];              /* by mode */
	struct used used[2][HALF_COUNT];
	struct fetch_entry fetch[2][ITLB_SIZE];
	struct fetch_used fetch_used[2][HALF_COUNT];
	uint64_t fetch_gen[2];
	uint64_t fetch_space; /* one more each time user mode's fetch entries are emptied */
	mfn_t root[2];
	bool space_here; /* the mapped space is this user root's */
	uint8_t number;  /* in struct mem's mmu[] */
	struct mem *mem;
};
/* A TLB's number in struct frame. */
#define TLB_NAME(u, mode) ((uint8_t)((u)->number * 2 + (mode) + 1))
_Static_assert(MEM_MMUS * 2 < 256, "it has a byte");

/* The mapped address space: space.h. */
enum {
	SPACE_PAGES = 60000, /* each may be a mapping, of which the host allows 65,530 */
	SPACE_HASH_BITS = 17,
	SPACE_TABLES = 1 << 14,
	SPACE_AROUND = 16, /* pages that are mapped together, if they can be */
};
#define SPACE_MARGIN (UINT64_C(256) << 20) /* that a guest's stack may grow unseen */

struct space_page {
	gva_t va;      /* 0: not in use */
	uint32_t frame, next, frame_next;
	bool writable;
};

struct space {
	bool enabled;
	bool refused;        /* for this guest, for good (MS3) */
	int fd;              /* the memory; valid where enabled */
	mfn_t root;          /* MFN_NONE: there is none */
	uint64_t cost;       /* since it began */
	gva_t near_from, near_to; /* around what is ours outside our range */
	struct space_page *page; /* by number, from 1 on */
	uint32_t *hash, free;    /* free: first of a chain of those below `top`, or 0 */
	uint32_t top, count;     /* none from there on has been used; how many are */
	uint32_t *table, ntables; /* frames with a space_pt */
	struct space_stats stats;
};

/* A walk's last table, and whether the tables before it allow writing. */
struct space_walk {
	const uint64_t *table;
	bool writable;
};

struct mem {
	struct mmu mmu[MEM_MMUS];       /* first: lies in the region */
	uint64_t epoch[HALF_COUNT];     /* see struct frame */
	uint64_t roots_gen;
	struct roots_seen roots_seen[ROOTS_SEEN];
	uint8_t *ram;
	struct frame *frames;
	uint64_t ram_pages, all_pages;
	gva_t window_va;
	mfn_t window_mfn;
	uint64_t window_pages;
	struct code_queue dirty_code;
	/*
	 * epoch.c: a bit per frame written since any listener's epoch began (M5);
	 * NULL: nobody asks.  earlier[who]: written before that, in its epoch.
	 */
	uint64_t *written, *earlier[MEM_LISTENERS];
	mfn_t *dirty;       /* the list last given out */
	uint64_t *sums;     /* digest per frame as of the last mem_sum(); NULL: none yet */
	uint64_t sum;
	struct {
		struct mem_watch *v;
		size_t n;
		bool insn, hit;
		struct mem_watch_hit first;
	} watch;
	struct mem_change *changed; /* by the last mem_sum(), if that is known: */
	size_t nchanged;
	bool changes_known, restored; /* mem_restore_end() since the last mem_sum() */
	struct space space;
	struct mem_stats stats;
};

static inline bool frame_ok(const struct mem *m, mfn_t mfn)
{
	return mfn - MEM_FIRST_MFN < m->all_pages;
}
/* One that the guest can reach (M6). */
static inline bool frame_here(const struct mem *m, mfn_t mfn)
{
	return frame_ok(m, mfn) && !(m->frames[mfn - MEM_FIRST_MFN].flags & FRAME_ABSENT);
}
static inline struct frame *frame_of(const struct mem *m, mfn_t mfn)
{
	return &m->frames[mfn - MEM_FIRST_MFN];
}
/* The frame's bytes are about to change, or may from now on (M5). */
static inline void note_write(struct mem *m, mfn_t mfn)
{
	uint64_t i = mfn - MEM_FIRST_MFN;

	if (m->written != NULL)
		m->written[i / 64] |= (uint64_t)1 << i % 64;
}
/* A page table's bytes are about to change, or it is none any more. */
static inline void root_changes(struct mem *m, mfn_t mfn)
{
	if (frame_of(m, mfn)->flags & FRAME_ROOT)
		m->roots_gen++;
}
static inline uint8_t *frame_host(const struct mem *m, mfn_t mfn)
{
	return m->ram + ((mfn - MEM_FIRST_MFN) << PAGE_SHIFT);
}

/* No write entry leads to it any more. */
static inline void frame_no_writer(struct frame *fr)
{
	fr->flags &= (uint8_t)~FRAME_WMULTI;
	for (unsigned k = 0; k < WSLOTS; k++)
		fr->wtlb[k] = 0;
}

/* For all MMUs of *m: each in turn is *u. */
#define EACH_MMU(u, m) (struct mmu *u = (m)->mmu; u < (m)->mmu + MEM_MMUS; u++)

static inline struct tlb *tlb_named(struct mem *m, unsigned name)
{
	return &m->mmu[(name - 1) / 2].tlb[(name - 1) % 2];
}

/* space.c, space_hot.c */
void space_free(struct mem *m);
void space_fork(const struct mem *m, bool too); /* mem_fork() */
void space_each_used(const struct mem *m, void (*fn)(void *ctx, mfn_t mfn), void *ctx);
void space_root_set(struct mmu *u);            /* its user root may have changed */
void space_unwrite(struct mem *m, mfn_t mfn);  /* this frame is to be nowhere writable */
void space_unwrite_all(struct mem *m);
void space_pt_changed(struct mem *m, mfn_t mfn, unsigned index); /* an entry that was present is going to */
void space_pt_release(struct mem *m, mfn_t mfn);
bool space_holds(struct mem *m);               /* MS1, MS2; slow, for tests */

/* epoch.c */
void epoch_free(struct mem *m);

static inline uint64_t code_bits(unsigned from, unsigned to)
{
	unsigned first = from / 64, last = (to - 1) / 64;

	return (~(uint64_t)0 >> (63 - (last - first))) << first;
}

/* watch_hot.c: call these while watch.n != 0 */
unsigned watch_page(const struct mem *m, enum mem_mode mode, gva_t va, mfn_t mfn);
void watch_frame(struct mem *m, mfn_t mfn, unsigned off, size_t n, bool direct);
void watch_walk(struct mem *m, mfn_t table, unsigned off);

/* tlb_hot.c */
void tlb_code_changed(struct mem *m, mfn_t mfn, unsigned off, unsigned n);
void tlb_note_pt(struct mem *m, mfn_t mfn, unsigned level, gva_t va);
void tlb_flush_half(struct mmu *u, enum mem_mode mode, enum mem_half half);
void tlb_flush_all(struct mem *m);
void tlb_unwrite(struct mem *m, mfn_t mfn); /* drop every write entry of a frame */
void tlb_pt_changed(struct mem *m, mfn_t mfn, unsigned index, bool fetch);
void tlb_pt_release(struct mem *m, mfn_t mfn);

/* Asserts what M1..M4 claim of the whole TLB; slow, for tests. */
void mem_check(struct mem *m);

#endif
