/*
 * vcpu.c - vcpu_op: a vCPU's timers and areas, and its coming and going.
 *
 * The call of one vCPU may be about another: `to` is the one that it is about, and what
 * its argument points to is v's, who calls.
 */
#include "xen/internal.h"

#include <errno.h>
#include <stdio.h>

#include <xen/sched.h>
#include <xen/vcpu.h>

#include "xen/guestcopy.h"

#define NS_PER_MS UINT64_C(1000000)

enum { MEMORY_LITTLE = 512 /* MB */ };

/*
 * The only vCPU is gone, which Xen calls a poweroff.  But who powers off says so by
 * SCHEDOP_shutdown.  Linux halts for good, with interrupts off, where it cannot go on: after an
 * exception so early that it has no handler yet, of which too little memory is the usual
 * cause.  What it could not handle is on its stack; where a page was missing, cr2 tells.
 */
static int64_t vcpu_down(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	uint64_t cr2 = vinfo_get64(to, offsetof(struct vcpu_info, arch.cr2));
	uint64_t mb = mem_ram_pages(v->d->mem) >> (20 - PAGE_SHIFT);
	char fault[64] = "";

	(void)arg;
	if (upcall_mask(to) == 0) {
		sched_shutdown(v, SHUTDOWN_poweroff);
		return 0;
	}
	if (cr2 != 0)
		snprintf(fault, sizeof fault, " (last page fault at %#llx)", (unsigned long long)cr2);
	domain_crash(v->d, "the guest kernel halted for good, as it does after an exception "
		"that it cannot handle%s%s", fault, mb < MEMORY_LITTLE
		? "; if it was still booting, give it more memory" : "");
	return 0;
}

static int64_t vcpu_up(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	(void)v;
	(void)to;
	(void)arg;
	return 0;
}

static int64_t vcpu_is_up(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	(void)v;
	(void)to;
	(void)arg;
	return 1;
}

static int64_t vcpu_initialise(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	struct vcpu_guest_context c;

	(void)to;
	return copy_from_guest(v, &c, arg, sizeof c) < 0 ? -EFAULT : -EEXIST;
}

static int64_t set_periodic(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	struct vcpu_set_periodic_timer p;

	if (copy_from_guest(v, &p, arg, sizeof p) < 0)
		return -EFAULT;
	if (p.period_ns < NS_PER_MS || p.period_ns > UINT64_MAX >> 2)
		return -EINVAL;
	timer_set_period(to, p.period_ns);
	return 0;
}

static int64_t stop_periodic(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	(void)v;
	(void)arg;
	timer_set_period(to, 0);
	return 0;
}

/*
 * What is in the past fires at once.  VCPU_SSHOTTMR_future, which asks for an error
 * instead, is ignored, as by Xen since 4.17.3.  Only the vCPU itself may.
 */
static int64_t set_singleshot(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	struct vcpu_set_singleshot_timer s;

	if (to != v)
		return -EINVAL;
	if (copy_from_guest(v, &s, arg, sizeof s) < 0)
		return -EFAULT;
	timer_set(v, (int64_t)s.timeout_abs_ns < 0 ? 0 : s.timeout_abs_ns);
	return 0;
}

static int64_t stop_singleshot(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	(void)arg;
	if (to != v)
		return -EINVAL;
	timer_set(v, SOURCE_NEVER);
	return 0;
}

/* Delivered as the call returns, and after another NMI's iret. */
static int64_t send_nmi(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	(void)v;
	if (arg != 0)
		return -EINVAL;
	to->trap.nmi_pending = true;
	return 0;
}

/* Where a vCPU runs is told to dom0 only. */
static int64_t get_physid(struct vcpu *v, struct vcpu *to, gva_t arg)
{
	(void)v;
	(void)to;
	(void)arg;
	return -EINVAL;
}

static int64_t (*const vcpu_ops[])(struct vcpu *v, struct vcpu *to, gva_t arg) = {
	[VCPUOP_initialise] = vcpu_initialise,
	[VCPUOP_up] = vcpu_up,
	[VCPUOP_down] = vcpu_down,
	[VCPUOP_is_up] = vcpu_is_up,
	[VCPUOP_get_runstate_info] = area_get_runstate,
	[VCPUOP_register_runstate_memory_area] = area_register_runstate,
	[VCPUOP_set_periodic_timer] = set_periodic,
	[VCPUOP_stop_periodic_timer] = stop_periodic,
	[VCPUOP_set_singleshot_timer] = set_singleshot,
	[VCPUOP_stop_singleshot_timer] = stop_singleshot,
	[VCPUOP_register_vcpu_info] = area_register_info,
	[VCPUOP_send_nmi] = send_nmi,
	[VCPUOP_get_physid] = get_physid,
	[VCPUOP_register_vcpu_time_memory_area] = area_register_time,
};

int64_t hc_vcpu_op(struct vcpu *v, const struct hypercall_args *h)
{
	uint32_t cmd = (uint32_t)h->a[0], to = (uint32_t)h->a[1];

	if (to >= VCPUS)
		return -ENOENT;
	if (cmd >= sizeof vcpu_ops / sizeof vcpu_ops[0] || vcpu_ops[cmd] == NULL)
		return -ENOSYS;
	return vcpu_ops[cmd](v, &v->d->vcpu[to], h->a[2]);
}
