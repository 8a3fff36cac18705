/*
 * misc.c - the small hypercalls: version, memory layout, early console,
 * physical devices (none), performance counters (none), scheduling.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/memory.h>
#include <xen/physdev.h>
#include <xen/sched.h>
#include <xen/version.h>

enum { VERSION = 4 << 16 | 17 };

/*
 * preserve_ad, highmem_assist, gnttab_map_avail_bits, memory_op_vnode,
 * direct_mapped: what Xen 4.17 showed the reference guest.  Linux panics
 * without the first and the third.
 */
#define FEATURES 0x220e0u

int copy_from_guest(struct domain *d, void *dst, gva_t src, size_t n)
{
	if (n == 0)
		return 0;
	return mem_copy_in(d->mem, MEM_KERNEL, dst, src, n, NULL) < 0 ? -EFAULT : 0;
}

int copy_to_guest(struct domain *d, gva_t dst, const void *src, size_t n)
{
	if (n == 0)
		return 0;
	return mem_copy_out(d->mem, MEM_KERNEL, dst, src, n, NULL) < 0 ? -EFAULT : 0;
}

static int64_t version_text(struct domain *d, gva_t va, const char *text, size_t size)
{
	char buf[1024] = {0};

	strncpy(buf, text, size - 1);
	return copy_to_guest(d, va, buf, size);
}

static int64_t compile_info(struct domain *d, gva_t va)
{
	struct xen_compile_info info = {
		.compiler = "ttd", .compile_by = "ttd", .compile_domain = "", .compile_date = "",
	};

	return copy_to_guest(d, va, &info, sizeof(info));
}

static int64_t get_features(struct domain *d, gva_t va)
{
	struct xen_feature_info f;

	if (copy_from_guest(d, &f, va, sizeof(f)) < 0)
		return -EFAULT;
	if (f.submap_idx != 0)
		return -EINVAL;
	f.submap = FEATURES;
	if (d->ctl.assist & (1u << VMASST_TYPE_pae_extended_cr3))
		f.submap |= 1u << 4;
	return copy_to_guest(d, va, &f, sizeof(f));
}

int64_t hc_xen_version(struct domain *d, const struct hypercall_args *h)
{
	static const uint8_t handle[16] = { [15] = 1 };
	uint64_t virt_start = M2P_START;
	gva_t va = h->a[1];

	switch ((uint32_t)h->a[0]) {
	case XENVER_version:
		return VERSION;
	case XENVER_extraversion:
		return version_text(d, va, ".7", sizeof(xen_extraversion_t));
	case XENVER_compile_info:
		return compile_info(d, va);
	case XENVER_capabilities:
		return version_text(d, va, "xen-3.0-x86_64 ", sizeof(xen_capabilities_info_t));
	case XENVER_changeset:
		return version_text(d, va, "", sizeof(xen_changeset_info_t));
	case XENVER_platform_parameters:
		return copy_to_guest(d, va, &virt_start, sizeof(virt_start));
	case XENVER_get_features:
		return get_features(d, va);
	case XENVER_pagesize:
		return PAGE_SIZE;
	case XENVER_guest_handle:
		return copy_to_guest(d, va, handle, sizeof(handle));
	default:
		return -ENOSYS;
	}
}

/* One RAM entry from 0: no holes, so that nothing is released or remapped. */
static int64_t memory_map(struct domain *d, gva_t va)
{
	struct xen_memory_map map;
	uint8_t entry[20] = {0}; /* {u64 addr, u64 size, u32 type}, packed */
	uint64_t buffer;

	if (copy_from_guest(d, &map, va, sizeof(map)) < 0)
		return -EFAULT;
	if (map.nr_entries < 1)
		return -EINVAL;
	memcpy(&buffer, &map.buffer, sizeof(buffer));
	put64(entry + 8, mem_ram_pages(d->mem) << PAGE_SHIFT);
	put32(entry + 16, 1);
	map.nr_entries = 1;
	if (copy_to_guest(d, buffer, entry, sizeof(entry)) < 0)
		return -EFAULT;
	return copy_to_guest(d, va, &map, sizeof(map));
}

static int64_t m2p_mapping(struct domain *d, gva_t va)
{
	struct xen_machphys_mapping map = {
		.v_start = M2P_START, .v_end = M2P_END,
		.max_mfn = MEM_FIRST_MFN + mem_all_pages(d->mem) - 1,
	};

	return copy_to_guest(d, va, &map, sizeof(map));
}

/* Ballooning calls return how many extents they handled: none, ever. */
int64_t hc_memory_op(struct domain *d, const struct hypercall_args *h)
{
	switch ((uint32_t)h->a[0] & 0x3f) {
	case XENMEM_increase_reservation:
	case XENMEM_decrease_reservation:
	case XENMEM_populate_physmap:
		return 0;
	case XENMEM_maximum_ram_page:
		return (int64_t)(MEM_FIRST_MFN + mem_all_pages(d->mem) - 1);
	case XENMEM_current_reservation:
	case XENMEM_maximum_reservation:
		return (int64_t)mem_ram_pages(d->mem);
	case XENMEM_memory_map:
		return memory_map(d, h->a[1]);
	case XENMEM_machphys_mapping:
		return m2p_mapping(d, h->a[1]);
	default:
		return -ENOSYS;
	}
}

int64_t hc_console_io(struct domain *d, const struct hypercall_args *h)
{
	struct hypercall_args left = *h;

	if ((uint32_t)h->a[0] != CONSOLEIO_write)
		return -ENOSYS;
	left.a[1] = (uint32_t)left.a[1];
	while (left.a[1] > 0) {
		char buf[256];
		size_t part = left.a[1] < sizeof(buf) ? left.a[1] : sizeof(buf);

		if (copy_from_guest(d, buf, left.a[2], part) < 0)
			return -EFAULT;
		console_written(d, buf, part);
		left.a[2] += part;
		left.a[1] -= part;
		if (left.a[1] > 0 && hypercall_work(d, 64))
			return hypercall_again(d, &left);
	}
	return 0;
}

int64_t hc_xenpmu_op(struct domain *d, const struct hypercall_args *h)
{
	(void)d;
	(void)h;
	return -EOPNOTSUPP;
}

static int64_t set_iopl(struct domain *d, gva_t va)
{
	struct physdev_set_iopl op;

	if (copy_from_guest(d, &op, va, sizeof(op)) < 0)
		return -EFAULT;
	if (op.iopl > 3)
		return -EINVAL;
	d->ctl.iopl = (uint8_t)op.iopl;
	return 0;
}

static int64_t set_iobitmap(struct domain *d, gva_t va)
{
	struct physdev_set_iobitmap op;

	if (copy_from_guest(d, &op, va, sizeof(op)) < 0)
		return -EFAULT;
	if (op.nr_ports > 65536)
		return -EINVAL;
	memcpy(&d->ctl.iobmp, &op.bitmap, sizeof(d->ctl.iobmp));
	d->ctl.iobmp_limit = op.nr_ports;
	return 0;
}

int64_t hc_physdev_op(struct domain *d, const struct hypercall_args *h)
{
	switch ((uint32_t)h->a[0]) {
	case PHYSDEVOP_set_iopl:
		return set_iopl(d, h->a[1]);
	case PHYSDEVOP_set_iobitmap:
		return set_iobitmap(d, h->a[1]);
	default:
		return -ENOSYS;
	}
}

static int64_t sched_shutdown(struct domain *d, gva_t va)
{
	static const enum domain_end end[] = {
		[SHUTDOWN_poweroff] = DOMAIN_POWEROFF,
		[SHUTDOWN_reboot] = DOMAIN_REBOOT,
		[SHUTDOWN_suspend] = DOMAIN_SUSPEND,
	};
	struct sched_shutdown op;

	if (copy_from_guest(d, &op, va, sizeof(op)) < 0)
		return -EFAULT;
	if (op.reason < sizeof(end) / sizeof(end[0]))
		domain_end_with(d, end[op.reason]);
	else if (op.reason == SHUTDOWN_soft_reset)
		domain_end_with(d, DOMAIN_REBOOT);
	else
		domain_crash(d, "the guest kernel reported a crash (shutdown reason %u, rip %#llx)",
			op.reason, (unsigned long long)regs_of(d)->rip);
	return 0;
}

/* Unmasks events and sleeps until one is there; run.c does the sleeping. */
static int64_t sched_block(struct domain *d)
{
	set_upcall_mask(d, 0);
	d->blocked = !upcall_pending(d);
	return 0;
}

int64_t hc_sched_op(struct domain *d, const struct hypercall_args *h)
{
	switch ((uint32_t)h->a[0]) {
	case SCHEDOP_yield:
		return 0;
	case SCHEDOP_block:
		return sched_block(d);
	case SCHEDOP_shutdown:
		return sched_shutdown(d, h->a[1]);
	case SCHEDOP_shutdown_code:
		return 0;
	case SCHEDOP_remote_shutdown:
	case SCHEDOP_pin_override:
		return -EPERM;
	default:
		return -ENOSYS;
	}
}
