/*
 * gen_ea.c - aims memory operands and encodes them in every way ModRM allows.
 */
#include <string.h>

#include "gen.h"

/* A spot near the end of a page, so that `size` bytes reach over it. */
static uint64_t across(struct gen *g, uint64_t boundary, unsigned size)
{
	return boundary - 1 - rndn(&g->r, size > 1 ? size - 1 : 1);
}

static uint64_t aligned_down(uint64_t va, bool aligned)
{
	return aligned ? va & ~15ull : va;
}

static uint64_t odd_target(struct gen *g, unsigned size)
{
	static const uint64_t noncanon[] = {
		0x0000800000000000ull, 0x8000000000000000ull, 0x00007ffffffffffcull,
		0xffff7fffffffffffull, 0xffff7ffffffffffcull, 0x1234567812345678ull,
	};

	switch (rndn(&g->r, 8)) {
	case 0: return across(g, HOLE_VA, size);
	case 1: return HOLE_VA + rndn(&g->r, PAGE);
	case 2: return across(g, RO_VA, size);
	case 3: return across(g, DATA2_VA, size);
	case 4: return noncanon[rndn(&g->r, 6)];
	case 5: return DATA_VA - 1 - rndn(&g->r, size);
	default: return RO_VA + rndn(&g->r, PAGE - 64);
	}
}

uint64_t pick_target(struct gen *g, unsigned size, bool aligned)
{
	unsigned k = rndn(&g->r, 100);

	if (size == 0 || size > 512)
		size = 16;
	/* How much of a 10-byte store is done before a fault on its second page
	 * depends on the processor: such operands do not reach over. */
	if (g->faulty && k < 12 && (size != 10 || k < 6))
		return size == 10 ? HOLE_VA : odd_target(g, size);
	if (k < 18 && !aligned)
		return across(g, DATA_VA + PAGE * (1 + rndn(&g->r, 2)), size);
	if (k < 26)
		return aligned_down(HIGH_VA + rndn(&g->r, 2 * PAGE - 64), aligned);
	if (k < 32)
		return aligned_down(DATA_ALIAS + rndn(&g->r, PAGE - 64), aligned);
	if (k < 36)
		return aligned_down(DATA2_VA + rndn(&g->r, PAGE - 64), aligned);
	if (k < 40)
		return aligned_down(STACK_VA + rndn(&g->r, 2 * PAGE - 64), aligned);
	if (k < 60) /* a few cells that several operands hit */
		return DATA_VA + 16 * rndn(&g->r, 8);
	return aligned_down(DATA_VA + rndn(&g->r, 3 * PAGE - 64), aligned);
}

uint64_t interesting(struct gen *g)
{
	static const uint64_t v[] = {
		0, 1, 2, 3, 7, 8, 15, 16, 31, 32, 33, 63, 64, 65, 0x7f, 0x80, 0x81, 0xff, 0x100,
		0x7fff, 0x8000, 0xffff, 0x10000, 0x7fffffff, 0x80000000, 0xffffffff,
		0x100000000, 0x7fffffffffffffff, 0x8000000000000000, 0x8000000000000001,
		0x5555555555555555, 0xaaaaaaaaaaaaaaaa, ~0ull, ~1ull, ~0xfull, ~0x7full,
		0xffffffff80000000, 0xffffffff7fffffff, 0x0f0f0f0f0f0f0f0f,
	};
	uint64_t x = v[rndn(&g->r, sizeof(v) / 8)];

	switch (rndn(&g->r, 8)) {
	case 0: return rnd(&g->r);
	case 1: return rnd(&g->r) >> rndn(&g->r, 64);
	case 2: return (uint64_t)(int64_t)(int32_t)rnd(&g->r);
	case 3: return 1ull << rndn(&g->r, 64);
	case 4: return rndn(&g->r, 256);
	default: return x;
	}
}

static void put_disp(struct ea *ea, uint64_t disp, unsigned n)
{
	memcpy(ea->b + ea->len, &disp, n);
	ea->len = (uint8_t)(ea->len + n);
}

static bool fits8(uint64_t d) { return (uint64_t)(int64_t)(int8_t)d == d; }
static bool fits32(uint64_t d) { return (uint64_t)(int64_t)(int32_t)d == d; }

/* [disp32], without base. */
static bool ea_abs(struct gen *g, struct ea *ea, uint64_t off, unsigned reg, bool a32)
{
	if (!a32 && !fits32(off))
		return false;
	if (g->c->code64 || chance(&g->r, 20)) {
		ea->b[0] = (uint8_t)(reg << 3 | 4);
		ea->b[1] = (uint8_t)(rnd(&g->r) << 6 | 4 << 3 | 5);
		ea->len = 2;
	} else {
		ea->b[0] = (uint8_t)(reg << 3 | 5);
		ea->len = 1;
	}
	/* Without a base REX.B means nothing; X would give r12 as index. */
	ea->rex = g->c->code64 && chance(&g->r, 20) ? 1 : 0;
	put_disp(ea, off, 4);
	return true;
}

static bool ea_rip(struct gen *g, struct ea *ea, uint64_t off, unsigned reg)
{
	if (off > 0x7fff0000 || !g->c->code64)
		return false;
	ea->b[0] = (uint8_t)(reg << 3 | 5);
	ea->len = 1;
	ea->rex = chance(&g->r, 20) ? 1 : 0;
	ea->rip = true;
	ea->va = off;
	put_disp(ea, 0, 4);
	return true;
}

/* base [+ index * scale] + disp with registers whose values are known. */
static bool ea_base(struct gen *g, struct ea *ea, uint64_t off, unsigned reg, bool a32)
{
	unsigned nregs = g->c->code64 ? 16 : 8;
	unsigned base = rndn(&g->r, nregs), index = 4, scale = rndn(&g->r, 4);
	bool sib = (base & 7) == 4 || chance(&g->r, 35);
	uint64_t disp;

	if (!(g->known >> base & 1))
		return false;
	if (sib && chance(&g->r, 70))
		index = rndn(&g->r, nregs);
	if (index != 4 && !(g->known >> index & 1))
		return false;
	disp = off - g->val[base] - (index != 4 ? g->val[index] << scale : 0);
	if (a32)
		disp = (uint64_t)(int64_t)(int32_t)disp;
	if (!fits32(disp))
		return false;
	unsigned mod = disp == 0 && (base & 7) != 5 ? 0 : fits8(disp) ? 1 : 2;
	if (chance(&g->r, 15))
		mod = 2;
	ea->b[0] = (uint8_t)(mod << 6 | reg << 3 | (sib ? 4 : base & 7));
	ea->len = 1;
	if (sib)
		ea->b[ea->len++] = (uint8_t)(scale << 6 | (index & 7) << 3 | (base & 7));
	ea->rex = (uint8_t)(base >> 3 | (index >> 3) << 1);
	put_disp(ea, disp, mod == 0 ? 0 : mod == 1 ? 1 : 4);
	return true;
}

/* The stack pointer is known only roughly: small displacements. */
static void ea_rsp(struct gen *g, struct ea *ea, unsigned reg)
{
	uint64_t disp = 16 * rndn(&g->r, 6);

	ea->b[0] = (uint8_t)(0x40 | reg << 3 | 4);
	ea->b[1] = (uint8_t)(rnd(&g->r) << 6 | 4 << 3 | 4);
	ea->len = 2;
	put_disp(ea, disp, 1);
}

bool make_ea(struct gen *g, struct ea *ea, uint64_t off, unsigned reg, bool a32)
{
	memset(ea, 0, sizeof(*ea));
	if (!g->c->code64)
		a32 = true;
	if (!g->based && chance(&g->r, 5)) {
		ea_rsp(g, ea, reg);
		return true;
	}
	for (int i = 0; i < 12; i++) {
		memset(ea, 0, sizeof(*ea));
		unsigned k = rndn(&g->r, 16);

		if (k == 0 && ea_abs(g, ea, off, reg, a32))
			return true;
		if (k == 1 && ea_rip(g, ea, off, reg))
			return true;
		if (k >= 2 && ea_base(g, ea, off, reg, a32))
			return true;
	}
	/* Load a register with an address near it. */
	unsigned r = rndn(&g->r, g->c->code64 ? 16 : 8);
	if (r != T_RSP && chance(&g->r, 70)) {
		put_mov(g, r, off - (chance(&g->r, 50) ? 0 : rndn(&g->r, 300)));
		for (int i = 0; i < 64; i++) {
			memset(ea, 0, sizeof(*ea));
			if (ea_base(g, ea, off, reg, a32))
				return true;
		}
	}
	memset(ea, 0, sizeof(*ea));
	return ea_abs(g, ea, off, reg, a32) || ea_rip(g, ea, off, reg);
}
