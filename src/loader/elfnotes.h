/*
 * elfnotes.h - what the domain builder needs from a kernel's ELF image: where
 * its segments go, and what its Xen notes ask for (xen/include/public/elfnote.h).
 */
#ifndef TTD_LOADER_ELFNOTES_H
#define TTD_LOADER_ELFNOTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

#define ELF_UNSET (~(uint64_t)0)

enum { ELF_MAX_SEGMENTS = 32 };

struct elf_segment {
	uint64_t offset, filesz; /* bytes in the file: checked to be inside it */
	uint64_t paddr, memsz;   /* guest-physical target; filesz <= memsz */
};

struct elf_kernel {
	struct elf_segment seg[ELF_MAX_SEGMENTS];
	unsigned nseg;
	/* Lowest and highest + 1 guest-physical address of all segments, less
	 * the PADDR_OFFSET note; these and entry and hypercall_page lie inside
	 * the loaded image. */
	uint64_t pstart, pend;
	uint64_t entry;          /* VA */
	uint64_t virt_base;      /* VA of guest-physical 0; page-aligned */
	uint64_t hypercall_page; /* VA or ELF_UNSET */
	uint64_t init_p2m;       /* VA or ELF_UNSET */
	bool mod_start_pfn;      /* the ramdisk may stay unmapped */
	char guest_os[32], guest_version[32];
};

/* `name` is only for messages. */
int elf_parse_kernel(const char *name, const uint8_t *p, size_t n, struct elf_kernel *k,
	struct ttd_error *e);

#endif
