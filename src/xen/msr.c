/*
 * msr.c - the model-specific registers that a PV kernel may touch.
 *
 * A table of what Xen 4.17 does for an unprivileged guest on an Intel CPU with our
 * CPUID policy.  What is not in it, or has no function for the direction, raises #GP,
 * which Linux expects (its rdmsr and wrmsr are the "safe" kinds).
 */
#include "xen/internal.h"

#include "loader/build.h"
#include "xen/emulate.h"
#include "xen/guestcopy.h"

/*
 * IA32_ARCH_CAPABILITIES: this CPU does not speculate past anything.  Linux
 * then leaves out its per-exit mitigations (verw and friends), and with
 * enhanced IBRS calls through registers directly instead of by retpolines.
 */
#define ARCH_CAPABILITIES (UINT64_C(1) << 0 |  /* RDCL_NO */ \
	UINT64_C(1) << 1 |  /* IBRS_ALL */ \
	UINT64_C(1) << 3 |  /* SKIP_L1DFL */ \
	UINT64_C(1) << 4 |  /* SSB_NO */ \
	UINT64_C(1) << 5 |  /* MDS_NO */ \
	UINT64_C(1) << 6 |  /* PSCHANGE_MC_NO */ \
	UINT64_C(1) << 8 |  /* TAA_NO */ \
	UINT64_C(1) << 13 | /* SBDR_SSDP_NO */ \
	UINT64_C(1) << 14 | /* FBSDP_NO */ \
	UINT64_C(1) << 15 | /* PSDP_NO */ \
	UINT64_C(1) << 20 | /* BHI_NO */ \
	UINT64_C(1) << 24 | /* PBRSB_NO */ \
	UINT64_C(1) << 26 | /* GDS_NO */ \
	UINT64_C(1) << 27 | /* RFDS_NO */ \
	UINT64_C(1) << 62)  /* ITS_NO */

/* Two banks, CMCI_P, TES_P, SER_P: Xen's virtual machine checks, of which none comes. */
#define MCG_CAP UINT64_C(0x1000c02)
#define SPEC_CTRL_VALID UINT64_C(0x403) /* IBRS, STIBP, BHI_DIS_S */
#define PRED_CMD_VALID UINT64_C(1)      /* IBPB */

struct row {
	uint32_t first, last;
	bool (*get)(struct vcpu *v, const struct row *r, uint32_t msr, uint64_t *out);
	bool (*set)(struct vcpu *v, const struct row *r, uint32_t msr, uint64_t x);
	uint64_t value;
};

#define READS struct vcpu *v, const struct row *r, uint32_t msr, uint64_t *out
#define WRITES struct vcpu *v, const struct row *r, uint32_t msr, uint64_t x
#define UNUSED() ((void)v, (void)r, (void)msr)

static bool constant(READS)
{
	UNUSED();
	*out = r->value;
	return true;
}

static bool arch_capabilities(READS)
{
	UNUSED();
	*out = v->d->policy != NULL ? v->d->policy->arch_capabilities : ARCH_CAPABILITIES;
	return true;
}

static bool tsc(READS)
{
	UNUSED();
	*out = cpu_tsc(regs_of(v));
	return true;
}

static bool drop(WRITES)
{
	UNUSED();
	(void)x;
	return true;
}

/* Only what it holds already. */
static bool same(WRITES)
{
	UNUSED();
	return x == r->value;
}

static bool pred_cmd(WRITES)
{
	UNUSED();
	return (x & ~PRED_CMD_VALID) == 0;
}

/* ---- registers that keep what is written ---- */

static uint64_t *cell(struct vcpu *v, uint32_t msr)
{
	struct cpu_state *s = regs_of(v);

	switch (msr) {
	case 0x48: return &v->ctl.spec_ctrl;
	case 0x17a: return &v->ctl.mcg_status;
	case 0x280: return &v->ctl.mc_ctl2[0];
	case 0x281: return &v->ctl.mc_ctl2[1];
	case 0xc0000100: return &s->seg_base[SEG_FS];
	case 0xc0000101: return &s->seg_base[SEG_GS];
	default: return &s->gs_base_other;
	}
}

static bool kept(READS)
{
	UNUSED();
	*out = *cell(v, msr);
	return true;
}

static bool keep(WRITES)
{
	UNUSED();
	*cell(v, msr) = x;
	return true;
}

static bool keep_base(WRITES)
{
	return mem_canonical(x) && keep(v, r, msr, x);
}

/* What rdtscp gives in ecx, where there is one. */
static bool tsc_aux(READS)
{
	UNUSED();
	*out = regs_of(v)->tsc_aux;
	return (cpu_isa(v->cpu) & ISA_BIT(RDTSCP)) != 0;
}

static bool set_tsc_aux(WRITES)
{
	UNUSED();
	if (!(cpu_isa(v->cpu) & ISA_BIT(RDTSCP)) || x > UINT32_MAX)
		return false;
	regs_of(v)->tsc_aux = (uint32_t)x;
	return true;
}

static bool keep_spec_ctrl(WRITES)
{
	return (x & ~SPEC_CTRL_VALID) == 0 && keep(v, r, msr, x);
}

/* A bank's CTL has all bits set for good; STATUS, ADDR, MISC can only be cleared. */
static bool bank(READS)
{
	UNUSED();
	*out = msr % 4 == 0 ? UINT64_MAX : 0;
	return true;
}

static bool set_bank(WRITES)
{
	UNUSED();
	return msr % 4 == 0 || x == 0;
}

/* The frame becomes a hypercall page. */
static bool hypercall_page(WRITES)
{
	uint8_t page[PAGE_SIZE];

	UNUSED();
	if ((x & (PAGE_SIZE - 1)) != 0 || !is_writable(v->d, x >> PAGE_SHIFT))
		return false;
	build_hypercall_page(page);
	mem_write_frame(v->d->mem, x >> PAGE_SHIFT, 0, page, sizeof page);
	return true;
}

static const struct row table[] = {
	{ 0x00000000, 0x00000001, constant, NULL, 0 },       /* P5_MC_ADDR, P5_MC_TYPE */
	{ 0x00000010, 0x00000010, tsc, NULL, 0 },
	{ 0x00000017, 0x00000017, constant, NULL, 0 },       /* PLATFORM_ID */
	{ 0x0000001b, 0x0000001b, constant, NULL, 0xfee00900 }, /* APIC_BASE */
	{ 0x0000003a, 0x0000003a, constant, NULL, 1 },       /* FEATURE_CONTROL: locked */
	{ 0x00000048, 0x00000048, kept, keep_spec_ctrl, 0 }, /* SPEC_CTRL */
	{ 0x00000049, 0x00000049, NULL, pred_cmd, 0 },       /* PRED_CMD */
	{ 0x0000008b, 0x0000008b, constant, same, 0 },       /* UCODE_REV */
	{ 0x000000c1, 0x000000c8, constant, drop, 0 },       /* P6_PERFCTR */
	{ 0x000000ce, 0x000000ce, constant, NULL, 0 },       /* PLATFORM_INFO */
	{ 0x000000e7, 0x000000e8, NULL, drop, 0 },           /* MPERF, APERF */
	{ 0x0000010a, 0x0000010a, arch_capabilities, NULL, 0 },
	{ 0x00000140, 0x00000140, constant, same, 0 },       /* MISC_FEATURES_ENABLES */
	{ 0x00000179, 0x00000179, constant, drop, MCG_CAP },
	{ 0x0000017a, 0x0000017a, kept, keep, 0 },           /* MCG_STATUS */
	{ 0x0000017b, 0x0000017b, constant, drop, 0 },       /* MCG_CTL */
	{ 0x00000186, 0x00000189, constant, drop, 0 },       /* P6_EVNTSEL */
	{ 0x00000198, 0x00000198, constant, NULL, 0 },       /* PERF_STATUS */
	{ 0x00000199, 0x00000199, constant, drop, 0 },       /* PERF_CTL */
	{ 0x0000019a, 0x0000019a, NULL, drop, 0 },           /* THERM_CONTROL */
	{ 0x0000019c, 0x0000019c, constant, NULL, 0 },       /* THERM_STATUS */
	/* MISC_ENABLE: fast strings (Linux's REP_GOOD hangs on it), no BTS, PEBS, xTPR */
	{ 0x000001a0, 0x000001a0, constant, drop, 0x801801 },
	{ 0x000001b0, 0x000001b0, NULL, drop, 0 },           /* ENERGY_PERF_BIAS */
	{ 0x00000277, 0x00000277, constant, NULL, UINT64_C(0x0000050100070406) }, /* PAT */
	{ 0x00000280, 0x00000281, kept, keep, 0 },           /* MC0_CTL2, MC1_CTL2 */
	{ 0x00000282, 0x0000029f, constant, drop, 0 },       /* of banks that are not there */
	{ 0x00000309, 0x0000030b, constant, drop, 0 },       /* PERF_FIXED_CTR */
	{ 0x00000345, 0x00000345, constant, NULL, 0 },       /* PERF_CAPABILITIES */
	{ 0x0000038d, 0x00000390, constant, drop, 0 },       /* PERF_FIXED_CTR_CTRL and on */
	{ 0x00000400, 0x00000407, bank, set_bank, 0 },       /* MC0, MC1 */
	{ 0x00000408, 0x0000047f, constant, drop, 0 },
	{ 0x40000000, 0x40000000, constant, hypercall_page, 0 }, /* as CPUID 0x40000002 says */
	{ 0xc0000080, 0xc0000080, constant, same, EFER_VALUE },
	{ 0xc0000100, 0xc0000102, kept, keep_base, 0 },      /* FS, GS, the other GS base */
	{ 0xc0000103, 0xc0000103, tsc_aux, set_tsc_aux, 0 },
	{ 0xc001001f, 0xc001001f, constant, drop, 0 },       /* NB_CFG, on any CPU */
};

static const struct row *find(uint32_t msr)
{
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++)
		if (msr >= table[i].first && msr <= table[i].last)
			return &table[i];
	return NULL;
}

bool msr_read(struct vcpu *v, uint32_t msr, uint64_t *value)
{
	const struct row *r = find(msr);

	return r != NULL && r->get != NULL && r->get(v, r, msr, value);
}

bool msr_write(struct vcpu *v, uint32_t msr, uint64_t value)
{
	const struct row *r = find(msr);

	return r != NULL && r->set != NULL && r->set(v, r, msr, value);
}
