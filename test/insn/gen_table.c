/*
 * gen_table.c - which opcodes the generator uses, and which it must not.
 *
 * The tables are ranges; Zydis decides afterwards whether the bytes are an
 * instruction, how long it is, and whether the guest's CPU policy has it.
 */
#include "cpu/isa.h"
#include "gen.h"

#define ALU(b) { 0, b, b + 3, 0, OP_MODRM | OP_LOCK, 2 }, { 0, b + 4, b + 5, 0, 0, 1 }
#define COUNT(a) (sizeof(a) / sizeof((a)[0]))

static const struct opent ints[] = {
	ALU(0x00), ALU(0x08), ALU(0x10), ALU(0x18), ALU(0x20), ALU(0x28), ALU(0x30), ALU(0x38),
	{ 0, 0x63, 0x63, 0, OP_MODRM | OP_ONLY64, 1 }, { 0, 0x63, 0x63, 0, OP_MODRM | OP_ONLY32, 1 },
	{ 0, 0x69, 0x69, 0, OP_MODRM, 1 }, { 0, 0x6b, 0x6b, 0, OP_MODRM, 1 },
	{ 0, 0x80, 0x81, 0, OP_MODRM | OP_LOCK, 6 }, { 0, 0x83, 0x83, 0, OP_MODRM | OP_LOCK, 4 },
	{ 0, 0x84, 0x85, 0, OP_MODRM, 2 }, { 0, 0x86, 0x87, 0, OP_MODRM | OP_LOCK, 2 },
	{ 0, 0x88, 0x8b, 0, OP_MODRM, 8 }, { 0, 0x8c, 0x8c, 0x3f, OP_MODRM, 1 },
	{ 0, 0x8d, 0x8d, 0, OP_MODRM | OP_MEM, 5 }, { 0, 0x90, 0x97, 0, 0, 2 },
	{ 0, 0x98, 0x99, 0, 0, 2 }, { 0, 0x9e, 0x9f, 0, 0, 2 },
	{ 0, 0xa0, 0xa3, 0, OP_MOFFS, 1 }, { 0, 0xa8, 0xa9, 0, 0, 1 },
	{ 0, 0xb0, 0xbf, 0, 0, 3 }, { 0, 0xc0, 0xc1, 0, OP_MODRM, 5 },
	{ 0, 0xc6, 0xc7, 1, OP_MODRM, 2 }, { 0, 0xd0, 0xd3, 0, OP_MODRM, 6 },
	{ 0, 0xf5, 0xf5, 0, 0, 1 }, { 0, 0xf8, 0xf9, 0, 0, 1 }, { 0, 0xfc, 0xfd, 0, 0, 1 },
	{ 0, 0xf6, 0xf7, 0x3f, OP_MODRM | OP_LOCK, 5 }, { 0, 0xf6, 0xf7, 0xc0, OP_MODRM, 1 },
	{ 0, 0xfe, 0xff, 3, OP_MODRM | OP_LOCK, 3 },
	{ 1, 0x0d, 0x0d, 0, OP_MODRM, 1 }, { 1, 0x18, 0x18, 0x0f, OP_MODRM | OP_MEM, 1 },
	{ 1, 0x1f, 0x1f, 1, OP_MODRM, 1 }, { 1, 0x40, 0x4f, 0, OP_MODRM, 5 },
	{ 1, 0x90, 0x9f, 0, OP_MODRM, 5 }, { 1, 0xa3, 0xa3, 0, OP_MODRM | OP_REG, 1 },
	{ 1, 0xab, 0xab, 0, OP_MODRM | OP_REG, 1 }, { 1, 0xb3, 0xb3, 0, OP_MODRM | OP_REG, 1 },
	{ 1, 0xbb, 0xbb, 0, OP_MODRM | OP_REG, 1 }, { 1, 0xba, 0xba, 0xf0, OP_MODRM | OP_LOCK, 3 },
	{ 1, 0xa4, 0xa5, 0, OP_MODRM, 2 }, { 1, 0xac, 0xad, 0, OP_MODRM, 2 },
	{ 1, 0xaf, 0xaf, 0, OP_MODRM, 2 }, { 1, 0xb0, 0xb1, 0, OP_MODRM | OP_LOCK, 2 },
	{ 1, 0xb6, 0xb7, 0, OP_MODRM, 2 }, { 1, 0xbe, 0xbf, 0, OP_MODRM, 2 },
	{ 1, 0xb8, 0xb8, 0, OP_MODRM | OP_F3, 2 }, { 1, 0xbc, 0xbd, 0, OP_MODRM | OP_SSE, 4 },
	{ 1, 0xc0, 0xc1, 0, OP_MODRM | OP_LOCK, 2 }, { 1, 0xc3, 0xc3, 0, OP_MODRM | OP_MEM | OP_NO66, 1 },
	{ 1, 0xc7, 0xc7, 2, OP_MODRM | OP_MEM | OP_LOCK, 1 }, { 1, 0xc8, 0xcf, 0, 0, 2 },
	{ 2, 0xf0, 0xf1, 0, OP_MODRM | OP_SSE, 2 },
	{ 0, 0x40, 0x4f, 0, OP_ONLY32, 6 }, { 0, 0x27, 0x27, 0, OP_ONLY32, 1 },
	{ 0, 0x2f, 0x2f, 0, OP_ONLY32, 1 }, { 0, 0x37, 0x37, 0, OP_ONLY32, 1 },
	{ 0, 0x3f, 0x3f, 0, OP_ONLY32, 1 }, { 0, 0xd4, 0xd6, 0, OP_ONLY32, 2 },
	{ 0, 0x82, 0x82, 0, OP_ONLY32 | OP_MODRM | OP_LOCK, 1 },
};
const struct optable op_int = { ints, COUNT(ints) };

/* In 32-bit code a push of a segment register stores two bytes on one vendor's
 * processors and four on the other's: none here. */
static const struct opent stack[] = {
	{ 0, 0x50, 0x57, 0, OP_STK, 5 }, { 0, 0x58, 0x5f, 0, OP_STK, 5 },
	{ 0, 0x68, 0x68, 0, OP_STK, 1 }, { 0, 0x6a, 0x6a, 0, OP_STK, 1 },
	{ 0, 0x8f, 0x8f, 1, OP_STK | OP_MODRM, 2 }, { 0, 0xff, 0xff, 0x40, OP_STK | OP_MODRM, 2 },
	{ 0, 0x9c, 0x9c, 0, OP_STK, 1 }, { 1, 0xa0, 0xa0, 0, OP_STK | OP_ONLY64, 1 },
	{ 1, 0xa8, 0xa8, 0, OP_STK | OP_ONLY64, 1 },
	{ 0, 0x60, 0x61, 0, OP_STK | OP_ONLY32, 2 },
};
const struct optable op_stack = { stack, COUNT(stack) };

static const struct opent x87[] = {
	{ 0, 0xd8, 0xdf, 0, OP_MODRM, 20 }, { 0, 0xd9, 0xd9, 0, OP_MODRM | OP_REG, 6 },
	{ 0, 0x9b, 0x9b, 0, 0, 1 },
};
const struct optable op_x87 = { x87, COUNT(x87) };

#define S (OP_MODRM | OP_SSE)
static const struct opent sse[] = {
	{ 1, 0x10, 0x17, 0, S, 8 }, { 1, 0x28, 0x2f, 0, S, 8 }, { 1, 0x50, 0x5f, 0, S, 16 },
	{ 1, 0x60, 0x76, 0, S, 20 }, { 1, 0x77, 0x77, 0, 0, 1 }, { 1, 0x7c, 0x7f, 0, S, 4 },
	{ 1, 0xc2, 0xc2, 0, S, 3 }, { 1, 0xc4, 0xc6, 0, S, 3 }, { 1, 0xd0, 0xfe, 0, S, 40 },
	{ 1, 0xae, 0xae, 0xe8, OP_MODRM, 1 },
	{ 2, 0x00, 0x0b, 0, S, 8 }, { 2, 0x10, 0x17, 0, S, 4 }, { 2, 0x1c, 0x1e, 0, S, 2 },
	{ 2, 0x20, 0x2b, 0, S, 6 }, { 2, 0x30, 0x41, 0, S, 8 }, { 2, 0xf0, 0xf1, 0, S, 2 },
	{ 3, 0x08, 0x0f, 0, S, 5 }, { 3, 0x14, 0x17, 0, S, 3 }, { 3, 0x20, 0x22, 0, S, 2 },
	{ 3, 0x40, 0x42, 0, S, 3 }, { 3, 0x60, 0x63, 0, S, 4 },
	{ 2, 0xc8, 0xcf, 0, S, 3 }, { 2, 0xdb, 0xdf, 0, S, 3 }, { 3, 0x44, 0x44, 0, S, 1 },
	{ 3, 0xcc, 0xcf, 0, S, 2 }, { 3, 0xdf, 0xdf, 0, S, 1 },
};
const struct optable op_sse = { sse, COUNT(sse) };

/* Forms that leave the engine, are not the same twice, or are made by macros
 * because they need prepared operands. */
static const ZydisMnemonic banned[] = {
	ZYDIS_MNEMONIC_FLDCW, ZYDIS_MNEMONIC_FLDENV, ZYDIS_MNEMONIC_FNSTENV, ZYDIS_MNEMONIC_FNSAVE,
	ZYDIS_MNEMONIC_FRSTOR, ZYDIS_MNEMONIC_FXSAVE, ZYDIS_MNEMONIC_FXRSTOR,
	ZYDIS_MNEMONIC_FXSAVE64, ZYDIS_MNEMONIC_FXRSTOR64, ZYDIS_MNEMONIC_LDMXCSR,
	ZYDIS_MNEMONIC_MASKMOVQ, ZYDIS_MNEMONIC_MASKMOVDQU, ZYDIS_MNEMONIC_POPF,
	ZYDIS_MNEMONIC_POPFQ, ZYDIS_MNEMONIC_POPFD, ZYDIS_MNEMONIC_UD0, ZYDIS_MNEMONIC_UD1,
	ZYDIS_MNEMONIC_UD2, ZYDIS_MNEMONIC_SYSENTER, ZYDIS_MNEMONIC_SYSCALL,
	ZYDIS_MNEMONIC_VLDMXCSR, ZYDIS_MNEMONIC_VMASKMOVDQU, ZYDIS_MNEMONIC_VGATHERDPS,
	ZYDIS_MNEMONIC_VGATHERDPD, ZYDIS_MNEMONIC_VGATHERQPS, ZYDIS_MNEMONIC_VGATHERQPD,
	ZYDIS_MNEMONIC_VPGATHERDD, ZYDIS_MNEMONIC_VPGATHERDQ, ZYDIS_MNEMONIC_VPGATHERQD,
	ZYDIS_MNEMONIC_VPGATHERQQ, ZYDIS_MNEMONIC_RDTSCP, ZYDIS_MNEMONIC_RDRAND,
	ZYDIS_MNEMONIC_RDSEED, ZYDIS_MNEMONIC_XSAVE, ZYDIS_MNEMONIC_XSAVE64,
	ZYDIS_MNEMONIC_XSAVEOPT, ZYDIS_MNEMONIC_XSAVEOPT64, ZYDIS_MNEMONIC_XRSTOR,
	ZYDIS_MNEMONIC_XRSTOR64, ZYDIS_MNEMONIC_XGETBV, ZYDIS_MNEMONIC_XSETBV,
	ZYDIS_MNEMONIC_RDFSBASE, ZYDIS_MNEMONIC_RDGSBASE, ZYDIS_MNEMONIC_WRFSBASE,
	ZYDIS_MNEMONIC_WRGSBASE, ZYDIS_MNEMONIC_MONITOR, ZYDIS_MNEMONIC_MWAIT,
	ZYDIS_MNEMONIC_PREFETCHWT1,
};

bool op_allowed(const ZydisDecodedInstruction *zi)
{
	if (zi->attributes & ZYDIS_ATTRIB_IS_PRIVILEGED)
		return false;
	for (unsigned i = 0; i < COUNT(banned); i++)
		if (zi->mnemonic == banned[i])
			return false;
	/* (Without BMI1 and LZCNT the guest's CPU takes tzcnt and lzcnt for bsf and bsr.) */
	return (isa_of(zi->meta.isa_ext, zi->encoding, zi->mnemonic) & ~test_isa()) == 0;
}
