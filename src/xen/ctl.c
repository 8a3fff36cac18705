/*
 * ctl.c - what is left of the privileged CPU state: control and debug
 * registers, I/O privilege, the VM assists, and the hypercalls on them.
 *
 * Debug registers are kept and checked as Xen does; the CPU knows DR0..3 and
 * DR7, and tells what each #DB sets in DR6.
 */
#include "xen/internal.h"

#include <errno.h>

#include "xen/guestcopy.h"

#define CR0_FIXED UINT64_C(0x80050033) /* PG AM WP NE ET MP PE */
#define CR0_TS UINT64_C(8)
#define CR4_TSD UINT64_C(4)
#define CR4_DE UINT64_C(8)
#define CR4_FSGSBASE (UINT64_C(1) << 16)
#define CR4_FIXED UINT64_C(0x660) /* PAE MCE OSFXSR OSXMMEXCPT */

#define DR6_DEFAULT UINT64_C(0xffff0ff0)
#define DR6_CLEAR UINT64_C(0xffffefff) /* bits that may be set at all */
#define DR7_DEFAULT UINT64_C(0x400)
#define DR7_CLEAR UINT64_C(0xffff27ff)
#define DR7_GD UINT64_C(0x2000)
#define DR7_ACTIVE UINT64_C(0xff)

void ctl_init(struct ctl_state *c)
{
	*c = (struct ctl_state){ .cr4 = CR4_FIXED };
	c->dr[6] = DR6_DEFAULT;
	c->dr[7] = DR7_DEFAULT;
}

void ctl_debug(struct vcpu *v, uint32_t dr6)
{
	v->ctl.dr[6] |= dr6;
}

static void tell_cpu(struct vcpu *v)
{
	regs_of(v)->tsd = (v->ctl.cr4 & CR4_TSD) != 0;
	cpu_set_fsgsbase(v->cpu, (v->ctl.cr4 & CR4_FSGSBASE) != 0);
}

void ctl_arm(struct vcpu *v)
{
	tell_cpu(v);
	cpu_set_debug(v->cpu, v->ctl.dr, v->ctl.dr[7]);
}

uint64_t ctl_cr0(struct vcpu *v)
{
	return CR0_FIXED | (regs_of(v)->ts ? CR0_TS : 0);
}

/* TSD and DE are the guest's choice, and FSGSBASE and OSXSAVE where it is shown such. */
static uint64_t cr4_choice(const struct vcpu *v)
{
	uint64_t isa = cpu_isa(v->cpu);

	return CR4_TSD | CR4_DE | (isa & ISA_BIT(FSGSBASE) ? CR4_FSGSBASE : 0) |
		(isa & ISA_BIT(XSAVE) ? CR4_OSXSAVE : 0);
}

void ctl_set_cr4(struct vcpu *v, uint64_t value)
{
	v->ctl.cr4 = (value & cr4_choice(v)) | CR4_FIXED;
	tell_cpu(v);
}

static int set_dr7(struct vcpu *v, uint64_t value)
{
	if (value > UINT32_MAX)
		return -EINVAL;
	value = (value & DR7_CLEAR) | DR7_DEFAULT;
	if (value & DR7_GD)
		return -EPERM;
	if ((value & DR7_ACTIVE) && !(v->ctl.cr4 & CR4_DE))
		for (unsigned i = 16; i < 32; i += 4)
			if ((value >> i & 3) == 2) /* I/O breakpoint */
				return -EPERM;
	v->ctl.dr[7] = value;
	ctl_arm(v);
	return 0;
}

int ctl_set_dr(struct vcpu *v, unsigned nr, uint64_t value)
{
	switch (nr) {
	case 0:
	case 1:
	case 2:
	case 3:
		/* Neither Xen's part of the address space nor a non-address. */
		if (!is_guest_address(value))
			return -EPERM;
		v->ctl.dr[nr] = value;
		ctl_arm(v);
		return 0;
	case 4:
	case 6:
		if (nr == 4 && (v->ctl.cr4 & CR4_DE))
			return -ENODEV;
		if (value > UINT32_MAX)
			return -EINVAL;
		v->ctl.dr[6] = (value & DR6_CLEAR) | DR6_DEFAULT;
		return 0;
	case 5:
	case 7:
		if (nr == 5 && (v->ctl.cr4 & CR4_DE))
			return -ENODEV;
		return set_dr7(v, value);
	default:
		return -ENODEV;
	}
}

int ctl_get_dr(struct vcpu *v, unsigned nr, uint64_t *value)
{
	if (nr > 7 || ((nr == 4 || nr == 5) && (v->ctl.cr4 & CR4_DE)))
		return -ENODEV;
	if (nr == 4 || nr == 5)
		nr += 2;
	*value = v->ctl.dr[nr];
	return 0;
}

int64_t hc_set_debugreg(struct vcpu *v, const struct hypercall_args *h)
{
	return ctl_set_dr(v, (uint32_t)h->a[0], h->a[1]);
}

int64_t hc_get_debugreg(struct vcpu *v, const struct hypercall_args *h)
{
	uint64_t value;
	int rc = ctl_get_dr(v, (uint32_t)h->a[0], &value);

	return rc < 0 ? rc : (int64_t)value;
}

int64_t hc_fpu_taskswitch(struct vcpu *v, const struct hypercall_args *h)
{
	regs_of(v)->ts = (uint32_t)h->a[0] != 0;
	return 0;
}

int64_t hc_vm_assist(struct vcpu *v, const struct hypercall_args *h)
{
	uint32_t type = (uint32_t)h->a[1];
	const uint64_t valid = 1u << VMASST_TYPE_4gb_segments |
		1u << VMASST_TYPE_4gb_segments_notify | 1u << VMASST_TYPE_writable_pagetables |
		1u << VMASST_TYPE_pae_extended_cr3 | 1u << VMASST_TYPE_architectural_iopl |
		1u << VMASST_TYPE_runstate_update_flag | UINT64_C(1) << VMASST_TYPE_m2p_strict;

	if (type >= 64 || !(valid >> type & 1))
		return -EINVAL;
	switch ((uint32_t)h->a[0]) {
	case VMASST_CMD_enable:
		v->d->assist |= UINT64_C(1) << type;
		return 0;
	case VMASST_CMD_disable:
		v->d->assist &= ~(UINT64_C(1) << type);
		return 0;
	default:
		return -ENOSYS;
	}
}

/* Xen's view of a PV guest's privilege: its kernel is ring 1, or with an assist 0. */
unsigned ctl_cpl(struct vcpu *v)
{
	if (regs_of(v)->mode != MEM_KERNEL)
		return 3;
	return v->d->assist & (1u << VMASST_TYPE_architectural_iopl) ? 0 : 1;
}

bool ctl_iopl_ok(struct vcpu *v)
{
	return v->ctl.iopl >= ctl_cpl(v);
}

void ctl_save(const struct vcpu *v, struct wbuf *w)
{
	const struct ctl_state *c = &v->ctl;

	for (unsigned i = 0; i < 8; i++)
		wbuf_u64(w, c->dr[i]);
	wbuf_u64(w, c->cr2);
	wbuf_u64(w, c->cr4);
	wbuf_u8(w, c->iopl);
	wbuf_u64(w, c->iobmp);
	wbuf_u32(w, c->iobmp_limit);
	wbuf_u8(w, v->d->pirq_eoi_map);
	wbuf_u64(w, v->d->assist);
	wbuf_u64(w, c->spec_ctrl);
	wbuf_u64(w, c->mcg_status);
	for (unsigned i = 0; i < 2; i++)
		wbuf_u64(w, c->mc_ctl2[i]);
}

int ctl_load(struct vcpu *v, struct rbuf *r)
{
	struct ctl_state *c = &v->ctl;

	for (unsigned i = 0; i < 8; i++)
		c->dr[i] = rbuf_u64(r);
	c->cr2 = rbuf_u64(r);
	c->cr4 = rbuf_u64(r);
	c->iopl = rbuf_u8(r);
	c->iobmp = rbuf_u64(r);
	c->iobmp_limit = rbuf_u32(r);
	v->d->pirq_eoi_map = rbuf_u8(r) != 0;
	v->d->assist = rbuf_u64(r);
	c->spec_ctrl = rbuf_u64(r);
	c->mcg_status = rbuf_u64(r);
	for (unsigned i = 0; i < 2; i++)
		c->mc_ctl2[i] = rbuf_u64(r);
	return r->bad || (c->cr4 & ~(cr4_choice(v) | CR4_FIXED)) != 0 || c->iopl > 3 ||
		c->iobmp_limit > 65536 ? -1 : 0;
}
