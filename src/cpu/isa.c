/*
 * isa.c - the table of instruction sets beyond x86-64-v2.
 */
#include <Zydis/Zydis.h>
#include <cpuid.h>
#include <stdio.h>
#include <string.h>

#include "cpu/isa.h"

#define ROW1(r, n) .leaf = 1, .reg = ISA_##r, .bit = (n)
#define ROW7(r, n) .leaf = 7, .reg = ISA_##r, .bit = (n)
#define EXT(r, n) .leaf = 0x80000001, .reg = ISA_##r, .bit = (n)
#define CODE(...) .sample = { __VA_ARGS__ }, .len = sizeof((uint8_t[]){ __VA_ARGS__ })

const struct isa_row isa_rows[ISA_COUNT] = {
	/* pclmulqdq $0, %xmm1, %xmm0 */
	[ISA_PCLMULQDQ] = { "pclmulqdq", ROW1(ECX, 1), CODE(0x66, 0x0f, 0x3a, 0x44, 0xc1, 0x00) },
	/* vfmadd213ps %xmm1, %xmm1, %xmm0 */
	[ISA_FMA] = { "fma", ROW1(ECX, 12), CODE(0xc4, 0xe2, 0x71, 0xa8, 0xc1) },
	/* movbe (%rsp), %eax */
	[ISA_MOVBE] = { "movbe", ROW1(ECX, 22), CODE(0x0f, 0x38, 0xf0, 0x04, 0x24) },
	/* aesenc %xmm1, %xmm0 */
	[ISA_AES] = { "aes", ROW1(ECX, 25), CODE(0x66, 0x0f, 0x38, 0xdc, 0xc1) },
	/* xsave -1024(%rsp) */
	[ISA_XSAVE] = { "xsave", .emulated = true, ROW1(ECX, 26),
		CODE(0x0f, 0xae, 0xa4, 0x24, 0x00, 0xfc, 0xff, 0xff) },
	/* vaddps %ymm1, %ymm1, %ymm0 */
	[ISA_AVX] = { "avx", ROW1(ECX, 28), CODE(0xc5, 0xf4, 0x58, 0xc1) },
	/* vcvtph2ps %xmm1, %ymm0 */
	[ISA_F16C] = { "f16c", ROW1(ECX, 29), CODE(0xc4, 0xe2, 0x7d, 0x13, 0xc1) },
	/* rdrand %eax */
	[ISA_RDRAND] = { "rdrand", .emulated = true, ROW1(ECX, 30), CODE(0x0f, 0xc7, 0xf0) },
	/* rdfsbase %rax */
	[ISA_FSGSBASE] = { "fsgsbase", .emulated = true, ROW7(EBX, 0),
		CODE(0xf3, 0x48, 0x0f, 0xae, 0xc0) },
	/* andn %ecx, %ecx, %eax */
	[ISA_BMI1] = { "bmi1", ROW7(EBX, 3), CODE(0xc4, 0xe2, 0x70, 0xf2, 0xc1) },
	/* vpaddd %ymm1, %ymm1, %ymm0 */
	[ISA_AVX2] = { "avx2", ROW7(EBX, 5), CODE(0xc5, 0xf5, 0xfe, 0xc1) },
	/* pdep %ecx, %ecx, %eax */
	[ISA_BMI2] = { "bmi2", ROW7(EBX, 8), CODE(0xc4, 0xe2, 0x73, 0xf5, 0xc1) },
	[ISA_ERMS] = { "erms", .emulated = true, ROW7(EBX, 9) },
	/* rdseed %eax */
	[ISA_RDSEED] = { "rdseed", .emulated = true, ROW7(EBX, 18), CODE(0x0f, 0xc7, 0xf8) },
	/* lzcnt %ecx, %eax: without it bsr */
	[ISA_LZCNT] = { "abm", EXT(ECX, 5), CODE(0xf3, 0x0f, 0xbd, 0xc1) },
	/* rdtscp: also without */
	[ISA_RDTSCP] = { "rdtscp", .emulated = true, EXT(EDX, 27), CODE(0x0f, 0x01, 0xf9) },
	/* xsaveopt -1024(%rsp) */
	[ISA_XSAVEOPT] = { "xsaveopt", .emulated = true, .leaf = 0xd, .subleaf = 1, .reg = ISA_EAX,
		.bit = 0, CODE(0x0f, 0xae, 0xb4, 0x24, 0x00, 0xfc, 0xff, 0xff) },
	/* sha256msg1 %xmm1, %xmm0 */
	[ISA_SHA] = { "sha_ni", .max = true, ROW7(EBX, 29), CODE(0x0f, 0x38, 0xcc, 0xc1) },
	/* gf2p8mulb %xmm1, %xmm0 */
	[ISA_GFNI] = { "gfni", .max = true, ROW7(ECX, 8), CODE(0x66, 0x0f, 0x38, 0xcf, 0xc1) },
	/* vaesenc %ymm1, %ymm1, %ymm0 */
	[ISA_VAES] = { "vaes", .max = true, ROW7(ECX, 9), CODE(0xc4, 0xe2, 0x75, 0xdc, 0xc1) },
	/* vpclmulqdq $0, %ymm1, %ymm1, %ymm0 */
	[ISA_VPCLMULQDQ] = { "vpclmulqdq", .max = true, ROW7(ECX, 10),
		CODE(0xc4, 0xe3, 0x75, 0x44, 0xc1, 0x00) },
};

/* What instructions of one of the decoder's sets need. */
static const struct {
	uint8_t ext;
	uint64_t needs;
} sets[] = {
	{ ZYDIS_ISA_EXT_PCLMULQDQ, ISA_BIT(PCLMULQDQ) }, { ZYDIS_ISA_EXT_FMA, ISA_BIT(FMA) },
	{ ZYDIS_ISA_EXT_MOVBE, ISA_BIT(MOVBE) }, { ZYDIS_ISA_EXT_AES, ISA_BIT(AES) },
	{ ZYDIS_ISA_EXT_AVXAES, ISA_BIT(AES) }, { ZYDIS_ISA_EXT_XSAVE, ISA_BIT(XSAVE) },
	{ ZYDIS_ISA_EXT_AVX, ISA_BIT(AVX) }, { ZYDIS_ISA_EXT_F16C, ISA_BIT(F16C) },
	{ ZYDIS_ISA_EXT_RDRAND, ISA_BIT(RDRAND) }, { ZYDIS_ISA_EXT_RDSEED, ISA_BIT(RDSEED) },
	{ ZYDIS_ISA_EXT_RDWRFSGS, ISA_BIT(FSGSBASE) }, { ZYDIS_ISA_EXT_BMI1, ISA_BIT(BMI1) },
	{ ZYDIS_ISA_EXT_BMI2, ISA_BIT(BMI2) }, { ZYDIS_ISA_EXT_AVX2, ISA_BIT(AVX2) },
	{ ZYDIS_ISA_EXT_AVX2GATHER, ISA_BIT(AVX2) }, { ZYDIS_ISA_EXT_LZCNT, ISA_BIT(LZCNT) },
	{ ZYDIS_ISA_EXT_XSAVEOPT, ISA_BIT(XSAVEOPT) }, { ZYDIS_ISA_EXT_SHA, ISA_BIT(SHA) },
	{ ZYDIS_ISA_EXT_GFNI, ISA_BIT(GFNI) }, { ZYDIS_ISA_EXT_VAES, ISA_BIT(VAES) },
	{ ZYDIS_ISA_EXT_VPCLMULQDQ, ISA_BIT(VPCLMULQDQ) },
	/* x86-64-v2; rdtscp, monitor, mwait: CPUID hides them, and software tries (doc/exactness.md). */
	{ ZYDIS_ISA_EXT_BASE, 0 }, { ZYDIS_ISA_EXT_LONGMODE, 0 }, { ZYDIS_ISA_EXT_X87, 0 },
	{ ZYDIS_ISA_EXT_MMX, 0 }, { ZYDIS_ISA_EXT_SSE, 0 }, { ZYDIS_ISA_EXT_SSE2, 0 },
	{ ZYDIS_ISA_EXT_SSE3, 0 }, { ZYDIS_ISA_EXT_SSSE3, 0 }, { ZYDIS_ISA_EXT_SSE4, 0 },
	{ ZYDIS_ISA_EXT_CLFSH, 0 }, { ZYDIS_ISA_EXT_PAUSE, 0 }, { ZYDIS_ISA_EXT_RDTSCP, 0 },
	{ ZYDIS_ISA_EXT_AMD3DNOW_PREFETCH, 0 }, { ZYDIS_ISA_EXT_PREFETCHWT1, 0 },
	{ ZYDIS_ISA_EXT_MONITOR, 0 },
};

static uint64_t set_of(unsigned ext)
{
	for (size_t i = 0; i < sizeof sets / sizeof *sets; i++)
		if (sets[i].ext == ext)
			return sets[i].needs;
	return ISA_NEVER;
}

uint64_t isa_of(unsigned ext, unsigned encoding, unsigned mnemonic)
{
	uint64_t needs = set_of(ext);

	if (mnemonic == ZYDIS_MNEMONIC_XGETBV || mnemonic == ZYDIS_MNEMONIC_XSETBV)
		return 0; /* the hypervisor decides */
	if (encoding == ZYDIS_INSTRUCTION_ENCODING_LEGACY)
		return needs;
	if (encoding != ZYDIS_INSTRUCTION_ENCODING_VEX || needs == 0)
		return ISA_NEVER;
	if (mnemonic == ZYDIS_MNEMONIC_VPCLMULQDQ && (needs & ISA_BIT(AVX)))
		needs |= ISA_BIT(PCLMULQDQ); /* of 128 bits */
	return needs & (ISA_BIT(BMI1) | ISA_BIT(BMI2)) ? needs : needs | ISA_BIT(AVX);
}

/* ---- hosts ---- */

static uint32_t host_cpuid(uint32_t leaf, uint32_t subleaf, enum isa_reg reg)
{
	unsigned r[4] = { 0 };

	__get_cpuid_count(leaf, subleaf, &r[0], &r[1], &r[2], &r[3]);
	return r[reg];
}

/* Does the system here save the upper halves of ymm registers? */
static bool host_keeps_ymm(void)
{
	const uint32_t wanted = XCR0_SSE | XCR0_AVX;
	uint32_t a, d;

	if (!(host_cpuid(1, 0, ISA_ECX) >> 27 & 1)) /* OSXSAVE */
		return false;
	__asm__ volatile("xgetbv" : "=a"(a), "=d"(d) : "c"(0));
	return (a & wanted) == wanted;
}

static bool host_has(enum isa i)
{
	const struct isa_row *r = &isa_rows[i];

	return r->emulated || (host_cpuid(r->leaf, r->subleaf, (enum isa_reg)r->reg) >> r->bit & 1);
}

/* Those of vector registers, without which AVX is not. */
#define NEED_AVX (ISA_BIT(FMA) | ISA_BIT(F16C) | ISA_BIT(AVX2) | ISA_BIT(VAES) | ISA_BIT(VPCLMULQDQ))

uint64_t isa_missing(uint64_t isa)
{
	uint64_t missing = 0;

	for (unsigned i = 0; i < ISA_COUNT; i++)
		if ((isa >> i & 1) && !host_has((enum isa)i))
			missing |= UINT64_C(1) << i;
	if (!host_keeps_ymm())
		missing |= isa & (NEED_AVX | ISA_BIT(AVX));
	return missing;
}

uint64_t isa_v3(void)
{
	uint64_t isa = 0;

	for (unsigned i = 0; i < ISA_COUNT; i++)
		if (!isa_rows[i].max)
			isa |= UINT64_C(1) << i;
	return isa;
}

uint64_t isa_max(void)
{
	return isa_v3() | (ISA_ALL & ~isa_missing(ISA_ALL));
}

bool isa_makes_sense(uint64_t isa)
{
	return (isa & ~ISA_ALL) == 0 && (isa == 0 || (isa & isa_v3()) == isa_v3());
}

/* ---- names ---- */

const char *isa_name(uint64_t isa)
{
	return isa == 0 ? "v2" : isa == isa_v3() ? "v3" : "max";
}

void isa_list(uint64_t isa, char *text, size_t n)
{
	size_t at = 0;

	text[0] = '\0';
	for (unsigned i = 0; i < ISA_COUNT && at < n; i++)
		if (isa >> i & 1)
			at += (size_t)snprintf(text + at, n - at, "%s%s", at != 0 ? " " : "",
				isa_rows[i].name);
}

uint32_t isa_cpuid(uint64_t isa, uint32_t leaf, uint32_t subleaf, enum isa_reg reg)
{
	uint32_t bits = 0;

	for (unsigned i = 0; i < ISA_COUNT; i++)
		if ((isa >> i & 1) && isa_rows[i].leaf == leaf && isa_rows[i].reg == reg &&
		    isa_rows[i].subleaf == subleaf)
			bits |= UINT32_C(1) << isa_rows[i].bit;
	return bits;
}
