/*
 * build.h - the domain builder: from a kernel file and a ramdisk file to a
 * guest's initial memory and registers, as xl's libxenguest lays them out
 * (xen/include/public/xen.h, "start-of-day memory layout").
 */
#ifndef TTD_LOADER_BUILD_H
#define TTD_LOADER_BUILD_H

#include <stdint.h>

#include "mem/mem.h"
#include "util/err.h"

struct build_params {
	const char *kernel;  /* bzImage (any payload compression) or ELF vmlinux */
	const char *unpacked; /* folder that keeps unpacked kernels; NULL: none */
	const char *ramdisk; /* NULL: none */
	const char *cmdline; /* NULL: empty; longer than 1023 bytes is an error */
	uint32_t memory_mb;  /* 64 .. 65536 */
	mfn_t shared_info;   /* extra frames chosen by the caller; machine address goes to start_info */
	uint32_t store_evtchn, console_evtchn;
	uint32_t max_image_mb; /* refuse larger decompressed kernels; 0: a sane default */
};

/* What the hypervisor needs to start the vCPU and the backends. */
struct build_info {
	mfn_t cr3;           /* L4 of the boot page tables */
	mfn_t start_info, store, console;
	uint64_t entry;      /* rip */
	uint64_t start_info_va; /* rsi */
	uint64_t stack;      /* rsp: top of the boot stack */
	uint64_t hypercall_page; /* VA, 0 when the kernel has no such note (nothing to fill) */
	uint64_t init_p2m;   /* VA of the p2m list */
	char guest_version[32];
};

/*
 * `m` has memory_mb of RAM or more, all zero.  Fills memory, pins nothing, sets no
 * root.  -1 and *e (one line naming the file) on anything wrong with a file
 * or when kernel + ramdisk + tables do not fit.
 */
int domain_build(struct mem *m, const struct build_params *p, struct build_info *out,
	struct ttd_error *e);

void build_hypercall_page(uint8_t page[PAGE_SIZE]);

#endif
