/*
 * hypercall.c - from a number in rax to a function, and multicall.
 *
 * A hypercall changes rax only, except for what the syscall instruction does
 * itself: rcx = return address, r11 = rflags.  Numbers without an entry give
 * -ENOSYS, which Linux takes as "this Xen has no such thing".
 */
#include "xen/internal.h"

#include <errno.h>

static const struct {
	const char *name;
	hypercall_fn *fn;
} table[64] = {
	[__HYPERVISOR_set_trap_table] = { "set_trap_table", hc_set_trap_table },
	[__HYPERVISOR_mmu_update] = { "mmu_update", hc_mmu_update },
	[__HYPERVISOR_set_gdt] = { "set_gdt", hc_set_gdt },
	[__HYPERVISOR_stack_switch] = { "stack_switch", hc_stack_switch },
	[__HYPERVISOR_fpu_taskswitch] = { "fpu_taskswitch", hc_fpu_taskswitch },
	[__HYPERVISOR_set_debugreg] = { "set_debugreg", hc_set_debugreg },
	[__HYPERVISOR_get_debugreg] = { "get_debugreg", hc_get_debugreg },
	[__HYPERVISOR_update_descriptor] = { "update_descriptor", hc_update_descriptor },
	[__HYPERVISOR_memory_op] = { "memory_op", hc_memory_op },
	[__HYPERVISOR_multicall] = { "multicall", hc_multicall },
	[__HYPERVISOR_update_va_mapping] = { "update_va_mapping", hc_update_va_mapping },
	[__HYPERVISOR_set_timer_op] = { "set_timer_op", hc_set_timer_op },
	[__HYPERVISOR_xen_version] = { "xen_version", hc_xen_version },
	[__HYPERVISOR_console_io] = { "console_io", hc_console_io },
	[__HYPERVISOR_grant_table_op] = { "grant_table_op", hc_grant_table_op },
	[__HYPERVISOR_vm_assist] = { "vm_assist", hc_vm_assist },
	[__HYPERVISOR_iret] = { "iret", hc_iret },
	[__HYPERVISOR_vcpu_op] = { "vcpu_op", hc_vcpu_op },
	[__HYPERVISOR_set_segment_base] = { "set_segment_base", hc_set_segment_base },
	[__HYPERVISOR_mmuext_op] = { "mmuext_op", hc_mmuext_op },
	[__HYPERVISOR_sched_op] = { "sched_op", hc_sched_op },
	[__HYPERVISOR_callback_op] = { "callback_op", hc_callback_op },
	[__HYPERVISOR_event_channel_op] = { "event_channel_op", hc_event_channel_op },
	[__HYPERVISOR_physdev_op] = { "physdev_op", hc_physdev_op },
	[__HYPERVISOR_xenpmu_op] = { "xenpmu_op", hc_xenpmu_op },
};

static int64_t call(struct domain *d, uint64_t nr, const struct hypercall_args *h)
{
	d->stats.hypercalls++;
	if (nr >= sizeof(table) / sizeof(table[0]))
		return -ENOSYS;
	d->stats.hypercall_count[nr]++;
	return table[nr].fn == NULL ? -ENOSYS : table[nr].fn(d, h);
}

const char *hypercall_name(unsigned nr)
{
	return nr < sizeof(table) / sizeof(table[0]) ? table[nr].name : NULL;
}

/* The syscall instruction has been retired. */
void hypercall(struct domain *d)
{
	struct cpu_state *s = regs_of(d);
	const struct hypercall_args h = {
		.a = { s->gpr[RDI], s->gpr[RSI], s->gpr[RDX], s->gpr[R10], s->gpr[R8] },
	};
	uint64_t nr = s->gpr[RAX];
	int64_t result;

	s->gpr[RCX] = s->rip;
	s->gpr[R11] = s->rflags;
	result = call(d, nr, &h);
	/* iret has set rax itself, and may have pushed a frame since. */
	if (nr != __HYPERVISOR_iret)
		s->gpr[RAX] = (uint64_t)result;
}

int64_t hc_multicall(struct domain *d, const struct hypercall_args *h)
{
	gva_t va = h->a[0];
	uint32_t n = (uint32_t)h->a[1];
	struct multicall_entry m;
	int64_t rc = 0;

	if (d->in_multicall)
		return -EINVAL;
	d->in_multicall = true;
	for (uint32_t i = 0; i < n && d->ended == RUNNING; i++, va += sizeof(m)) {
		struct hypercall_args args;
		int64_t result = -ENOSYS;

		if (copy_from_guest(d, &m, va, sizeof(m)) < 0) {
			rc = -EFAULT;
			break;
		}
		for (unsigned k = 0; k < 6; k++)
			args.a[k] = m.args[k];
		if (m.op != __HYPERVISOR_iret)
			result = call(d, m.op, &args);
		if (copy_to_guest(d, va + offsetof(struct multicall_entry, result), &result,
		    sizeof(result)) < 0) {
			rc = -EFAULT;
			break;
		}
	}
	d->in_multicall = false;
	return rc;
}
