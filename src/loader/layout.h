/*
 * layout.h - where the domain builder puts everything: pure arithmetic on page
 * numbers, kept apart from the copying so that it can be tested by itself.
 *
 * The order is that of Xen's own builder (libxenguest):
 *
 *	kernel at its physical address
 *	[ramdisk]        if the kernel cannot take it unmapped
 *	[p2m list]       if the kernel names no address for it
 *	start_info, xenstore page, console page
 *	page tables      L4, L3s, L2s, L1s of the initial mapping
 *	boot stack
 *	slack            >= 512 KiB, to a multiple of 4 MiB
 *	--- end of the initial mapping, which maps pfn 0 at virt_base ---
 *	[ramdisk]        by pfn
 *	[p2m list, and the L3s, L2s, L1s that map it at its own address]
 */
#ifndef TTD_LOADER_LAYOUT_H
#define TTD_LOADER_LAYOUT_H

#include <stdbool.h>
#include <stdint.h>

#include "loader/elfnotes.h"
#include "util/err.h"

struct pages {
	uint64_t pfn, count;
};

/* One contiguous virtual range and the tables that map it to contiguous pfns. */
struct mapping {
	uint64_t va;          /* first byte */
	uint64_t count;       /* pages mapped; 0: no such mapping */
	uint64_t pfn;         /* what va maps to */
	uint64_t ntables[5];  /* [level], 1..4; [4] is 0 in the second mapping */
	uint64_t table[5];    /* pfn of the first table of a level */
};

struct layout {
	struct pages kernel, ramdisk, p2m, start_info, store, console, tables, stack;
	struct mapping low;   /* the initial mapping */
	struct mapping list;  /* the p2m list at INIT_P2M, if anywhere */
	bool ramdisk_mapped, p2m_mapped; /* in the initial mapping */
	uint64_t p2m_frames;  /* the list and the tables of `list` */
	uint64_t end;         /* first free pfn: what all this needs of RAM */
};

/*
 * Fails when addresses make no sense or when it does not fit into ram_pages;
 * `name` is the kernel's, for messages.
 */
int layout_plan(struct layout *l, const char *name, const struct elf_kernel *k,
	uint64_t ram_pages, uint64_t ramdisk_bytes, struct ttd_error *e);

#endif
