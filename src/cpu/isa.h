/*
 * isa.h - the instruction sets beyond x86-64-v2, in one table: what the guest's CPUID shows,
 * what the decoder takes for instructions, what the host must have, and what the tests try.
 *
 * A set's number is written to logs (doc/spec/log.md): it never changes.
 */
#ifndef TTD_CPU_ISA_H
#define TTD_CPU_ISA_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum isa {
	ISA_PCLMULQDQ, ISA_FMA, ISA_MOVBE, ISA_AES, ISA_XSAVE, ISA_AVX, ISA_F16C, ISA_RDRAND,
	ISA_FSGSBASE, ISA_BMI1, ISA_AVX2, ISA_BMI2, ISA_ERMS, ISA_RDSEED, ISA_LZCNT, ISA_RDTSCP,
	ISA_XSAVEOPT, ISA_SHA, ISA_GFNI, ISA_VAES, ISA_VPCLMULQDQ,
	ISA_COUNT
};
#define ISA_BIT(name) (UINT64_C(1) << ISA_##name)
#define ISA_ALL ((UINT64_C(1) << ISA_COUNT) - 1)

/* XCR0: x87, xmm, upper halves of ymm. */
enum { XCR0_X87 = 1, XCR0_SSE = 2, XCR0_AVX = 4 };

enum isa_reg { ISA_EAX, ISA_EBX, ISA_ECX, ISA_EDX };

struct isa_row {
	const char *name;      /* as /proc/cpuinfo has it */
	bool max;              /* beyond x86-64-v3: `max` only */
	bool emulated;         /* in C: any host will do */
	uint8_t reg, bit;      /* of CPUID: enum isa_reg */
	uint32_t leaf, subleaf;
	uint8_t sample[9], len; /* an instruction that needs it; none: it is but a promise */
};
extern const struct isa_row isa_rows[ISA_COUNT];

/* CPU models by name: the sets that are shown. */
#define ISA_V2 UINT64_C(0)
uint64_t isa_v3(void);
uint64_t isa_max(void); /* what is v3 and what else this host has */
/* Of what is asked for, what this host cannot run. */
uint64_t isa_missing(uint64_t isa);
/* Can a guest have just these?  (Some need others, and a log may say anything.) */
bool isa_makes_sense(uint64_t isa);
/* "v2", "v3" or "max". */
const char *isa_name(uint64_t isa);
/* "avx avx2", names in the table's order. */
void isa_list(uint64_t isa, char *text, size_t n);
/* The bits of CPUID that they set. */
uint32_t isa_cpuid(uint64_t isa, uint32_t leaf, uint32_t subleaf, enum isa_reg reg);

/* The sets that an instruction of Zydis's needs; ISA_NEVER: more than any guest has. */
#define ISA_NEVER (UINT64_C(1) << 63)
uint64_t isa_of(unsigned ext, unsigned encoding, unsigned mnemonic);

#endif
