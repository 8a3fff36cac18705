/*
 * farxfer.c - iret, lret, far jmp and far call between the code segments of
 * one privilege level: everything runs at CPL 3, so an iret never changes
 * rings and a selector's RPL must be 3.
 *
 * Same-ring iret cannot change IF or IOPL.  Linux uses it to serialise
 * (sync_core), and 32-bit user code returns from signal handlers with it.
 * Call gates and task gates are not offered: #GP.
 */
#include "xen/internal.h"

#include <string.h>

#include "xen/emulate.h"
#include "xen/guestcopy.h"

/* What popf and iret may change at CPL 3: all but IF, IOPL, VM, VIF, VIP. */
#define USER_FLAGS 0x254dd5u

static uint64_t word(const uint8_t *p, unsigned size)
{
	return size == 8 ? get64(p) : size == 4 ? get32(p) : get16(p);
}

static void fault(struct vcpu *v, const struct mem_fault *f)
{
	if (f->noncanon)
		trap_exception(v, VEC_SS, true, 0);
	else
		trap_page_fault(v, f->va, f->error);
}

static uint64_t stack_va(const struct cpu_state *s, uint64_t sp)
{
	return s->code64 ? sp : (uint32_t)(s->seg_base[SEG_SS] + (uint32_t)sp);
}

/* Checks a target before anything changes; answers the exception itself. */
static bool target_ok(struct vcpu *v, uint16_t cs, bool any_rpl, uint64_t rip)
{
	struct descriptor desc;
	unsigned vector = VEC_GP;

	if (any_rpl || (cs & 3) == 3)
		vector = seg_check_cs(v, cs, &desc);
	if (vector != 0) {
		trap_exception(v, vector, true, cs & ~3u);
		return false;
	}
	/* A 32-bit segment ends at 4 GB. */
	if (desc.hi & (1u << 21) ? !mem_canonical(rip) : rip > UINT32_MAX) {
		trap_gp(v, 0);
		return false;
	}
	return true;
}

void priv_iret(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	unsigned size = x->priv.size, n = s->code64 ? 5 : 3, vector;
	uint64_t rip, flags, mask = USER_FLAGS, sp = s->gpr[RSP], ss = 0;
	struct descriptor desc;
	struct mem_fault f;
	uint8_t frame[40];
	uint16_t cs;

	if (s->rflags & FLAG_NT) {
		trap_gp(v, 0);
		return;
	}
	if (mmu_copy_in(v->mmu, s->mode, frame, stack_va(s, sp), n * size, &f) < 0) {
		fault(v, &f);
		return;
	}
	rip = word(frame, size);
	cs = (uint16_t)word(frame + size, size);
	flags = word(frame + 2 * size, size);
	if (size == 2)
		mask &= 0xffff;
	if (!target_ok(v, cs, false, rip))
		return;
	if (n == 5) {
		sp = word(frame + 3 * size, size);
		ss = word(frame + 4 * size, size) & 0xffff;
		vector = seg_check_ss(v, (uint16_t)ss, &desc);
		if (vector != 0) {
			trap_exception(v, vector, true, (uint32_t)ss & ~3u);
			return;
		}
	} else {
		sp = (uint32_t)(sp + n * size);
	}
	cpu_retire(v->cpu, x->len);
	seg_load_cs(v, cs);
	if (n == 5)
		seg_load_ss(v, (uint16_t)ss, false);
	s->rip = rip;
	s->gpr[RSP] = sp;
	s->rflags = (s->rflags & ~mask) | (flags & mask);
}

void priv_far_ret(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	unsigned size = x->priv.size;
	uint64_t rip, sp = s->gpr[RSP];
	struct mem_fault f;
	uint8_t frame[16];
	uint16_t cs;

	if (mmu_copy_in(v->mmu, s->mode, frame, stack_va(s, sp), 2 * size, &f) < 0) {
		fault(v, &f);
		return;
	}
	rip = word(frame, size);
	cs = (uint16_t)word(frame + size, size);
	if (!target_ok(v, cs, false, rip))
		return;
	sp += 2 * size + (uint16_t)x->priv.value;
	if (!s->code64)
		sp = (uint32_t)sp;
	cpu_retire(v->cpu, x->len);
	seg_load_cs(v, cs);
	s->rip = rip;
	s->gpr[RSP] = sp;
}

void priv_far_jmp(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);

	if (!target_ok(v, x->priv.sel, true, x->priv.value))
		return;
	cpu_retire(v->cpu, x->len);
	seg_load_cs(v, x->priv.sel | 3);
	s->rip = x->priv.value;
}

void priv_far_call(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	unsigned size = x->priv.size;
	uint64_t sp = s->gpr[RSP] - 2 * size, ret = s->rip + x->len;
	uint64_t cs = s->seg[SEG_CS];
	struct mem_fault f;
	uint8_t frame[16];

	if (!target_ok(v, x->priv.sel, true, x->priv.value))
		return;
	if (!s->code64)
		sp = (uint32_t)sp;
	memcpy(frame, &ret, size);
	memcpy(frame + size, &cs, size);
	if (mmu_copy_out(v->mmu, s->mode, stack_va(s, sp), frame, 2 * size, &f) < 0) {
		fault(v, &f);
		return;
	}
	cpu_retire(v->cpu, x->len);
	seg_load_cs(v, x->priv.sel | 3);
	s->rip = x->priv.value;
	s->gpr[RSP] = sp;
}
