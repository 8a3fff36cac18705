/*
 * restore.h - a domain that begins with a saved guest's state instead of a boot: what
 * a receiver of Xen's does with an image (tools/libs/guest/xg_sr_restore_x86_pv.c, and
 * arch_set_info_guest() in the hypervisor).
 */
#ifndef TTD_XEN_RESTORE_H
#define TTD_XEN_RESTORE_H

#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

struct domain;
struct vcpu;
struct xlsave;
struct vcpu_guest_context;

/* What its CPU has beyond x86-64-v2 (cpu/isa.h).  -1: *e names what cannot be run here. */
int restore_isa(const struct xlsave *s, uint64_t *isa, struct ttd_error *e);

/*
 * Memory, page tables, start_info, shared_info, rings and the vCPU, for machine_init()'s
 * domain; instead of domain_build() and what comes of it.  -1: *e.
 */
int restore_domain(struct domain *d, const struct xlsave *s, struct ttd_error *e);

/* restore_vcpu.c; frame numbers in it are the machine's already. */
int restore_vcpu(struct vcpu *v, const struct vcpu_guest_context *c, const struct xlsave *s,
	struct ttd_error *e);

#endif
