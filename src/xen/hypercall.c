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
#include "xen/strict.h"

#include <errno.h>

#include "event/log.h"
#include "event/replay.h"
#include "xen/guestcopy.h"
#include "xen/witness.h"

enum { WORK_MAX = 1 << 16, SYSCALL_LEN = 2 };

/* For dom0. */
static int64_t for_dom0(struct vcpu *v, const struct hypercall_args *h)
{
	(void)v;
	(void)h;
	return -EPERM;
}

/* There are no performance counters. */
static int64_t no_counters(struct vcpu *v, const struct hypercall_args *h)
{
	(void)v;
	(void)h;
	return -EOPNOTSUPP;
}

static hypercall_fn hc_multicall;

/* Their names: log_hypercall_name(). */
static hypercall_fn *const table[64] = {
	[__HYPERVISOR_set_trap_table] = hc_set_trap_table,
	[__HYPERVISOR_mmu_update] = hc_mmu_update,
	[__HYPERVISOR_set_gdt] = hc_set_gdt,
	[__HYPERVISOR_stack_switch] = hc_stack_switch,
	[__HYPERVISOR_set_callbacks] = hc_set_callbacks,
	[__HYPERVISOR_fpu_taskswitch] = hc_fpu_taskswitch,
	[__HYPERVISOR_sched_op_compat] = hc_sched_op_compat,
	[__HYPERVISOR_platform_op] = for_dom0,
	[__HYPERVISOR_set_debugreg] = hc_set_debugreg,
	[__HYPERVISOR_get_debugreg] = hc_get_debugreg,
	[__HYPERVISOR_update_descriptor] = hc_update_descriptor,
	[__HYPERVISOR_memory_op] = hc_memory_op,
	[__HYPERVISOR_multicall] = hc_multicall,
	[__HYPERVISOR_update_va_mapping] = hc_update_va_mapping,
	[__HYPERVISOR_set_timer_op] = hc_set_timer_op,
	[__HYPERVISOR_xen_version] = hc_xen_version,
	[__HYPERVISOR_console_io] = hc_console_io,
	[__HYPERVISOR_grant_table_op] = hc_grant_table_op,
	[__HYPERVISOR_vm_assist] = hc_vm_assist,
	[__HYPERVISOR_iret] = hc_iret,
	[__HYPERVISOR_vcpu_op] = hc_vcpu_op,
	[__HYPERVISOR_set_segment_base] = hc_set_segment_base,
	[__HYPERVISOR_mmuext_op] = hc_mmuext_op,
	[__HYPERVISOR_nmi_op] = hc_nmi_op,
	[__HYPERVISOR_sched_op] = hc_sched_op,
	[__HYPERVISOR_callback_op] = hc_callback_op,
	[__HYPERVISOR_event_channel_op] = hc_event_channel_op,
	[__HYPERVISOR_physdev_op] = hc_physdev_op,
	[__HYPERVISOR_sysctl] = for_dom0,
	[__HYPERVISOR_domctl] = for_dom0,
	[__HYPERVISOR_kexec_op] = for_dom0,
	[__HYPERVISOR_xenpmu_op] = no_counters,
};

static int64_t call(struct vcpu *v, uint64_t nr, const struct hypercall_args *h)
{
	struct domain *d = v->d;

	d->stats.hypercalls++;
	witness(v, WITNESS_HYPERCALL, v->in_multicall ? LOG_MULTICALL : 0,
		nr < UINT32_MAX ? (uint32_t)nr : UINT32_MAX, 0, 0);
	if (nr >= sizeof table / sizeof table[0])
		return -ENOSYS;
	d->stats.hypercall_count[nr]++;
	if (table[nr] == NULL)
		return -ENOSYS;
	if (d->strict != NULL)
		strict_call(d, log_hypercall_name((unsigned)nr));
	return table[nr](v, h);
}

bool hypercall_work(struct domain *d, uint32_t units)
{
	struct vcpu *v = current_vcpu(d);

	if (v->call.work < WORK_MAX)
		v->call.work += units;
	return v->call.work >= WORK_MAX;
}

int64_t hypercall_again(struct vcpu *v, const struct hypercall_args *h)
{
	v->call.again = true;
	v->call.args = *h;
	return 0;
}

static void repeat(struct cpu_state *s, const struct hypercall_args *h)
{
	static const enum cpu_reg reg[] = { RDI, RSI, RDX, R10, R8 };

	for (unsigned i = 0; i < sizeof reg / sizeof reg[0]; i++)
		s->gpr[reg[i]] = h->a[i];
	s->rip -= SYSCALL_LEN;
}

/* The syscall instruction has been retired. */
void hypercall(struct vcpu *v)
{
	struct cpu_state *s = regs_of(v);
	const struct hypercall_args h = {
		.a = { s->gpr[RDI], s->gpr[RSI], s->gpr[RDX], s->gpr[R10], s->gpr[R8] },
	};
	uint64_t nr = s->gpr[RAX];
	int64_t result;

	s->gpr[RCX] = s->rip;
	s->gpr[R11] = s->rflags;
	v->call = (struct hypercall_progress){0};
	result = call(v, nr, &h);
	v->call.left |= nr == __HYPERVISOR_iret;
	if (v->call.again) {
		repeat(s, &v->call.args);
		return;
	}
	/* iret has set rax itself, and may have pushed a frame since. */
	if (!v->call.left)
		s->gpr[RAX] = (uint64_t)result;
}

/* What is left of an entry's own long list goes back into it. */
static int multicall_put_back(struct vcpu *v, gva_t va)
{
	uint64_t args[3]; /* no call that gives way changes more of them */

	memcpy(args, v->call.args.a, sizeof args);
	v->call.again = false;
	return copy_to_guest(v, va + offsetof(struct multicall_entry, args), args, sizeof args);
}

/* An iret ends the list; its result is written as far as the mode it left for can. */
static int64_t multicall_iret(struct vcpu *v, gva_t va, const struct hypercall_args *args)
{
	int64_t rax = call(v, __HYPERVISOR_iret, args);

	if (is_guest_address(va))
		mmu_copy_out(v->mmu, regs_of(v)->mode,
			va + offsetof(struct multicall_entry, result), &rax, sizeof rax, NULL);
	v->call.left = true;
	return 0;
}

/* 1: this entry gave way half-way.  A result is written when it is complete. */
static int64_t multicall_one(struct vcpu *v, gva_t va)
{
	struct multicall_entry m;
	struct hypercall_args args;
	int64_t result;

	if (copy_from_guest(v, &m, va, sizeof m) < 0)
		return -EFAULT;
	for (unsigned k = 0; k < 6; k++)
		args.a[k] = m.args[k];
	if (m.op == __HYPERVISOR_iret)
		return multicall_iret(v, va, &args);
	result = call(v, m.op, &args);
	if (v->call.again)
		return multicall_put_back(v, va) < 0 ? -EFAULT : 1;
	return copy_to_guest(v, va + offsetof(struct multicall_entry, result), &result,
		sizeof result);
}

static int64_t hc_multicall(struct vcpu *v, const struct hypercall_args *h)
{
	struct hypercall_args left = *h;
	int64_t rc = 0;

	if (v->in_multicall)
		return -EINVAL;
	v->in_multicall = true;
	left.a[1] = (uint32_t)left.a[1];
	while (rc == 0 && left.a[1] > 0 && v->d->ended == RUNNING) {
		rc = multicall_one(v, left.a[0]);
		if (rc < 0 || v->call.left)
			break;
		if (rc == 0) {
			left.a[0] += sizeof(struct multicall_entry);
			left.a[1]--;
		}
		if (rc == 1 || (left.a[1] > 0 && hypercall_work(v->d, 1)))
			rc = 1;
	}
	v->in_multicall = false;
	return rc == 1 ? hypercall_again(v, &left) : rc;
}
