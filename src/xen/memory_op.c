/*
 * memory_op.c - the memory_op hypercall: which function does which, and those that
 * tell how much memory there is.
 *
 * The bits of the command above the operation are where a call that gave way goes on;
 * only calls with lists have them.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/memory.h>

#include "xen/guestcopy.h"
#include "xen/mmu.h"

/* One RAM entry from 0 to maxmem, as xl makes it: no holes, so nothing is remapped. */
static int64_t memory_map(struct vcpu *v, const struct hypercall_args *h)
{
	struct xen_memory_map map;
	uint8_t entry[20] = {0}; /* {u64 addr, u64 size, u32 type}, packed */
	uint64_t buffer;

	if (copy_from_guest(v, &map, h->a[1], sizeof map) < 0)
		return -EFAULT;
	memcpy(&buffer, &map.buffer, sizeof buffer);
	put64(entry + 8, v->d->memory.pages << PAGE_SHIFT);
	put32(entry + 16, 1);
	if (map.nr_entries > 1)
		map.nr_entries = 1;
	if (copy_to_guest(v, buffer, entry, map.nr_entries * sizeof entry) < 0)
		return -EFAULT;
	return copy_to_guest(v, h->a[1], &map, sizeof map);
}

static int64_t machphys_mapping(struct vcpu *v, const struct hypercall_args *h)
{
	struct xen_machphys_mapping map = {
		.v_start = M2P_START, .v_end = M2P_END,
		.max_mfn = MEM_FIRST_MFN + mem_all_pages(v->d->mem) - 1,
	};

	return copy_to_guest(v, h->a[1], &map, sizeof map);
}

/* One more than the last frame's number, whatever its description says. */
static int64_t maximum_ram_page(struct vcpu *v, const struct hypercall_args *h)
{
	(void)h;
	return (int64_t)(MEM_FIRST_MFN + mem_all_pages(v->d->mem));
}

static int64_t reservation(struct vcpu *v, const struct hypercall_args *h)
{
	struct domain *d = v->d;
	struct xen_memory_domain who;
	uint64_t max_pfn;
	int64_t rc;

	if (copy_from_guest(v, &who, h->a[1], sizeof who) < 0)
		return -EFAULT;
	rc = memory_target(who.domid);
	if (rc < 0)
		return rc;
	switch (h->a[0]) {
	case XENMEM_current_reservation:
		return (int64_t)d->memory.has;
	case XENMEM_maximum_reservation:
		return (int64_t)d->memory.max;
	default: /* a number of frames that the guest keeps in shared_info */
		max_pfn = get64(mem_frame(d->mem, d->shared_info) +
			offsetof(struct shared_info, arch.max_pfn));
		return max_pfn != 0 ? (int64_t)(max_pfn - 1) : 0;
	}
}

/* Only a guest whose frame numbers Xen translates has a physmap to change. */
static int64_t add_to_physmap(struct vcpu *v, const struct hypercall_args *h)
{
	struct xen_add_to_physmap a;
	int64_t rc;

	if (copy_from_guest(v, &a, h->a[1], sizeof a) < 0)
		return -EFAULT;
	if (a.space == XENMAPSPACE_gmfn_foreign)
		return -ENOSYS;
	rc = memory_target(a.domid);
	return rc < 0 ? rc : -EACCES;
}

static int64_t add_to_physmap_batch(struct vcpu *v, const struct hypercall_args *h)
{
	struct xen_add_to_physmap_batch a;
	int64_t rc;

	if (copy_from_guest(v, &a, h->a[1], sizeof a) < 0)
		return -EFAULT;
	if (a.space == XENMAPSPACE_gmfn_range)
		return -EOPNOTSUPP;
	rc = memory_target(a.domid);
	return rc < 0 ? rc : -EACCES;
}

static int64_t remove_from_physmap(struct vcpu *v, const struct hypercall_args *h)
{
	struct xen_remove_from_physmap a;
	int64_t rc;

	if (copy_from_guest(v, &a, h->a[1], sizeof a) < 0)
		return -EFAULT;
	rc = memory_target(a.domid);
	return rc < 0 ? rc : -EACCES;
}

static int64_t not_permitted(struct vcpu *v, const struct hypercall_args *h)
{
	(void)v;
	(void)h;
	return -EPERM;
}

static int64_t no_vnuma(struct vcpu *v, const struct hypercall_args *h)
{
	struct xen_vnuma_topology_info a;
	int64_t rc;

	if (copy_from_guest(v, &a, h->a[1], sizeof a) < 0)
		return -EFAULT;
	if (a.pad != 0)
		return -EINVAL;
	rc = memory_target(a.domid);
	return rc < 0 ? rc : -EOPNOTSUPP;
}

static const struct {
	hypercall_fn *fn;
	bool resumes;   /* takes a command with a place to go on at */
	int16_t error;  /* what others say to one */
} ops[MEMORY_OP_MASK + 1] = {
	[XENMEM_increase_reservation] = { memory_extents, true, 0 },
	[XENMEM_decrease_reservation] = { memory_extents, true, 0 },
	[XENMEM_populate_physmap] = { memory_extents, true, 0 },
	[XENMEM_exchange] = { memory_exchange, false, -EINVAL },
	[XENMEM_maximum_ram_page] = { maximum_ram_page, false, -EINVAL },
	[XENMEM_current_reservation] = { reservation, false, -EINVAL },
	[XENMEM_maximum_reservation] = { reservation, false, -EINVAL },
	[XENMEM_maximum_gpfn] = { reservation, false, -EINVAL },
	[XENMEM_add_to_physmap] = { add_to_physmap, true, 0 },
	[XENMEM_add_to_physmap_batch] = { add_to_physmap_batch, true, 0 },
	[XENMEM_remove_from_physmap] = { remove_from_physmap, false, -EINVAL },
	[24 /* claim_pages, in headers for tools */] = { not_permitted, false, -EINVAL },
	[XENMEM_get_vnumainfo] = { no_vnuma, false, -EINVAL },
	[XENMEM_machine_memory_map] = { not_permitted, false, -ENOSYS },
	[XENMEM_memory_map] = { memory_map, false, -ENOSYS },
	[XENMEM_machphys_mapping] = { machphys_mapping, false, -ENOSYS },
};

int64_t hc_memory_op(struct vcpu *v, const struct hypercall_args *h)
{
	unsigned op = h->a[0] & MEMORY_OP_MASK;

	if (ops[op].fn == NULL)
		return -ENOSYS;
	if (h->a[0] >> MEMORY_OP_BITS != 0 && !ops[op].resumes)
		return ops[op].error;
	return ops[op].fn(v, h);
}
