/*
 * mmu.h - page tables by hypercall (mmu.c), and by a store that faults (ptwr.c).
 */
#ifndef TTD_XEN_MMU_H
#define TTD_XEN_MMU_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mmu.h"

struct domain;
struct vcpu;

/* The machine-to-phys table starts at the hole's start (Xen's asm-x86/config.h). */
#define M2P_START UINT64_C(0xffff800000000000)
#define M2P_END UINT64_C(0xffff804000000000)

uint64_t mmu_l1_entry(struct vcpu *v, gva_t va); /* its machine address in kernel mode, 0: none */
void m2p_set(struct domain *d, mfn_t mfn, uint64_t pfn); /* of any frame of the table */
int64_t vcpu_new_root(struct vcpu *v, enum mem_mode mode, mfn_t mfn); /* user, 0: none */
bool ptwr_fault(struct vcpu *v, gva_t va, uint32_t error); /* ptwr.c: handled */

#endif
