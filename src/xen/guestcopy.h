/*
 * guestcopy.h - addresses that a guest gives, and copies of hypercall arguments.
 */
#ifndef TTD_XEN_GUESTCOPY_H
#define TTD_XEN_GUESTCOPY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/mem.h"

struct vcpu;

/* What Xen takes for an address of the guest's: not one in the hypervisor's range. */
static inline bool is_guest_address(uint64_t va)
{
	return va < UINT64_C(1) << 47 || va >= UINT64_C(0xffff880000000000);
}

/* 0 or -EFAULT. */
int copy_from_guest(struct vcpu *v, void *dst, gva_t src, size_t n);
int copy_to_guest(struct vcpu *v, gva_t dst, const void *src, size_t n);

#endif
