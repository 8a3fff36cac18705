/*
 * mmu.h - what one vCPU sees of the guest's memory: by virtual address.
 *
 * Virtual addresses are translated by walking the guest's own page tables, which hold MFNs.
 * An MMU has two roots, one for kernel and one for user mode (Xen's NEW_BASEPTR and
 * NEW_USER_BASEPTR).  As on 64-bit Xen PV the U/S bit gates nothing: a kernel page is hidden
 * from user mode by being absent from the user root.  RW and NX are enforced in both modes.
 *
 * Roots, TLBs and the table of fetch translations are the MMU's own; frames, what is known of
 * each, watches and the mapped address space (mem/space.h) are struct mem's, and what changes
 * there invalidates in all of its MMUs.
 */
#ifndef TTD_MEM_MMU_H
#define TTD_MEM_MMU_H

#include "mem/mem.h"

enum mem_mode { MEM_KERNEL = 0, MEM_USER = 1 };

/* Kinds of access; also the W and I bits of a #PF error code. */
enum mem_access { MEM_READ = 0, MEM_WRITE = 2, MEM_FETCH = 16 };

/* #PF error code bits (SDM vol. 3, 4.7). */
enum { PF_P = 1, PF_W = 2, PF_U = 4, PF_I = 16 };

/* Where and why an access by virtual address failed. */
struct mem_fault {
	gva_t va;        /* first byte that could not be accessed: CR2 */
	uint32_t error;  /* #PF error code, PF_* bits */
	bool noncanon;   /* not canonical: #GP (or #SS), not #PF */
};

struct mmu *mem_mmu(struct mem *m, unsigned vcpu); /* vcpu < MEM_MMUS */
struct mem *mmu_mem(const struct mmu *u);

/* Page-table roots.  MFN_NONE as user root: none; user accesses all fault. */
void mmu_set_root(struct mmu *u, enum mem_mode mode, mfn_t root);
mfn_t mmu_root(const struct mmu *u, enum mem_mode mode);
/* Is the kernel's half of this root, except for A and D bits, that of kernel mode's root? */
bool mmu_same_kernel(struct mmu *u, mfn_t root);
/* The roots of a checkpoint: see mem_restore_end(). */
void mmu_restore(struct mmu *u, mfn_t kernel, mfn_t user);

/*
 * Translates va for one access in `mode`, setting A and D bits as hardware
 * would.  Returns the MFN, or MFN_NONE and *f (f may be NULL).
 */
mfn_t mmu_translate(struct mmu *u, enum mem_mode mode, gva_t va, enum mem_access access,
	struct mem_fault *f);

/* The same without any effect on the guest: no A or D bit, no TLB entry. */
mfn_t mmu_peek(const struct mmu *u, enum mem_mode mode, gva_t va, uint64_t *pte);

/*
 * Copies between guest virtual memory and the host; pages may differ.  All
 * pages are translated before the first byte is copied.  0, or -1 and *f.
 */
int mmu_copy_in(struct mmu *u, enum mem_mode mode, void *dst, gva_t src, size_t n,
	struct mem_fault *f);
int mmu_copy_out(struct mmu *u, enum mem_mode mode, gva_t dst, const void *src, size_t n,
	struct mem_fault *f);

/*
 * For what must use neither vector registers nor libc (*_hot.c), as mmu_root() and
 * mmu_set_root() are: the host address of n bytes that may be accessed there now, once, with
 * A and D bits set as by mmu_copy_in() and mmu_copy_out().  NULL: one of these has to do it.
 */
uint8_t *mmu_reach(struct mmu *u, enum mem_mode mode, gva_t va, size_t n, enum mem_access access);

/* An instruction accesses virtual memory by a slow path (mem/watch.h). */
void mmu_watch_access(struct mmu *u, enum mem_mode mode, gva_t va, size_t n, bool write);

#endif
