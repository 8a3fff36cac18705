/*
 * version.c - the xen_version hypercall: which Xen the guest is shown.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/version.h>

#include "xen/guestcopy.h"
#include "xen/mmu.h"

enum { VERSION = 4 << 16 | 17 };

/*
 * preserve_ad, highmem_assist, gnttab_map_avail_bits, memory_op_vnode,
 * direct_mapped: what Xen 4.17 showed the reference guest.  Linux panics
 * without the first and the third.
 */
#define FEATURES 0x220e0u

static int64_t version_text(struct vcpu *v, gva_t va, const char *text, size_t size)
{
	char buf[1024] = {0};

	strncpy(buf, text, size - 1);
	return copy_to_guest(v, va, buf, size);
}

static int64_t compile_info(struct vcpu *v, gva_t va)
{
	struct xen_compile_info info = {
		.compiler = "ttd", .compile_by = "ttd", .compile_domain = "", .compile_date = "",
	};

	return copy_to_guest(v, va, &info, sizeof info);
}

static int64_t get_features(struct vcpu *v, gva_t va)
{
	struct xen_feature_info f;

	if (copy_from_guest(v, &f, va, sizeof f) < 0)
		return -EFAULT;
	if (f.submap_idx != 0)
		return -EINVAL;
	f.submap = FEATURES;
	if (v->d->assist & (1u << VMASST_TYPE_pae_extended_cr3))
		f.submap |= 1u << 4;
	return copy_to_guest(v, va, &f, sizeof f);
}

int64_t hc_xen_version(struct vcpu *v, const struct hypercall_args *h)
{
	static const uint8_t handle[16] = { [15] = 1 };
	uint64_t virt_start = M2P_START;
	gva_t va = h->a[1];

	switch ((uint32_t)h->a[0]) {
	case XENVER_version:
		return VERSION;
	case XENVER_extraversion:
		return version_text(v, va, ".7", sizeof(xen_extraversion_t));
	case XENVER_compile_info:
		return compile_info(v, va);
	case XENVER_capabilities:
		return version_text(v, va, "xen-3.0-x86_64 ", sizeof(xen_capabilities_info_t));
	case XENVER_changeset:
		return version_text(v, va, "", sizeof(xen_changeset_info_t));
	case XENVER_platform_parameters:
		return copy_to_guest(v, va, &virt_start, sizeof virt_start);
	case XENVER_get_features:
		return get_features(v, va);
	case XENVER_pagesize:
		return va != 0 ? -EINVAL : PAGE_SIZE;
	case XENVER_commandline: /* not a guest's business, as the next one */
		return copy_to_guest(v, va, "<denied>", sizeof("<denied>"));
	case XENVER_build_id:
		return -EPERM;
	case XENVER_guest_handle:
		return copy_to_guest(v, va, handle, sizeof handle);
	default:
		return -ENOSYS;
	}
}
