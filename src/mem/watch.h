/*
 * watch.h - ranges of guest memory whose accesses somebody outside wants to know
 * about: a debugger, the search for a last writer.  The guest cannot tell.
 *
 * A range is of virtual addresses, and then means accesses that name them, or of
 * machine addresses, and then means every way to those bytes.  Told are: reads
 * and writes by instructions; writes by the hypervisor; accessed and dirty bits
 * that a walk sets in a page table.  Reads by the hypervisor are not.
 *
 *  WA1. Pages that a range touches are kept out of the TLB for the accesses that
 *      it wants (for writes only: out of the write TLB), so that each of them
 *      takes a path that ends here.
 *  WA2. Whether an access is told depends on the guest's state and the ranges, never
 *      on what the TLB or the code cache hold.
 */
#ifndef TTD_MEM_WATCH_H
#define TTD_MEM_WATCH_H

#include "mem/mem.h"

enum mem_watch_access { WATCH_READ = 1, WATCH_WRITE = 2 };

struct mem_watch {
	uint64_t addr;   /* virtual address, or mfn << PAGE_SHIFT | offset */
	uint64_t len;    /* >= 1 */
	uint8_t access;  /* enum mem_watch_access bits */
	bool machine;
	uint8_t modes;   /* only in these: 1 << enum mem_mode; 0: in both */
	mfn_t root;      /* only while this is the kernel's root; MFN_NONE: always */
};

enum mem_watch_by { WATCH_BY_INSN, WATCH_BY_WALK, WATCH_BY_HYPERVISOR };

struct mem_watch_hit {
	unsigned index;  /* of the watch */
	enum mem_watch_by by;
	bool write;
	gva_t va;        /* first byte of the access; 0 when it was by machine address */
	mfn_t mfn;       /* the same; MFN_NONE when it was by virtual address */
	uint16_t off;    /* in the frame */
	uint32_t size;
};

/* Replaces all of them, and forgets the hit.  n == 0: none.  -1: no memory. */
int mem_set_watches(struct mem *m, const struct mem_watch *w, size_t n);

/* The first hit since mem_watch_clear(); NULL: none. */
const struct mem_watch_hit *mem_watch_hit(const struct mem *m);
void mem_watch_clear(struct mem *m);
/* Forgets a hit by the instruction at hand, which will be executed again. */
void mem_watch_undo(struct mem *m);

/* Accesses from now on are an instruction's, or the hypervisor's. */
void mem_watch_by_insn(struct mem *m, bool insn);

#endif
