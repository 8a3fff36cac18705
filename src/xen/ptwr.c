/*
 * ptwr.c - a kernel's direct write to a page table that it maps read-only.
 *
 * Linux updates a pinned table through hypercalls most of the time, but some
 * paths xchg an entry or clear a bit of it in place and expect the hypervisor
 * to complete the write.  The engine executes the instruction and hands the
 * store out; it is then a write to a page table like any other.
 */
#include "xen/strict.h"

#include "xen/mmu.h"

/* As Xen: the last level only, and nothing that breaks the rules. */
static bool strict_store(struct domain *d, const struct cpu_store *w)
{
	uint64_t maddr = (w->mfn << PAGE_SHIFT) + (w->off & ~7u), val;

	if (w->size > 8 || !strict_is(d, w->mfn, STRICT_L1))
		return false;
	strict_call(d, "store");
	val = get64(mem_frame(d->mem, w->mfn) + (w->off & ~7u));
	memcpy((uint8_t *)&val + (w->off & 7), w->bytes, w->size);
	return strict_update(d, maddr, val, false) == 0;
}

/* What is refused has not happened: the guest gets its fault. */
static bool strict_fault(struct vcpu *v, mfn_t mfn)
{
	const struct cpu_state before = *regs_of(v);
	struct cpu_store w;

	if (!strict_is(v->d, mfn, STRICT_L1) || cpu_step_store(v->cpu, &w) < 0)
		return false;
	if (strict_store(v->d, &w))
		return true;
	*regs_of(v) = before;
	return false;
}

bool ptwr_fault(struct vcpu *v, gva_t va, uint32_t error)
{
	struct domain *d = v->d;
	struct cpu_store w;
	mfn_t mfn;

	if (regs_of(v)->mode != MEM_KERNEL)
		return false;
	if ((error & (PF_P | PF_W | PF_I)) != (PF_P | PF_W))
		return false;
	mfn = mmu_peek(v->mmu, MEM_KERNEL, va, NULL);
	if (d->strict != NULL)
		return strict_fault(v, mfn);
	if (!is_ram(d, mfn) || !(mem_frame_flags(d->mem, mfn) & FRAME_PT))
		return false;
	if (cpu_step_store(v->cpu, &w) < 0)
		return false;
	if (!is_ram(d, w.mfn) || w.size > sizeof w.bytes || w.off + w.size > PAGE_SIZE) {
		domain_crash(d, "page-table write at rip %#llx outside guest memory",
			(unsigned long long)regs_of(v)->rip);
		return true;
	}
	mem_write_frame(d->mem, w.mfn, w.off, w.bytes, w.size);
	return true;
}
