/*
 * msr.c - the model-specific registers that a PV kernel may touch.
 *
 * A table: what is not in it raises #GP, which Linux expects (its rdmsr and
 * wrmsr are the "safe" kinds).  FIXED values match the CPUID policy; writes
 * to a DROP register are accepted and forgotten.
 */
#include "xen/internal.h"

enum kind {
	FIXED,   /* reads a constant; a write of that constant is accepted */
	DROP,    /* reads a constant; any write is accepted without effect */
	FS_BASE, GS_BASE, GS_OTHER, TSC, TSC_AUX,
};

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

static const struct {
	uint32_t msr;
	enum kind kind;
	uint64_t value;
} table[] = {
	{ 0x00000010, TSC, 0 },
	{ 0x00000017, FIXED, 0 },                            /* PLATFORM_ID */
	{ 0x0000001b, FIXED, 0xfee00900 },                   /* APIC_BASE */
	{ 0x00000048, DROP, 0 },                             /* SPEC_CTRL */
	{ 0x00000049, DROP, 0 },                             /* PRED_CMD */
	{ 0x0000008b, DROP, 0 },                             /* UCODE_REV */
	{ 0x000000ce, FIXED, 0 },                            /* PLATFORM_INFO */
	{ 0x0000010a, FIXED, ARCH_CAPABILITIES },
	{ 0x00000140, DROP, 0 },                             /* MISC_FEATURES_ENABLES */
	{ 0x00000179, FIXED, 0 },                            /* MCG_CAP: no banks */
	{ 0x0000017a, FIXED, 0 },                            /* MCG_STATUS */
	/* MISC_ENABLE: fast strings (Linux's REP_GOOD hangs on it), no BTS, no PEBS */
	{ 0x000001a0, FIXED, 0x1801 },
	{ 0x00000277, FIXED, UINT64_C(0x0000050100070406) }, /* PAT, as Xen sets it */
	{ 0xc0000080, FIXED, EFER_VALUE },
	{ 0xc0000100, FS_BASE, 0 },
	{ 0xc0000101, GS_BASE, 0 },
	{ 0xc0000102, GS_OTHER, 0 },
	{ 0xc0000103, TSC_AUX, 0 },
	{ 0xc0010015, DROP, 0 },                             /* AMD HWCR */
};

static int find(uint32_t msr)
{
	for (size_t i = 0; i < sizeof(table) / sizeof(table[0]); i++)
		if (table[i].msr == msr)
			return (int)i;
	return -1;
}

bool msr_read(struct domain *d, uint32_t msr, uint64_t *value)
{
	const struct cpu_state *s = regs_of(d);
	int i = find(msr);

	if (i < 0)
		return false;
	switch (table[i].kind) {
	case FIXED:
	case DROP:
		*value = table[i].value;
		break;
	case FS_BASE:
		*value = s->seg_base[SEG_FS];
		break;
	case GS_BASE:
		*value = s->seg_base[SEG_GS];
		break;
	case GS_OTHER:
		*value = s->gs_base_other;
		break;
	case TSC:
		*value = cpu_tsc(s);
		break;
	case TSC_AUX:
		*value = s->tsc_aux;
		break;
	}
	return true;
}

static bool set_base(uint64_t *base, uint64_t value)
{
	if (!is_canonical(value))
		return false;
	*base = value;
	return true;
}

bool msr_write(struct domain *d, uint32_t msr, uint64_t value)
{
	struct cpu_state *s = regs_of(d);
	int i = find(msr);

	if (i < 0)
		return false;
	switch (table[i].kind) {
	case FIXED:
		return value == table[i].value;
	case DROP:
		return true;
	case FS_BASE:
		return set_base(&s->seg_base[SEG_FS], value);
	case GS_BASE:
		return set_base(&s->seg_base[SEG_GS], value);
	case GS_OTHER:
		return set_base(&s->gs_base_other, value);
	case TSC_AUX:
		s->tsc_aux = (uint32_t)value;
		return value <= UINT32_MAX;
	case TSC:
		return true; /* Xen ignores it for guests without privileges */
	}
	return false;
}
