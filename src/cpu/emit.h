/*
 * emit.h - writing host instructions.
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

/* A host memory operand; base and index may be NO_REG: absolute below 2 GiB. */
struct ea {
	int base, index;
	unsigned scale; /* 0..3 */
	int32_t disp;
};

#define EA_ABS(addr) ((struct ea){ -1, -1, 0, (int32_t)(uintptr_t)(addr) })
#define EA_BASE(b, d) ((struct ea){ (b), -1, 0, (d) })

static inline void e8(struct out *o, unsigned v) { *o->p++ = (uint8_t)v; }
static inline void e32(struct out *o, uint32_t v) { memcpy(o->p, &v, 4); o->p += 4; }
static inline void e64(struct out *o, uint64_t v) { memcpy(o->p, &v, 8); o->p += 8; }

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
	return op == 0x80 || op == 0x81 || op == 0xc6 || op == 0xc7 || op == 0xf7;
}

/*
 * op reg, mem  (or op mem, reg: as the opcode says); w: 64-bit.  An absolute
 * address is shorter relative to rip, which needs to know where the instruction ends.
 */
static inline void e_rm(struct out *o, int w, uint32_t op, int reg, struct ea m)
{
	e_rex(o, w, reg, m.index, m.base, 0);
	e_opcode(o, op);
	if (m.base < 0 && m.index < 0 && !e_takes_imm(op)) {
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
	e8(o, 0xc0 | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
}

static inline void e_mov(struct out *o, int dst, int src) { e_rr(o, 1, 0x89, src, dst); }
static inline void e_load(struct out *o, int dst, struct ea m) { e_rm(o, 1, 0x8b, dst, m); }
static inline void e_store(struct out *o, struct ea m, int src) { e_rm(o, 1, 0x89, src, m); }
static inline void e_lea(struct out *o, int dst, struct ea m) { e_rm(o, 1, 0x8d, dst, m); }

/* The shortest mov of a constant. */
static inline void e_imm(struct out *o, int dst, uint64_t v)
{
	if (v <= 0xffffffff) {
		e_rex(o, 0, 0, -1, dst, 0);
		e8(o, 0xb8 | ((unsigned)dst & 7));
		e32(o, (uint32_t)v);
	} else if ((int64_t)v == (int32_t)v) {
		e_rr(o, 1, 0xc7, 0, dst);
		e32(o, (uint32_t)v);
	} else {
		e_rex(o, 1, 0, -1, dst, 0);
		e8(o, 0xb8 | ((unsigned)dst & 7));
		e64(o, v);
	}
}

static inline void e_jmp(struct out *o, uint32_t to)
{
	e8(o, 0xe9);
	e32(o, to - ((uint32_t)(uintptr_t)o->p + 4));
}

/* jcc rel32 to be filled in by e_patch(); returns where. */
static inline uint8_t *e_jcc(struct out *o, unsigned cc)
{
	e8(o, 0x0f);
	e8(o, 0x80 | cc);
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
 * costs nothing.  Its operand is not relative to rip.
 */
static inline void e_fit_after(struct out *o, uint8_t *from, unsigned ahead, unsigned len)
{
	enum { INSN_MAX = 15, DS = 0x3e };
	unsigned pad = e_padding(o->p + ahead, len), size = (unsigned)(o->p - from);

	if (pad > INSN_MAX - size)
		pad = INSN_MAX - size;
	memmove(from + pad, from, size);
	memset(from, DS, pad);
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
