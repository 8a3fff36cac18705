/*
 * cpuid.c - the CPU that guests see, the same on every host: x86-64-v2, and what isa.h's
 * table adds to it.
 *
 * The values are those of a Nehalem under Xen's policy, with that table's of a Haswell, with
 * which the stock kernels are known to boot, minus what a PV guest must not see (VME, PSE,
 * PGE, MTRR, PCID, SMEP, SMAP, UMIP, LA57, PKU, 1G pages, MONITOR, X2APIC,
 * the deadline timer).  Leaves without an entry, among them those where a
 * guest looks for other hypervisors, are all zero.
 */
#include "xen/emulate.h"


#define ANY UINT32_MAX /* subleaf does not matter */

#define OSXSAVE (UINT32_C(1) << 27)

struct row {
	uint32_t leaf, subleaf;
	struct cpuid_regs r;
};

static const struct row policy[] = {
	/* Highest basic leaf, "GenuineIntel". */
	{ 0x0, ANY, { 0xb, 0x756e6547, 0x6c65746e, 0x49656e69 } },
	/* Family 6 model 26 stepping 3; SSE3 SSSE3 CX16 SSE4.1 SSE4.2 POPCNT HYPERVISOR;
	   FPU DE TSC MSR PAE CX8 APIC SEP CMOV PAT CLFSH MMX FXSR SSE SSE2 HTT. */
	{ 0x1, ANY, { 0x000106a3, 0x00020800, 0x80982201, 0x17898b75 } },
	{ 0x2, ANY, { 0x00000001, 0x00000000, 0x0000004d, 0x002c307d } },
	/* 32K data, 32K instruction, 4M unified, 16M unified. */
	{ 0x4, 0, { 0x04000121, 0x01c0003f, 0x0000003f, 0x00000001 } },
	{ 0x4, 1, { 0x04000122, 0x01c0003f, 0x0000003f, 0x00000001 } },
	{ 0x4, 2, { 0x04000143, 0x03c0003f, 0x00000fff, 0x00000001 } },
	{ 0x4, 3, { 0x04004163, 0x03c0003f, 0x00003fff, 0x00000006 } },
	/* IBRS/IBPB and ARCH_CAPABILITIES only; BHI_CTRL, as Linux takes no MSR's word that
	   it need not clear the branch history at every system call. */
	{ 0x7, 0, { 0x00000002, 0x00000000, 0x00000000, 0x24000000 } },
	{ 0x7, 2, { 0x00000000, 0x00000000, 0x00000000, 0x00000010 } },
	/* Xen: highest leaf, "XenVMMXenVMM"; version; 1 hypercall page, PRESERVE_AD. */
	{ 0x40000000, ANY, { 0x40000005, 0x566e6558, 0x65584d4d, 0x4d4d566e } },
	{ 0x40000001, ANY, { 0x00040011, 0x00000000, 0x00000000, 0x00000000 } },
	{ 0x40000002, ANY, { 0x00000001, 0x40000000, 0x00000001, 0x00000000 } },
	/* Time: the TSC is safe and never emulated by traps; 1 GHz; scale as in pvclock. */
	{ 0x40000003, 0, { 0x00000002, 0x00000002, 0x000f4240, 0x00000000 } },
	{ 0x40000003, 1, { 0x00000000, 0x00000000, 0x80000000, 0x00000001 } },
	{ 0x40000003, 2, { 0x000f4240, 0x00000000, 0x00000000, 0x00000000 } },
	/* PV: machine addresses of 40 bits, so that grants v1 suffice. */
	{ 0x40000005, ANY, { 0x00000000, 0x00000028, 0x00000000, 0x00000000 } },
	/* LAHF; SYSCALL NX LM. */
	{ 0x80000000, ANY, { 0x80000008, 0x00000000, 0x00000000, 0x00000000 } },
	{ 0x80000001, ANY, { 0x00000000, 0x00000000, 0x00000001, 0x20100800 } },
	/* "ttd virtual CPU (x86-64-v2)" */
	{ 0x80000002, ANY, { 0x20647474, 0x74726976, 0x206c6175, 0x20555043 } },
	{ 0x80000003, ANY, { 0x36387828, 0x2d34362d, 0x00293276, 0x00000000 } },
	{ 0x80000008, ANY, { 0x00003028, 0x00000000, 0x00000000, 0x00000000 } },
};

/* The same where there is more than x86-64-v2. */
static const struct row policy_more[] = {
	{ 0x0, ANY, { 0xd, 0x756e6547, 0x6c65746e, 0x49656e69 } },
	/* Family 6 model 60 stepping 3. */
	{ 0x1, ANY, { 0x000306c3, 0x00020800, 0x80982201, 0x17898b75 } },
	/* "ttd virtual CPU (x86-64-v3)" */
	{ 0x80000003, ANY, { 0x36387828, 0x2d34362d, 0x00293376, 0x00000000 } },
};

static const struct cpuid_regs *find(const struct row *t, size_t n, uint32_t leaf, uint32_t subleaf)
{
	for (size_t i = 0; i < n; i++)
		if (t[i].leaf == leaf && (t[i].subleaf == ANY || t[i].subleaf == subleaf))
			return &t[i].r;
	return NULL;
}
#define FIND(table) find(table, sizeof table / sizeof *table, leaf, subleaf)

/* XSAVE's images: as long as XCR0 says, and as can be. */
static void xsave_leaf(const struct cpuid_model *m, uint32_t subleaf, struct cpuid_regs *r)
{
	enum { ALL = XCR0_X87 | XCR0_SSE | XCR0_AVX, LEGACY = 576, YMM = 256 };

	if (subleaf == 0)
		*r = (struct cpuid_regs){ ALL, LEGACY + (m->xcr0 & XCR0_AVX ? YMM : 0), LEGACY + YMM, 0 };
	else if (subleaf == 2)
		*r = (struct cpuid_regs){ YMM, LEGACY, 0, 0 };
}

static void add_sets(const struct cpuid_model *m, uint32_t leaf, uint32_t subleaf,
	struct cpuid_regs *r)
{
	uint32_t sub = leaf == 1 || leaf == 0x80000001 ? 0 : subleaf; /* these have no others */

	r->eax |= isa_cpuid(m->isa, leaf, sub, ISA_EAX);
	r->ebx |= isa_cpuid(m->isa, leaf, sub, ISA_EBX);
	r->ecx |= isa_cpuid(m->isa, leaf, sub, ISA_ECX);
	r->edx |= isa_cpuid(m->isa, leaf, sub, ISA_EDX);
	if (leaf == 1 && m->osxsave)
		r->ecx |= OSXSAVE;
}

/* Of an image; what depends on the state of the CPU is the hypervisor's to say. */
static void image_policy(const struct cpuid_model *m, uint32_t leaf, uint32_t subleaf,
	struct cpuid_regs *out)
{
	const struct policy *p = m->policy;

	*out = (struct cpuid_regs){0};
	for (unsigned i = 0; i < p->n; i++) {
		const struct xlsave_leaf *l = &p->leaf[i];

		if (l->leaf == leaf && (l->subleaf == subleaf || l->subleaf == ANY))
			*out = (struct cpuid_regs){ l->r[0], l->r[1], l->r[2], l->r[3] };
	}
	if (leaf == 0xd && (m->isa & ISA_BIT(XSAVE)) && (subleaf == 0 || subleaf == 2))
		xsave_leaf(m, subleaf, out);
	if (leaf == 1 && m->osxsave)
		out->ecx |= OSXSAVE;
}

void cpuid_policy(const struct cpuid_model *m, uint32_t leaf, uint32_t subleaf,
	struct cpuid_regs *out)
{
	const struct cpuid_regs *r = NULL;

	if (m->policy != NULL && leaf >> 16 != 0x4000) {
		image_policy(m, leaf, subleaf, out);
		return;
	}
	if (m->isa != 0)
		r = FIND(policy_more);
	if (r == NULL)
		r = FIND(policy);
	*out = r != NULL ? *r : (struct cpuid_regs){0};
	if (m->isa == 0)
		return;
	if (leaf == 0xd)
		xsave_leaf(m, subleaf, out);
	add_sets(m, leaf, subleaf, out);
}
