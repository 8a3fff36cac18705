/*
 * ctl.c - what is left of the privileged CPU state: control and debug
 * registers, I/O privilege, the VM assists, and the hypercalls on them.
 *
 * Debug registers are kept and checked as Xen does; the CPU knows DR0..3 and
 * DR7, and tells what each #DB sets in DR6.
 */
#include "xen/internal.h"

#include <errno.h>

#define CR0_FIXED UINT64_C(0x80050033) /* PG AM WP NE ET MP PE */
#define CR0_TS UINT64_C(8)
#define CR4_TSD UINT64_C(4)
#define CR4_DE UINT64_C(8)
#define CR4_FIXED UINT64_C(0x660) /* PAE MCE OSFXSR OSXMMEXCPT */

#define DR6_DEFAULT UINT64_C(0xffff0ff0)
#define DR6_CLEAR UINT64_C(0xffffefff) /* bits that may be set at all */
#define DR7_DEFAULT UINT64_C(0x400)
#define DR7_CLEAR UINT64_C(0xffff27ff)
#define DR7_GD UINT64_C(0x2000)
#define DR7_ACTIVE UINT64_C(0xff)

#define PERM_LIMIT UINT64_C(0xffff800000000000)

void ctl_init(struct ctl_state *c)
{
	*c = (struct ctl_state){ .cr4 = CR4_FIXED };
	c->dr[6] = DR6_DEFAULT;
	c->dr[7] = DR7_DEFAULT;
}

void ctl_debug(struct domain *d, uint32_t dr6)
{
	d->ctl.dr[6] |= dr6;
}

void ctl_arm(struct domain *d)
{
	cpu_set_debug(d->cpu, d->ctl.dr, d->ctl.dr[7]);
}

uint64_t ctl_cr0(struct domain *d)
{
	return CR0_FIXED | (regs_of(d)->ts ? CR0_TS : 0);
}

/* TSD and DE are the guest's choice; the policy has no FSGSBASE, no XSAVE. */
void ctl_set_cr4(struct domain *d, uint64_t value)
{
	d->ctl.cr4 = (value & (CR4_TSD | CR4_DE)) | CR4_FIXED;
}

static int set_dr7(struct domain *d, uint64_t value)
{
	value = (value & DR7_CLEAR) | DR7_DEFAULT;
	if (value & DR7_GD)
		return -EPERM;
	if ((value & DR7_ACTIVE) && !(d->ctl.cr4 & CR4_DE))
		for (unsigned i = 16; i < 32; i += 4)
			if ((value >> i & 3) == 2) /* I/O breakpoint */
				return -EPERM;
	d->ctl.dr[7] = value;
	ctl_arm(d);
	return 0;
}

int ctl_set_dr(struct domain *d, unsigned nr, uint64_t value)
{
	switch (nr) {
	case 0:
	case 1:
	case 2:
	case 3:
		/* Neither Xen's part of the address space nor a non-address. */
		if (!is_canonical(value) || (value >= PERM_LIMIT && value < PERM_LIMIT +
		    (UINT64_C(16) << 39)))
			return -EPERM;
		d->ctl.dr[nr] = value;
		ctl_arm(d);
		return 0;
	case 4:
	case 6:
		if (nr == 4 && (d->ctl.cr4 & CR4_DE))
			return -ENODEV;
		d->ctl.dr[6] = (value & DR6_CLEAR) | DR6_DEFAULT;
		return 0;
	case 5:
	case 7:
		if (nr == 5 && (d->ctl.cr4 & CR4_DE))
			return -ENODEV;
		return set_dr7(d, value);
	default:
		return -ENODEV;
	}
}

int ctl_get_dr(struct domain *d, unsigned nr, uint64_t *value)
{
	if (nr > 7 || ((nr == 4 || nr == 5) && (d->ctl.cr4 & CR4_DE)))
		return -ENODEV;
	if (nr == 4 || nr == 5)
		nr += 2;
	*value = d->ctl.dr[nr];
	return 0;
}

int64_t hc_set_debugreg(struct domain *d, const struct hypercall_args *h)
{
	return ctl_set_dr(d, (uint32_t)h->a[0], h->a[1]);
}

int64_t hc_get_debugreg(struct domain *d, const struct hypercall_args *h)
{
	uint64_t value;
	int rc = ctl_get_dr(d, (uint32_t)h->a[0], &value);

	return rc < 0 ? rc : (int64_t)value;
}

int64_t hc_fpu_taskswitch(struct domain *d, const struct hypercall_args *h)
{
	regs_of(d)->ts = (uint32_t)h->a[0] != 0;
	return 0;
}

int64_t hc_vm_assist(struct domain *d, const struct hypercall_args *h)
{
	uint32_t type = (uint32_t)h->a[1];
	const uint64_t valid = 1u << VMASST_TYPE_4gb_segments |
		1u << VMASST_TYPE_4gb_segments_notify | 1u << VMASST_TYPE_writable_pagetables |
		1u << VMASST_TYPE_pae_extended_cr3 | 1u << VMASST_TYPE_architectural_iopl |
		1u << VMASST_TYPE_runstate_update_flag;

	if (type >= 64 || !(valid >> type & 1))
		return -EINVAL;
	switch ((uint32_t)h->a[0]) {
	case VMASST_CMD_enable:
		d->ctl.assist |= UINT64_C(1) << type;
		return 0;
	case VMASST_CMD_disable:
		d->ctl.assist &= ~(UINT64_C(1) << type);
		return 0;
	default:
		return -ENOSYS;
	}
}

/* Xen's view of a PV guest's I/O privilege: its kernel is ring 1. */
bool ctl_iopl_ok(struct domain *d)
{
	unsigned cpl = regs_of(d)->mode == MEM_KERNEL ? 1 : 3;

	if (d->ctl.assist & (1u << VMASST_TYPE_architectural_iopl))
		cpl = regs_of(d)->mode == MEM_KERNEL ? 0 : 3;
	return d->ctl.iopl >= cpl;
}

void ctl_save(const struct ctl_state *c, struct wbuf *w)
{
	for (unsigned i = 0; i < 8; i++)
		wbuf_u64(w, c->dr[i]);
	wbuf_u64(w, c->cr2);
	wbuf_u64(w, c->cr4);
	wbuf_u8(w, c->iopl);
	wbuf_u64(w, c->iobmp);
	wbuf_u32(w, c->iobmp_limit);
	wbuf_u64(w, c->assist);
}

int ctl_load(struct ctl_state *c, struct rbuf *r)
{
	for (unsigned i = 0; i < 8; i++)
		c->dr[i] = rbuf_u64(r);
	c->cr2 = rbuf_u64(r);
	c->cr4 = rbuf_u64(r);
	c->iopl = rbuf_u8(r);
	c->iobmp = rbuf_u64(r);
	c->iobmp_limit = rbuf_u32(r);
	c->assist = rbuf_u64(r);
	return r->bad || c->iopl > 3 || c->iobmp_limit > 65536 ? -1 : 0;
}
