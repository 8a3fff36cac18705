/*
 * emulate.c - instructions that the engine leaves to us, by a table.
 *
 * A function either completes the instruction and retires it, or raises an
 * exception and leaves it uncounted.  KERNEL entries raise #GP in user mode,
 * as the CPU does for ring 3.
 */
#include "xen/strict.h"

#include <errno.h>

#include "xen/emulate.h"
#include "xen/mmu.h"

/*
 * By the guest's CR4, as everywhere; but what a kernel asks Xen for, rather than the CPU,
 * shows Xen's own, which is set (Xen's guest_cpuid() tells the story).
 */
static bool shows_osxsave(struct vcpu *v, const struct cpu_exit *x)
{
	enum { FORCED_EMULATION = 7 }; /* bytes */

	return (v->ctl.cr4 & CR4_OSXSAVE) != 0 ||
		(x->len == FORCED_EMULATION && regs_of(v)->mode == MEM_KERNEL);
}

static void priv_cpuid(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	const struct cpuid_model m = { .isa = cpu_isa(v->cpu), .xcr0 = s->xcr0,
		.osxsave = shows_osxsave(v, x), .policy = v->d->policy };
	struct cpuid_regs r;

	cpuid_policy(&m, (uint32_t)s->gpr[RAX], (uint32_t)s->gpr[RCX], &r);
	s->gpr[RAX] = r.eax;
	s->gpr[RBX] = r.ebx;
	s->gpr[RCX] = r.ecx;
	s->gpr[RDX] = r.edx;
	cpu_retire(v->cpu, x->len);
}

static bool has_xsave(const struct vcpu *v)
{
	return (cpu_isa(v->cpu) & ISA_BIT(XSAVE)) != 0;
}

/* Executed by the CPU itself under Xen: whatever the guest's CR4. */
static void priv_xgetbv(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);

	if (!has_xsave(v)) {
		trap_ud(v);
	} else if ((uint32_t)s->gpr[RCX] != 0) {
		trap_gp(v, 0);
	} else {
		s->gpr[RAX] = s->xcr0;
		s->gpr[RDX] = 0;
		cpu_retire(v->cpu, x->len);
	}
}

static void priv_xsetbv(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	uint64_t value = s->gpr[RDX] << 32 | (uint32_t)s->gpr[RAX];

	if (!has_xsave(v) || !(v->ctl.cr4 & CR4_OSXSAVE)) {
		trap_ud(v);
	} else if (s->mode != MEM_KERNEL || (uint32_t)s->gpr[RCX] != 0 || !cpu_xcr0_valid(value)) {
		trap_gp(v, 0);
	} else {
		cpu_set_xcr0(v->cpu, (uint8_t)value);
		cpu_retire(v->cpu, x->len);
	}
}

/* Before there is a handler of #GP, a register that does not exist reads as 0. */
static bool read_fakes(const struct vcpu *v, uint32_t msr)
{
	return v->trap.trap[13].addr == 0 && msr >> 16 != 0x4000;
}

static void priv_rdmsr(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	uint32_t msr = (uint32_t)s->gpr[RCX];
	uint64_t value = 0;

	if (!msr_read(v, msr, &value) && !read_fakes(v, msr)) {
		trap_gp(v, 0);
		return;
	}
	s->gpr[RAX] = (uint32_t)value;
	s->gpr[RDX] = value >> 32;
	cpu_retire(v->cpu, x->len);
}

static void priv_wrmsr(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);

	if (!msr_write(v, (uint32_t)s->gpr[RCX], s->gpr[RDX] << 32 | (uint32_t)s->gpr[RAX]))
		trap_gp(v, 0);
	else
		cpu_retire(v->cpu, x->len);
}

static void priv_from_cr(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	uint64_t value;

	switch (x->priv.index) {
	case 0:
		value = ctl_cr0(v);
		break;
	case 2:
		value = v->ctl.cr2;
		break;
	case 3:
		value = mmu_root(v->mmu, MEM_KERNEL) << PAGE_SHIFT;
		break;
	case 4:
		value = v->ctl.cr4;
		break;
	default:
		trap_gp(v, 0);
		return;
	}
	s->gpr[x->priv.reg & 15] = value;
	cpu_retire(v->cpu, x->len);
}

/* Of CR0 only TS may change. */
static bool set_cr0(struct vcpu *v, uint64_t value)
{
	if (((value ^ ctl_cr0(v)) & ~UINT64_C(8)) != 0)
		return false;
	regs_of(v)->ts = (value & 8) != 0;
	return true;
}

static bool set_cr3(struct vcpu *v, uint64_t value)
{
	strict_call(v->d, "mov to cr3");
	return vcpu_new_root(v, MEM_KERNEL, PTE_MFN(value)) == 0;
}

static void priv_to_cr(struct vcpu *v, const struct cpu_exit *x)
{
	bool ok = true;

	switch (x->priv.index) {
	case 0:
		ok = set_cr0(v, x->priv.value);
		break;
	case 2:
		v->ctl.cr2 = x->priv.value;
		vinfo_put64(v, offsetof(struct vcpu_info, arch.cr2), x->priv.value);
		break;
	case 3:
		ok = set_cr3(v, x->priv.value);
		break;
	case 4:
		ctl_set_cr4(v, x->priv.value);
		break;
	default:
		ok = false;
		break;
	}
	if (ok)
		cpu_retire(v->cpu, x->len);
	else
		trap_gp(v, 0);
}

static void priv_from_dr(struct vcpu *v, const struct cpu_exit *x)
{
	uint64_t value;

	if (ctl_get_dr(v, x->priv.index, &value) < 0) {
		trap_ud(v);
		return;
	}
	regs_of(v)->gpr[x->priv.reg & 15] = value;
	cpu_retire(v->cpu, x->len);
}

static void priv_to_dr(struct vcpu *v, const struct cpu_exit *x)
{
	int rc = ctl_set_dr(v, x->priv.index, x->priv.value);

	if (rc == -ENODEV)
		trap_ud(v);
	else if (rc < 0)
		trap_gp(v, 0);
	else
		cpu_retire(v->cpu, x->len);
}

static void priv_clts(struct vcpu *v, const struct cpu_exit *x)
{
	regs_of(v)->ts = 0;
	cpu_retire(v->cpu, x->len);
}

/* The interrupt flag a PV guest works with is the upcall mask, not this one. */
static void priv_cli_sti(struct vcpu *v, const struct cpu_exit *x)
{
	if (ctl_iopl_ok(v))
		cpu_retire(v->cpu, x->len);
	else
		trap_gp(v, 0);
}

/* invd, wbinvd: caches do not show. */
static void priv_nop(struct vcpu *v, const struct cpu_exit *x)
{
	cpu_retire(v->cpu, x->len);
}

static void priv_gp(struct vcpu *v, const struct cpu_exit *x)
{
	(void)x;
	trap_gp(v, 0);
}

static void priv_ud(struct vcpu *v, const struct cpu_exit *x)
{
	(void)x;
	trap_ud(v);
}

enum { ANYONE, KERNEL };

static const struct {
	priv_fn *fn;
	uint8_t who;
} table[] = {
	[PRIV_CPUID] = { priv_cpuid, ANYONE },
	[PRIV_RDMSR] = { priv_rdmsr, KERNEL },
	[PRIV_WRMSR] = { priv_wrmsr, KERNEL },
	[PRIV_RDPMC] = { priv_gp, ANYONE },
	[PRIV_MOV_FROM_CR] = { priv_from_cr, KERNEL },
	[PRIV_MOV_TO_CR] = { priv_to_cr, KERNEL },
	[PRIV_MOV_FROM_DR] = { priv_from_dr, KERNEL },
	[PRIV_MOV_TO_DR] = { priv_to_dr, KERNEL },
	[PRIV_CLTS] = { priv_clts, KERNEL },
	[PRIV_LMSW] = { priv_gp, ANYONE },
	[PRIV_CLI] = { priv_cli_sti, ANYONE },
	[PRIV_STI] = { priv_cli_sti, ANYONE },
	[PRIV_HLT] = { priv_gp, ANYONE },
	[PRIV_INVLPG] = { priv_gp, ANYONE },
	[PRIV_INVD] = { priv_nop, KERNEL },
	[PRIV_IN] = { priv_in, ANYONE },
	[PRIV_OUT] = { priv_out, ANYONE },
	[PRIV_INS] = { priv_gp, ANYONE },
	[PRIV_OUTS] = { priv_gp, ANYONE },
	[PRIV_LDT_GDT] = { priv_gp, ANYONE },
	[PRIV_SWAPGS] = { priv_gp, ANYONE },
	[PRIV_SYSRET] = { priv_gp, ANYONE },
	[PRIV_IRET] = { priv_iret, ANYONE },
	[PRIV_FAR_RET] = { priv_far_ret, ANYONE },
	[PRIV_FAR_JMP] = { priv_far_jmp, ANYONE },
	[PRIV_FAR_CALL] = { priv_far_call, ANYONE },
	[PRIV_LOAD_SEG] = { priv_load_seg, ANYONE },
	[PRIV_LAR] = { priv_lar, ANYONE },
	[PRIV_LSL] = { priv_lsl, ANYONE },
	[PRIV_VERR] = { priv_verr, ANYONE },
	[PRIV_VERW] = { priv_verw, ANYONE },
	[PRIV_SGDT] = { priv_store_table, ANYONE },
	[PRIV_SIDT] = { priv_store_table, ANYONE },
	[PRIV_SLDT] = { priv_store_table, ANYONE },
	[PRIV_STR] = { priv_store_table, ANYONE },
	[PRIV_SMSW] = { priv_store_table, ANYONE },
	[PRIV_XGETBV] = { priv_xgetbv, ANYONE },
	[PRIV_XSETBV] = { priv_xsetbv, ANYONE },
	/* Hidden by the CPUID policy. */
	[PRIV_MONITOR] = { priv_ud, ANYONE },
};

void priv_emulate(struct vcpu *v, const struct cpu_exit *x)
{
	unsigned op = x->priv.op;

	if (op >= sizeof table / sizeof table[0] || table[op].fn == NULL)
		trap_ud(v);
	else if (table[op].who == KERNEL && regs_of(v)->mode != MEM_KERNEL)
		trap_gp(v, 0);
	else
		table[op].fn(v, x);
}
