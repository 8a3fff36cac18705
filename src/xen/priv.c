/*
 * priv.c - instructions that the engine leaves to us, by a table.
 *
 * A function either completes the instruction and retires it, or raises an
 * exception and leaves it uncounted.  KERNEL entries raise #GP in user mode,
 * as the CPU does for ring 3.
 */
#include "xen/internal.h"

static void priv_cpuid(struct domain *d, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(d);
	struct cpuid_regs r;

	cpuid_policy((uint32_t)s->gpr[RAX], (uint32_t)s->gpr[RCX], &r);
	s->gpr[RAX] = r.eax;
	s->gpr[RBX] = r.ebx;
	s->gpr[RCX] = r.ecx;
	s->gpr[RDX] = r.edx;
	cpu_retire(d->cpu, x->len);
}

static void priv_rdmsr(struct domain *d, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(d);
	uint64_t value;

	if (!msr_read(d, (uint32_t)s->gpr[RCX], &value)) {
		trap_gp(d, 0);
		return;
	}
	s->gpr[RAX] = (uint32_t)value;
	s->gpr[RDX] = value >> 32;
	cpu_retire(d->cpu, x->len);
}

static void priv_wrmsr(struct domain *d, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(d);

	if (!msr_write(d, (uint32_t)s->gpr[RCX], s->gpr[RDX] << 32 | (uint32_t)s->gpr[RAX]))
		trap_gp(d, 0);
	else
		cpu_retire(d->cpu, x->len);
}

static void priv_rdpmc(struct domain *d, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(d);

	s->gpr[RAX] = 0;
	s->gpr[RDX] = 0;
	cpu_retire(d->cpu, x->len);
}

static void priv_from_cr(struct domain *d, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(d);
	uint64_t value;

	switch (x->priv.index) {
	case 0:
		value = ctl_cr0(d);
		break;
	case 2:
		value = d->ctl.cr2;
		break;
	case 3:
		value = mem_root(d->mem, MEM_KERNEL) << PAGE_SHIFT;
		break;
	case 4:
		value = d->ctl.cr4;
		break;
	default:
		trap_gp(d, 0);
		return;
	}
	s->gpr[x->priv.reg & 15] = value;
	cpu_retire(d->cpu, x->len);
}

/* Of CR0 only TS may change. */
static bool set_cr0(struct domain *d, uint64_t value)
{
	if (((value ^ ctl_cr0(d)) & ~UINT64_C(8)) != 0)
		return false;
	regs_of(d)->ts = (value & 8) != 0;
	return true;
}

static bool set_cr3(struct domain *d, uint64_t value)
{
	mfn_t mfn = PTE_MFN(value);

	if (!is_ram(d, mfn))
		return false;
	mem_set_root(d->mem, MEM_KERNEL, mfn);
	return true;
}

static void priv_to_cr(struct domain *d, const struct cpu_exit *x)
{
	bool ok = true;

	switch (x->priv.index) {
	case 0:
		ok = set_cr0(d, x->priv.value);
		break;
	case 2:
		d->ctl.cr2 = x->priv.value;
		vinfo_put64(d, offsetof(struct vcpu_info, arch.cr2), x->priv.value);
		break;
	case 3:
		ok = set_cr3(d, x->priv.value);
		break;
	case 4:
		ctl_set_cr4(d, x->priv.value);
		break;
	default:
		ok = false;
		break;
	}
	if (ok)
		cpu_retire(d->cpu, x->len);
	else
		trap_gp(d, 0);
}

static void priv_from_dr(struct domain *d, const struct cpu_exit *x)
{
	uint64_t value;

	if (ctl_get_dr(d, x->priv.index, &value) < 0) {
		trap_ud(d);
		return;
	}
	regs_of(d)->gpr[x->priv.reg & 15] = value;
	cpu_retire(d->cpu, x->len);
}

static void priv_to_dr(struct domain *d, const struct cpu_exit *x)
{
	if (ctl_set_dr(d, x->priv.index, x->priv.value) < 0)
		trap_gp(d, 0);
	else
		cpu_retire(d->cpu, x->len);
}

static void priv_clts(struct domain *d, const struct cpu_exit *x)
{
	regs_of(d)->ts = 0;
	cpu_retire(d->cpu, x->len);
}

static void priv_lmsw(struct domain *d, const struct cpu_exit *x)
{
	uint64_t cr0 = (ctl_cr0(d) & ~UINT64_C(0xe)) | (x->priv.value & 0xf);

	if (set_cr0(d, cr0))
		cpu_retire(d->cpu, x->len);
	else
		trap_gp(d, 0);
}

/* The interrupt flag a PV guest works with is the upcall mask, not this one. */
static void priv_cli_sti(struct domain *d, const struct cpu_exit *x)
{
	if (ctl_iopl_ok(d))
		cpu_retire(d->cpu, x->len);
	else
		trap_gp(d, 0);
}

/* invlpg, invd, wbinvd: the TLB is coherent, and caches do not show. */
static void priv_nop(struct domain *d, const struct cpu_exit *x)
{
	cpu_retire(d->cpu, x->len);
}

static void priv_gp(struct domain *d, const struct cpu_exit *x)
{
	(void)x;
	trap_gp(d, 0);
}

static void priv_ud(struct domain *d, const struct cpu_exit *x)
{
	(void)x;
	trap_ud(d);
}

enum { ANYONE, KERNEL };

static const struct {
	priv_fn *fn;
	uint8_t who;
} table[] = {
	[PRIV_CPUID] = { priv_cpuid, ANYONE },
	[PRIV_RDMSR] = { priv_rdmsr, KERNEL },
	[PRIV_WRMSR] = { priv_wrmsr, KERNEL },
	[PRIV_RDPMC] = { priv_rdpmc, KERNEL },
	[PRIV_MOV_FROM_CR] = { priv_from_cr, KERNEL },
	[PRIV_MOV_TO_CR] = { priv_to_cr, KERNEL },
	[PRIV_MOV_FROM_DR] = { priv_from_dr, KERNEL },
	[PRIV_MOV_TO_DR] = { priv_to_dr, KERNEL },
	[PRIV_CLTS] = { priv_clts, KERNEL },
	[PRIV_LMSW] = { priv_lmsw, KERNEL },
	[PRIV_CLI] = { priv_cli_sti, ANYONE },
	[PRIV_STI] = { priv_cli_sti, ANYONE },
	[PRIV_HLT] = { priv_gp, ANYONE },
	[PRIV_INVLPG] = { priv_nop, KERNEL },
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
	/* Hidden by the CPUID policy. */
	[PRIV_XGETBV] = { priv_ud, ANYONE },
	[PRIV_XSETBV] = { priv_ud, ANYONE },
	[PRIV_MONITOR] = { priv_ud, ANYONE },
};

void priv_emulate(struct domain *d, const struct cpu_exit *x)
{
	unsigned op = x->priv.op;

	if (op >= sizeof(table) / sizeof(table[0]) || table[op].fn == NULL)
		trap_ud(d);
	else if (table[op].who == KERNEL && regs_of(d)->mode != MEM_KERNEL)
		trap_gp(d, 0);
	else
		table[op].fn(d, x);
}
