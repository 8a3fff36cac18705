/*
 * emit.h - writing host instructions.  They are written at other addresses than they
 * will run at (util/codemap.h), but those have the same lower halves: lo(p) is where the
 * byte at p will be.
 */
#ifndef TTD_CPU_EMIT_H
#define TTD_CPU_EMIT_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "cpu/cpu.h"

struct out {
	uint8_t *p;
};

/*
 * A host memory operand; base and index may be NO_REG: a place in the region.  gs: relative
 * to the region's begin, as all without a base are.
 */
struct ea {
	int base, index;
	unsigned scale; /* 0..3 */
	int32_t disp;
	bool gs;
};

#define EA_ABS(addr) ((struct ea){ -1, -1, 0, (int32_t)(uintptr_t)(addr), true })
#define EA(b, i, s, d) ((struct ea){ (b), (i), (s), (d), false })
#define EA_BASE(b, d) EA(b, -1, 0, d)
/* What is in the region at base + d, or 8 * index after a place in it. */
#define EA_REGION(b, d) ((struct ea){ (b), -1, 0, (int32_t)(d), true })
#define EA_TABLE(i, addr) ((struct ea){ -1, (i), 3, (int32_t)(uintptr_t)(addr), true })

static inline void e8(struct out *o, unsigned v) { *o->p++ = (uint8_t)v; }
static inline void e32(struct out *o, uint32_t v) { memcpy(o->p, &v, 4); o->p += 4; }
static inline void e64(struct out *o, uint64_t v) { memcpy(o->p, &v, 8); o->p += 8; }

/*
 * Host instructions by their opcodes: to r/m from a register; with _R the other way.  The
 * byte forms of most are one less.  What has a group of instructions for an opcode takes an
 * enum host_ext where others have their register.
 */
enum host_op {
	X_ADD = 0x01, X_ADD_R = 0x03, X_SUB = 0x29, X_XOR_R = 0x33, X_CMP = 0x39, X_CMP_R = 0x3b,
	X_TEST = 0x85, X_XCHG = 0x87, X_MOV8 = 0x88, X_MOV = 0x89, X_MOV8_R = 0x8a, X_MOV_R = 0x8b,
	X_LEA = 0x8d, X_MOVSXD = 0x63, X_MOVZX8 = 0x0fb6, X_MOVZX16 = 0x0fb7, X_MOVSX16 = 0x0fbf,
	X_MOVAPS_R = 0x0f28, X_MOVAPS = 0x0f29, X_SETO = 0x0f90,
	X_MOV8_IMM = 0xc6, X_MOV_IMM = 0xc7,     /* an immediate of 8, 32 bits follows */
	X_ARITH8 = 0x80, X_ARITH = 0x81,         /* the same */
	X_ARITH_IMM8 = 0x83, X_SHIFT = 0xc1,     /* 8 bits */
	X_UNARY = 0xf7,                          /* EXT_TEST: 32 bits */
	X_BRANCH = 0xff, X_POP_MEM = 0x8f, X_FPSTATE = 0x0fae,
};
enum host_ext {
	EXT_ADD = 0, EXT_AND = 4, EXT_SUB = 5, EXT_CMP = 7,                  /* X_ARITH.. */
	EXT_SHR = 5, EXT_SAR = 7,                                            /* X_SHIFT */
	EXT_TEST = 0,                                                        /* X_UNARY */
	EXT_DEC = 1, EXT_CALL = 2, EXT_JMP = 4, EXT_PUSH = 6,                /* X_BRANCH */
	EXT_POP = 0,                                                         /* X_POP_MEM */
	EXT_FXSAVE = 0, EXT_FXRSTOR = 1, EXT_LDMXCSR = 2, EXT_STMXCSR = 3,   /* X_FPSTATE */
};
/* Single bytes: prefixes, and what has no ModRM. */
enum host_byte {
	B_OPSIZE = 0x66, B_GS = 0x65, B_ADDRSIZE = 0x67, B_TWO = 0x0f /* of two bytes, this is the first */,
	B_ADD_AL = 0x04, B_AND_EAX = 0x25, B_PUSH = 0x50, B_POP = 0x58, B_PUSH_IMM = 0x68,
	B_LEAVE = 0xc9, B_JE8 = 0x74, B_JCC = 0x80,
	B_PUSHF = 0x9c, B_SAHF = 0x9e, B_LAHF = 0x9f, B_MOV_IMM = 0xb8, B_RET = 0xc3,
	B_JMP = 0xe9, B_JMP8 = 0xeb, B_CLD = 0xfc, B_STD = 0xfd,
	B_VEX = 0xc4, B_VEX2 = 0xc5, B_VZERO = 0x77,
};
enum { MODRM_REG = 0xc0 }; /* r/m is a register */

/* Opcodes: up to three bytes, most significant first (0x0fb6, 0x0f3a0f). */
static inline void e_opcode(struct out *o, uint32_t op)
{
	if (op > 0xffff)
		e8(o, op >> 16);
	if (op > 0xff)
		e8(o, op >> 8);
	e8(o, op);
}

static inline void e_rex(struct out *o, int w, int reg, int index, int base, int force)
{
	unsigned rex = 0x40u | (unsigned)w << 3 | ((unsigned)reg >> 3 & 1) << 2 |
		(index >= 0 ? ((unsigned)index >> 3 & 1) << 1 : 0) |
		(base >= 0 ? (unsigned)base >> 3 & 1 : 0);

	if (rex != 0x40 || force)
		e8(o, rex);
}

static inline void e_modrm_ea(struct out *o, int reg, struct ea m)
{
	unsigned r = ((unsigned)reg & 7) << 3;

	if (m.base < 0) {
		e8(o, r | 4);
		e8(o, m.scale << 6 | (m.index < 0 ? 4u : (unsigned)m.index & 7) << 3 | 5);
		e32(o, (uint32_t)m.disp);
		return;
	}
	unsigned mod = m.disp == 0 && (m.base & 7) != 5 ? 0 : m.disp == (int8_t)m.disp ? 1 : 2;

	if (m.index >= 0 || (m.base & 7) == 4) {
		e8(o, mod << 6 | r | 4);
		e8(o, m.scale << 6 | (m.index < 0 ? 4u : (unsigned)m.index & 7) << 3 |
			((unsigned)m.base & 7));
	} else {
		e8(o, mod << 6 | r | ((unsigned)m.base & 7));
	}
	if (mod == 1)
		e8(o, (uint8_t)m.disp);
	else if (mod == 2)
		e32(o, (uint32_t)m.disp);
}

/* Is there one with an immediate operand, which the caller appends? */
static inline bool e_takes_imm(uint32_t op)
{
	return op == X_ARITH8 || op == X_ARITH || op == X_MOV8_IMM || op == X_MOV_IMM ||
		op == X_UNARY;
}

/*
 * op reg, mem  (or op mem, reg: as the opcode says); w: 64-bit.  A place in the region
 * is reached relative to rip, where it is known where the instruction ends, else by gs.
 */
static inline void e_rm(struct out *o, int w, uint32_t op, int reg, struct ea m)
{
	bool by_rip = m.base < 0 && m.index < 0 && m.gs && !e_takes_imm(op);

	if (m.gs && !by_rip)
		e8(o, B_GS);
	e_rex(o, w, reg, m.index, m.base, 0);
	e_opcode(o, op);
	if (by_rip) {
		e8(o, ((unsigned)reg & 7) << 3 | 5);
		e32(o, (uint32_t)m.disp - ((uint32_t)(uintptr_t)o->p + 4));
	} else {
		e_modrm_ea(o, reg, m);
	}
}

/* op reg, rm with a register operand. */
static inline void e_rr(struct out *o, int w, uint32_t op, int reg, int rm)
{
	e_rex(o, w, reg, -1, rm, 0);
	e_opcode(o, op);
	e8(o, MODRM_REG | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
}

static inline void e_mov(struct out *o, int dst, int src) { e_rr(o, 1, X_MOV, src, dst); }
static inline void e_load(struct out *o, int dst, struct ea m) { e_rm(o, 1, X_MOV_R, dst, m); }
static inline void e_store(struct out *o, struct ea m, int src) { e_rm(o, 1, X_MOV, src, m); }
static inline void e_lea(struct out *o, int dst, struct ea m) { e_rm(o, 1, X_LEA, dst, m); }

/* Arithmetic with a constant of 32 bits. */
static inline void e_arith(struct out *o, int w, enum host_ext op, int reg, uint32_t imm)
{
	e_rr(o, w, X_ARITH, (int)op, reg);
	e32(o, imm);
}

static inline void e_and_imm(struct out *o, int w, int reg, uint32_t imm)
{
	e_arith(o, w, EXT_AND, reg, imm);
}

static inline void e_cmp_imm(struct out *o, int w, int reg, uint32_t imm)
{
	e_arith(o, w, EXT_CMP, reg, imm);
}

static inline void e_push(struct out *o, int reg)
{
	e_rex(o, 0, 0, -1, reg, 0);
	e8(o, B_PUSH | ((unsigned)reg & 7));
}
static inline void e_pop(struct out *o, int reg)
{
	e_rex(o, 0, 0, -1, reg, 0);
	e8(o, B_POP | ((unsigned)reg & 7));
}
static inline void e_jmp_mem(struct out *o, struct ea m) { e_rm(o, 0, X_BRANCH, EXT_JMP, m); }

/* The shortest mov of a constant. */
static inline void e_imm(struct out *o, int dst, uint64_t v)
{
	if (v <= 0xffffffff) {
		e_rex(o, 0, 0, -1, dst, 0);
		e8(o, B_MOV_IMM | ((unsigned)dst & 7));
		e32(o, (uint32_t)v);
	} else if ((int64_t)v == (int32_t)v) {
		e_rr(o, 1, X_MOV_IMM, 0, dst);
		e32(o, (uint32_t)v);
	} else {
		e_rex(o, 1, 0, -1, dst, 0);
		e8(o, B_MOV_IMM | ((unsigned)dst & 7));
		e64(o, v);
	}
}

static inline void e_jmp(struct out *o, uint32_t to)
{
	e8(o, B_JMP);
	e32(o, to - ((uint32_t)(uintptr_t)o->p + 4));
}

/* jcc rel32 to be filled in by e_patch(); returns where. */
static inline uint8_t *e_jcc(struct out *o, unsigned cc)
{
	e8(o, B_TWO);
	e8(o, B_JCC | cc);
	e32(o, 0);
	return o->p - 4;
}

/*
 * How far len bytes, a jump and what fuses with it, have to move so that they neither
 * cross nor end at a 32-byte boundary: on Skylake and its descendants such a jump keeps
 * its whole line out of the decoded-instruction cache (Intel's "Mitigations for
 * Jump Conditional Code Erratum"), which more than halves a loop's speed.
 */
static inline unsigned e_padding(const uint8_t *p, unsigned len)
{
	unsigned at = (uintptr_t)p & 31;

	return at + len >= 32 && len < 32 ? 32 - at : 0;
}

static inline void e_nops(struct out *o, unsigned pad)
{
	static const uint8_t nops[9][9] = {
		{ 0x90 }, { 0x66, 0x90 }, { 0x0f, 0x1f, 0x00 }, { 0x0f, 0x1f, 0x40, 0x00 },
		{ 0x0f, 0x1f, 0x44, 0x00, 0x00 }, { 0x66, 0x0f, 0x1f, 0x44, 0x00, 0x00 },
		{ 0x0f, 0x1f, 0x80, 0, 0, 0, 0 }, { 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
		{ 0x66, 0x0f, 0x1f, 0x84, 0, 0, 0, 0, 0 },
	};

	while (pad > 0) {
		unsigned n = pad > 9 ? 9 : pad;

		memcpy(o->p, nops[n - 1], n);
		o->p += n;
		pad -= n;
	}
}

static inline void e_fit(struct out *o, unsigned len)
{
	e_nops(o, e_padding(o->p, len));
}

/*
 * The same for what comes `ahead` bytes further on, and as far as it can be by prefixes
 * on the instruction before, which begins at `from`: a segment's, which means nothing and
 * costs nothing, or once more the one it has.  Its operand is not relative to rip.
 */
static inline void e_fit_after(struct out *o, uint8_t *from, unsigned ahead, unsigned len)
{
	enum { HOST_MAX = 15, DS = 0x3e };
	unsigned pad = e_padding(o->p + ahead, len), size = (unsigned)(o->p - from);

	if (pad > HOST_MAX - size)
		pad = HOST_MAX - size;
	memmove(from + pad, from, size);
	memset(from, from[pad] == B_GS ? B_GS : DS, pad);
	o->p += pad;
	e_nops(o, e_padding(o->p + ahead, len));
}

static inline void e_patch(uint8_t *rel32, const uint8_t *to)
{
	int32_t d = (int32_t)(to - (rel32 + 4));

	memcpy(rel32, &d, 4);
}

enum { CC_O, CC_NO, CC_B, CC_AE, CC_E, CC_NE, CC_BE, CC_A, CC_S, CC_NS, CC_P, CC_NP,
	CC_L, CC_GE, CC_LE, CC_G };

#endif
