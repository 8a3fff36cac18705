/*
 * ptwr.c - a kernel's direct write to a page table that it maps read-only.
 *
 * Linux updates a pinned table through hypercalls most of the time, but some
 * paths xchg an entry or clear a bit of it in place and expect the hypervisor
 * to complete the write.  The engine executes the instruction and hands the
 * store out; it is then a write to a page table like any other.
 */
#include "xen/internal.h"

bool ptwr_fault(struct domain *d, gva_t va, uint32_t error)
{
	struct cpu_store w;
	mfn_t mfn;

	if (regs_of(d)->mode != MEM_KERNEL)
		return false;
	if ((error & (PF_P | PF_W | PF_I)) != (PF_P | PF_W))
		return false;
	mfn = mem_peek(d->mem, MEM_KERNEL, va, NULL);
	if (!is_ram(d, mfn) || !(mem_frame_flags(d->mem, mfn) & FRAME_PT))
		return false;
	if (cpu_step_store(d->cpu, &w) < 0)
		return false;
	if (!is_ram(d, w.mfn) || w.size > sizeof(w.bytes) || w.off + w.size > PAGE_SIZE) {
		domain_crash(d, "page-table write at rip %#llx outside guest memory",
			(unsigned long long)regs_of(d)->rip);
		return true;
	}
	mem_write_frame(d->mem, w.mfn, w.off, w.bytes, w.size);
	return true;
}
