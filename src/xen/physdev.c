/*
 * physdev.c - physdev_op for a domain that has no physical devices: I/O
 * privilege, and for all the rest what Xen answers when there is nothing.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/physdev.h>

#include "xen/guestcopy.h"

enum { IOBMP_BYTES = 8192 };

static int64_t set_iopl(struct vcpu *v, const void *arg)
{
	const struct physdev_set_iopl *op = arg;

	if (op->iopl > 3)
		return -EINVAL;
	v->ctl.iopl = (uint8_t)op->iopl;
	return 0;
}

static int64_t set_iobitmap(struct vcpu *v, const void *arg)
{
	const struct physdev_set_iobitmap *op = arg;
	uint64_t va;

	memcpy(&va, &op->bitmap, sizeof va);
	if (!is_guest_address(va) || op->nr_ports > 65536)
		return -EINVAL;
	v->ctl.iobmp = va;
	v->ctl.iobmp_limit = op->nr_ports;
	return 0;
}

/* A frame with a bit for each physical interrupt: there are none, all stays as it is. */
static int64_t pirq_eoi_gmfn(struct vcpu *v, const void *arg)
{
	struct domain *d = v->d;
	const struct physdev_pirq_eoi_gmfn *op = arg;

	if (!is_writable(d, op->gmfn))
		return -EINVAL;
	if (d->pirq_eoi_map)
		return -EBUSY;
	d->pirq_eoi_map = true;
	return 0;
}

static int64_t for_domain(struct vcpu *v, const void *arg)
{
	const uint16_t domid = *(const domid_t *)arg;

	(void)v;
	return domid == DOMID_SELF || domid == DOMID || domid == 0 ? -EPERM : -ESRCH;
}

/* The argument is read first; without a function the answer is `rc`. */
static const struct {
	int64_t (*fn)(struct vcpu *v, const void *arg);
	uint16_t cmd;
	uint8_t size;
	int8_t rc;
} ops[] = {
	{ set_iopl, PHYSDEVOP_set_iopl, sizeof(struct physdev_set_iopl), 0 },
	{ set_iobitmap, PHYSDEVOP_set_iobitmap, sizeof(struct physdev_set_iobitmap), 0 },
	{ pirq_eoi_gmfn, PHYSDEVOP_pirq_eoi_gmfn_v1, sizeof(struct physdev_pirq_eoi_gmfn), 0 },
	{ pirq_eoi_gmfn, PHYSDEVOP_pirq_eoi_gmfn_v2, sizeof(struct physdev_pirq_eoi_gmfn), 0 },
	{ for_domain, PHYSDEVOP_map_pirq, sizeof(struct physdev_map_pirq), 0 },
	{ for_domain, PHYSDEVOP_unmap_pirq, sizeof(struct physdev_unmap_pirq), 0 },
	{ NULL, PHYSDEVOP_IRQ_UNMASK_NOTIFY, 0, 0 },
	{ NULL, PHYSDEVOP_eoi, sizeof(struct physdev_eoi), -EINVAL },
	{ NULL, PHYSDEVOP_irq_status_query, sizeof(struct physdev_irq_status_query), -EINVAL },
	{ NULL, PHYSDEVOP_setup_gsi, sizeof(struct physdev_setup_gsi), -EINVAL },
	{ NULL, PHYSDEVOP_get_free_pirq, sizeof(struct physdev_get_free_pirq), -ENOSPC },
	{ NULL, PHYSDEVOP_restore_msi, sizeof(struct physdev_restore_msi), -ENODEV },
	{ NULL, PHYSDEVOP_restore_msi_ext, sizeof(struct physdev_pci_device), -ENODEV },
	{ NULL, PHYSDEVOP_apic_read, sizeof(struct physdev_apic), -EPERM },
	{ NULL, PHYSDEVOP_apic_write, sizeof(struct physdev_apic), -EPERM },
	{ NULL, PHYSDEVOP_alloc_irq_vector, sizeof(struct physdev_irq), -EPERM },
	{ NULL, PHYSDEVOP_manage_pci_add, sizeof(struct physdev_manage_pci), -EPERM },
	{ NULL, PHYSDEVOP_manage_pci_add_ext, sizeof(struct physdev_manage_pci_ext), -EPERM },
	{ NULL, PHYSDEVOP_manage_pci_remove, sizeof(struct physdev_manage_pci), -EPERM },
	{ NULL, PHYSDEVOP_prepare_msix, sizeof(struct physdev_pci_device), -EPERM },
	{ NULL, PHYSDEVOP_release_msix, sizeof(struct physdev_pci_device), -EPERM },
	{ NULL, PHYSDEVOP_pci_device_add, sizeof(struct physdev_pci_device_add), -EPERM },
	{ NULL, PHYSDEVOP_pci_device_remove, sizeof(struct physdev_pci_device), -EPERM },
	{ NULL, PHYSDEVOP_pci_mmcfg_reserved, 0, -EPERM },
	{ NULL, PHYSDEVOP_dbgp_op, 0, -EPERM },
};

int64_t hc_physdev_op(struct vcpu *v, const struct hypercall_args *h)
{
	uint32_t cmd = (uint32_t)h->a[0];
	uint64_t arg[8] = {0};

	for (size_t i = 0; i < sizeof ops / sizeof ops[0]; i++) {
		if (ops[i].cmd != cmd)
			continue;
		if (copy_from_guest(v, arg, h->a[1], ops[i].size) < 0)
			return -EFAULT;
		return ops[i].fn != NULL ? ops[i].fn(v, arg) : ops[i].rc;
	}
	return -ENOSYS;
}

_Static_assert(sizeof(struct physdev_map_pirq) <= 64 &&
	sizeof(struct physdev_pci_device_add) <= 64, "hc_physdev_op()'s room");
