/*
 * portio.c - in and out: a machine without any port.
 *
 * Reads float high, except for the PIT's counter, where zero ends Linux's
 * TSC calibration at once instead of after 100000 reads.  Writes vanish; the
 * PIC's mask in particular must not read back.  User code needs IOPL 3 or a
 * bit in the permission bitmap (ioperm), its kernel IOPL 1.
 */
#include "xen/internal.h"

#include "xen/emulate.h"
#include "xen/guestcopy.h"

enum { PIT_COUNTER_2 = 0x42 };

static bool permitted(struct vcpu *v, unsigned port, unsigned size)
{
	const struct ctl_state *c = &v->ctl;
	uint8_t bits[2] = {0xff, 0xff}; /* stays so where the bitmap cannot be read */
	uint64_t va = c->iobmp + port / 8;

	if (ctl_iopl_ok(v))
		return true;
	if (port + size > c->iobmp_limit)
		return false;
	if (copy_from_guest(v, &bits[0], va, 1) == 0)
		copy_from_guest(v, &bits[1], va + 1, 1);
	return (get16(bits) >> (port & 7) & ((1u << size) - 1)) == 0;
}

void priv_in(struct vcpu *v, const struct cpu_exit *x)
{
	const struct cpu_priv *p = &x->priv;

	if (!permitted(v, p->port, p->size)) {
		trap_gp(v, 0);
		return;
	}
	priv_set_reg(regs_of(v), RAX, p->size,
		p->port == PIT_COUNTER_2 ? 0 : UINT64_C(0xffffffff));
	cpu_retire(v->cpu, x->len);
}

void priv_out(struct vcpu *v, const struct cpu_exit *x)
{
	if (!permitted(v, x->priv.port, x->priv.size))
		trap_gp(v, 0);
	else
		cpu_retire(v->cpu, x->len);
}
