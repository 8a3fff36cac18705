/*
 * mmu.c - the PV MMU hypercalls.
 *
 * A page-table entry is eight bytes of a frame, and every way of writing one
 * ends in mem_write_frame(), which invalidates what was derived from it: TLB
 * flushes that the guest asks for have nothing left to do.  Frame numbers are
 * checked against the guest's RAM where a write goes; what an entry points to
 * is checked by the walk that uses it.
 */
#include "xen/strict.h"

#include <errno.h>

#include "util/zero.h"
#include "xen/guestcopy.h"
#include "xen/mmu.h"

#define ENTRY_OFF(maddr) ((unsigned)((maddr) & (PAGE_SIZE - 8)))

/* Only the guest itself may be named as the owner of frames. */
static bool self(uint64_t domid)
{
	return (uint16_t)domid == DOMID_SELF || (uint16_t)domid == DOMID;
}

static int64_t update_entry(struct domain *d, uint64_t maddr, uint64_t val, bool keep_ad)
{
	mfn_t mfn = maddr >> PAGE_SHIFT;
	unsigned off = ENTRY_OFF(maddr);

	if (d->strict != NULL)
		return strict_update(d, maddr, val, keep_ad);
	if (!is_ram(d, mfn))
		return -EINVAL;
	/* In an ordinary frame the bits mean nothing: a raw write. */
	if (keep_ad && (mem_frame_flags(d->mem, mfn) & FRAME_PT))
		val |= get64(mem_frame(d->mem, mfn) + off) & (PTE_A | PTE_D);
	return mem_write_frame(d->mem, mfn, off, &val, 8) < 0 ? -EINVAL : 0;
}

/* The frames of the machine-to-phys table: found as the guest finds them. */
void m2p_set(struct domain *d, mfn_t mfn, uint64_t pfn)
{
	gva_t va = M2P_START + mfn * 8;
	mfn_t table = mmu_peek(current_vcpu(d)->mmu, MEM_KERNEL, va, NULL);

	mem_write_frame(d->mem, table, va & (PAGE_SIZE - 1), &pfn, 8);
}

static int64_t update_m2p(struct domain *d, mfn_t mfn, uint64_t pfn)
{
	if (!is_ram(d, mfn))
		return -EINVAL;
	m2p_set(d, mfn, pfn);
	return 0;
}

static int64_t update_one(struct vcpu *v, gva_t va)
{
	struct domain *d = v->d;
	struct mmu_update u;

	if (copy_from_guest(v, &u, va, sizeof u) < 0)
		return -EFAULT;
	switch (u.ptr & 3) {
	case MMU_MACHPHYS_UPDATE:
		return update_m2p(d, u.ptr >> PAGE_SHIFT, u.val);
	case MMU_PT_UPDATE_PRESERVE_AD:
		return update_entry(d, u.ptr, u.val, true);
	default:
		return update_entry(d, u.ptr, u.val, false);
	}
}

/*
 * Both list calls: {list, count, address of the number done, domid}.  A call
 * that gave way has bit 31 of its count set, and in the number what it had done
 * before (Xen's MMU_UPDATE_PREEMPTED).
 */
#define RESUMED 0x80000000u

static int64_t do_list(struct vcpu *v, const struct hypercall_args *h, size_t size,
	int64_t (*one)(struct vcpu *v, gva_t va))
{
	uint32_t n = (uint32_t)h->a[1] & ~RESUMED, done = 0, before = 0;
	struct hypercall_args left = *h;
	bool again = false;
	int64_t rc = 0;

	if (((uint32_t)h->a[1] & RESUMED) && h->a[2] != 0 &&
	    copy_from_guest(v, &before, h->a[2], sizeof before) < 0)
		return -EFAULT;
	while (done < n && !again) {
		rc = one(v, h->a[0] + (uint64_t)done * size);
		if (rc < 0)
			break;
		done++;
		again = hypercall_work(v->d, 1) && done < n;
	}
	before += done;
	if (h->a[2] != 0)
		copy_to_guest(v, h->a[2], &before, sizeof before);
	if (!again)
		return rc;
	left.a[0] += (uint64_t)done * size;
	left.a[1] = (n - done) | RESUMED;
	return hypercall_again(v, &left);
}

int64_t hc_mmu_update(struct vcpu *v, const struct hypercall_args *h)
{
	if (!self(h->a[3]) || (h->a[3] >> 16 & 0xffff) != 0)
		return -ESRCH;
	return do_list(v, h, sizeof(struct mmu_update), update_one);
}

/* The machine address of the L1 entry for va, 0 if the tables do not reach it. */
uint64_t mmu_l1_entry(struct vcpu *v, gva_t va)
{
	struct domain *d = v->d;
	mfn_t table = mmu_root(v->mmu, MEM_KERNEL);

	for (unsigned level = 4; level > 1; level--) {
		unsigned i = va >> (12 + 9 * (level - 1)) & 511;
		uint64_t pte;

		if (!is_ram(d, table) || (level == 4 && i >= 256 && i < 272))
			return 0;
		pte = get64(mem_frame(d->mem, table) + i * 8);
		if (!(pte & PTE_P) || ((pte & PTE_PS) && level < 4))
			return 0;
		table = PTE_MFN(pte);
	}
	return is_ram(d, table) ? table << PAGE_SHIFT | (va >> 12 & 511) * 8 : 0;
}

int64_t hc_update_va_mapping(struct vcpu *v, const struct hypercall_args *h)
{
	struct domain *d = v->d;
	uint64_t maddr = mmu_l1_entry(v, h->a[0]);

	if (maddr != 0 && d->strict != NULL && !strict_is(d, maddr >> PAGE_SHIFT, STRICT_L1))
		return strict_refuse(d, -EINVAL, "is no L1 page table", maddr >> PAGE_SHIFT);
	return maddr == 0 ? -EINVAL : update_entry(d, maddr, h->a[1], false);
}

static int64_t copy_page(struct domain *d, mfn_t dst, mfn_t src)
{
	uint8_t page[PAGE_SIZE];
	const uint8_t *from = zero_page;

	hypercall_work(d, 8);
	if (!is_ram(d, dst) || !strict_may(d, dst, STRICT_WRITABLE))
		return -EINVAL;
	if (src != MFN_NONE) {
		if (!is_ram(d, src))
			return -EINVAL;
		memcpy(page, mem_frame(d->mem, src), PAGE_SIZE);
		from = page;
	}
	return mem_write_frame(d->mem, dst, 0, from, PAGE_SIZE) < 0 ? -EINVAL : 0;
}

int64_t vcpu_new_root(struct vcpu *v, enum mem_mode mode, mfn_t mfn)
{
	struct domain *d = v->d;
	mfn_t old = mmu_root(v->mmu, mode);
	bool none = mode == MEM_USER && mfn == 0;
	int rc;

	if (!none && !is_ram(d, mfn))
		return -EINVAL;
	if (mfn == old)
		return 0;
	rc = none ? 0 : strict_get(d, mfn, STRICT_L4);
	if (rc < 0)
		return rc;
	mmu_set_root(v->mmu, mode, none ? MFN_NONE : mfn);
	strict_put(d, old);
	memory_unused(d, old);
	return 0;
}

static int64_t extended(struct vcpu *v, const struct mmuext_op *op)
{
	struct domain *d = v->d;

	switch (op->cmd) {
	case MMUEXT_PIN_L1_TABLE:
	case MMUEXT_PIN_L2_TABLE:
	case MMUEXT_PIN_L3_TABLE:
	case MMUEXT_PIN_L4_TABLE:
		return pin_table(d, op->arg1.mfn, op->cmd - MMUEXT_PIN_L1_TABLE + 1);
	case MMUEXT_UNPIN_TABLE:
		return unpin_table(d, op->arg1.mfn);
	case MMUEXT_NEW_BASEPTR:
		return vcpu_new_root(v, MEM_KERNEL, op->arg1.mfn);
	case MMUEXT_NEW_USER_BASEPTR:
		return vcpu_new_root(v, MEM_USER, op->arg1.mfn);
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_INVLPG_LOCAL:
	case MMUEXT_TLB_FLUSH_MULTI:
	case MMUEXT_INVLPG_MULTI:
	case MMUEXT_TLB_FLUSH_ALL:
	case MMUEXT_INVLPG_ALL:
		return 0; /* mem.h, invariant M1 */
	case MMUEXT_FLUSH_CACHE:
	case MMUEXT_FLUSH_CACHE_GLOBAL:
		return -EACCES; /* as without a passed-through device */
	case MMUEXT_SET_LDT:
		return seg_set_ldt(v, op->arg1.linear_addr, op->arg2.nr_ents);
	case MMUEXT_CLEAR_PAGE:
		return copy_page(d, op->arg1.mfn, MFN_NONE);
	case MMUEXT_COPY_PAGE:
		return copy_page(d, op->arg1.mfn, op->arg2.src_mfn);
	case MMUEXT_MARK_SUPER:
	case MMUEXT_UNMARK_SUPER:
		return -EOPNOTSUPP;
	default:
		return -ENOSYS;
	}
}

static int64_t extended_one(struct vcpu *v, gva_t va)
{
	struct mmuext_op op;

	return copy_from_guest(v, &op, va, sizeof op) < 0 ? -EFAULT : extended(v, &op);
}

int64_t hc_mmuext_op(struct vcpu *v, const struct hypercall_args *h)
{
	if (!self(h->a[3]))
		return -ESRCH;
	return do_list(v, h, sizeof(struct mmuext_op), extended_one);
}
