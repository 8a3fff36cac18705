/*
 * hypercall.c - from a number in rax to a function, and multicall.
 *
 * A hypercall changes rax only, except for what the syscall instruction does
 * itself: rcx = return address, r11 = rflags.  Numbers without an entry give
 * -ENOSYS, which Linux takes as "this Xen has no such thing".
 *
 * A call with a long list does WORK_MAX of it at a time.  Then, as under Xen,
 * its argument registers (or its multicall entry) say what is left, rip is back
 * at the syscall instruction, and the guest makes the call again without
 * knowing; in between events are delivered and a stop is obeyed.  Where it
 * gives way depends on the list alone, so a replay does the same.
 */
#include "xen/internal.h"

#include <errno.h>

#include "event/log.h"

enum { WORK_MAX = 1 << 16, SYSCALL_LEN = 2 };

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
	witness(d, WITNESS_HYPERCALL, d->in_multicall ? LOG_MULTICALL : 0,
		nr < UINT32_MAX ? (uint32_t)nr : UINT32_MAX, 0, 0);
	if (nr >= sizeof(table) / sizeof(table[0]))
		return -ENOSYS;
	d->stats.hypercall_count[nr]++;
	return table[nr].fn == NULL ? -ENOSYS : table[nr].fn(d, h);
}

const char *hypercall_name(unsigned nr)
{
	return nr < sizeof(table) / sizeof(table[0]) ? table[nr].name : NULL;
}

bool hypercall_work(struct domain *d, uint32_t units)
{
	if (d->call.work < WORK_MAX)
		d->call.work += units;
	return d->call.work >= WORK_MAX;
}

int64_t hypercall_again(struct domain *d, const struct hypercall_args *h)
{
	d->call.again = true;
	d->call.args = *h;
	return 0;
}

static void repeat(struct cpu_state *s, const struct hypercall_args *h)
{
	static const enum cpu_reg reg[] = { RDI, RSI, RDX, R10, R8 };

	for (unsigned i = 0; i < sizeof(reg) / sizeof(reg[0]); i++)
		s->gpr[reg[i]] = h->a[i];
	s->rip -= SYSCALL_LEN;
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
	d->call = (struct hypercall_progress){0};
	result = call(d, nr, &h);
	if (d->call.again) {
		repeat(s, &d->call.args);
		return;
	}
	/* iret has set rax itself, and may have pushed a frame since. */
	if (nr != __HYPERVISOR_iret)
		s->gpr[RAX] = (uint64_t)result;
}

/* What is left of an entry's own long list goes back into it. */
static int multicall_put_back(struct domain *d, gva_t va)
{
	uint64_t args[3]; /* no call that gives way changes more of them */

	memcpy(args, d->call.args.a, sizeof(args));
	d->call.again = false;
	return copy_to_guest(d, va + offsetof(struct multicall_entry, args), args, sizeof(args));
}

/* 1: this entry gave way half-way.  A result is written when it is complete. */
static int64_t multicall_one(struct domain *d, gva_t va)
{
	struct multicall_entry m;
	struct hypercall_args args;
	int64_t result = -ENOSYS;

	if (copy_from_guest(d, &m, va, sizeof(m)) < 0)
		return -EFAULT;
	for (unsigned k = 0; k < 6; k++)
		args.a[k] = m.args[k];
	if (m.op != __HYPERVISOR_iret)
		result = call(d, m.op, &args);
	if (d->call.again)
		return multicall_put_back(d, va) < 0 ? -EFAULT : 1;
	return copy_to_guest(d, va + offsetof(struct multicall_entry, result), &result,
		sizeof(result));
}

int64_t hc_multicall(struct domain *d, const struct hypercall_args *h)
{
	struct hypercall_args left = *h;
	int64_t rc = 0;

	if (d->in_multicall)
		return -EINVAL;
	d->in_multicall = true;
	left.a[1] = (uint32_t)left.a[1];
	while (rc == 0 && left.a[1] > 0 && d->ended == RUNNING) {
		rc = multicall_one(d, left.a[0]);
		if (rc < 0)
			break;
		if (rc == 0) {
			left.a[0] += sizeof(struct multicall_entry);
			left.a[1]--;
		}
		if (rc == 1 || (left.a[1] > 0 && hypercall_work(d, 1)))
			rc = 1;
	}
	d->in_multicall = false;
	return rc == 1 ? hypercall_again(d, &left) : rc;
}
