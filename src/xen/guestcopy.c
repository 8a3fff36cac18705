/*
 * guestcopy.c - copies of hypercall arguments between the kernel's address space and us.
 *
 * An address in the hypervisor's range is no address of the guest's, whatever a walk
 * would say.
 */
#include "xen/internal.h"

#include <errno.h>

#include "xen/guestcopy.h"

int copy_from_guest(struct vcpu *v, void *dst, gva_t src, size_t n)
{
	if (n == 0)
		return 0;
	if (!is_guest_address(src))
		return -EFAULT;
	return mmu_copy_in(v->mmu, MEM_KERNEL, dst, src, n, NULL) < 0 ? -EFAULT : 0;
}

int copy_to_guest(struct vcpu *v, gva_t dst, const void *src, size_t n)
{
	if (n == 0)
		return 0;
	if (!is_guest_address(dst))
		return -EFAULT;
	return mmu_copy_out(v->mmu, MEM_KERNEL, dst, src, n, NULL) < 0 ? -EFAULT : 0;
}
