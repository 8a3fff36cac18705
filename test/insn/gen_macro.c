/*
 * gen_macro.c - instructions that need prepared operands: string operations,
 * branches that end, stack frames, division, x87 environments, and stores into
 * the code itself.
 *
 * Every loop is guarded by a counter in AUX memory that starts at 3 and is
 * never reset, and branches lead to the start of a group only, so no case runs
 * for ever.
 */
#include <string.h>

#include "gen.h"

static uint32_t new_cell(struct gen *g, unsigned base)
{
	return (uint32_t)(AUX_VA + base + 8 * (g->counters++ & 31));
}

static void put1(struct gen *g, uint8_t b) { put(g, &b, 1); }

static void to_reg(struct gen *g, unsigned reg, uint64_t v)
{
	if (!(g->known >> reg & 1) || g->val[reg] != v)
		put_mov(g, reg, v);
}

/* ---- string operations ---- */

/* Of a rep over two names of one frame hardware may read ahead of its writes. */
static uint64_t one_name(uint64_t va)
{
	return va - DATA_ALIAS < PAGE ? va - DATA_ALIAS + DATA_VA : va;
}

void macro_string(struct gen *g)
{
	static const uint8_t ops[] = { 0xa4, 0xa5, 0xa6, 0xa7, 0xaa, 0xab, 0xac, 0xad, 0xae, 0xaf };
	uint8_t b[8], op = ops[rndn(&g->r, 10)];
	unsigned n = 0, rep = rndn(&g->r, 4);
	uint64_t src = pick_target(g, 8, false), dst = pick_target(g, 8, false);
	bool segfs = chance(&g->r, 6), a32 = chance(&g->r, 8);

	if (chance(&g->r, 15))
		dst = src + rndn(&g->r, 20) - 10; /* overlapping */
	if (rep) {
		src = one_name(src);
		dst = one_name(dst);
	}
	if (segfs && g->c->code64)
		src -= g->c->fsbase;
	if (chance(&g->r, 40))
		put1(g, chance(&g->r, 60) ? 0xfd : 0xfc);
	if (a32) { /* upper halves when nothing is moved differ between vendors */
		src = (uint32_t)src;
		dst = (uint32_t)dst;
	}
	to_reg(g, T_RSI, src);
	to_reg(g, T_RDI, dst);
	if (rep)
		to_reg(g, T_RCX, (chance(&g->r, 5) ? rndn(&g->r, 3000) : rndn(&g->r, 24)) + a32);
	if (segfs && g->c->code64)
		b[n++] = 0x64;
	if (a32 && (g->c->code64 || chance(&g->r, 20)))
		b[n++] = 0x67;
	if (chance(&g->r, 20))
		b[n++] = 0x66;
	if (rep)
		b[n++] = rep == 1 ? 0xf2 : 0xf3;
	if (g->c->code64 && chance(&g->r, 40))
		b[n++] = (uint8_t)(0x40 | (chance(&g->r, 60) ? 8 : rndn(&g->r, 8)));
	b[n++] = op;
	put(g, b, n);
	forget(g, T_RSI);
	forget(g, T_RDI);
	if (rep)
		forget(g, T_RCX);
	if (op == 0xac || op == 0xad)
		forget(g, T_RAX);
}

/* ---- branches ---- */

/* Emits one branch instruction to `target`. */
static void put_branch(struct gen *g, unsigned target)
{
	uint8_t b[8];
	unsigned n = 0, k = rndn(&g->r, 20), wide = 0;
	struct insn *in;

	if (chance(&g->r, 6))
		b[n++] = chance(&g->r, 50) ? 0x2e : 0x3e;
	if (k < 9) {
		unsigned cc = rndn(&g->r, 16);

		wide = chance(&g->r, 40);
		if (wide)
			b[n++] = 0x0f;
		b[n++] = (uint8_t)((wide ? 0x80 : 0x70) + cc);
	} else if (k < 12) {
		wide = chance(&g->r, 50);
		b[n++] = wide ? 0xe9 : 0xeb;
	} else if (k < 15) {
		wide = 1;
		b[n++] = 0xe8;
	} else {
		if (chance(&g->r, 20))
			b[n++] = 0x67;
		b[n++] = (uint8_t)(0xe0 + rndn(&g->r, 4));
		forget(g, T_RCX);
	}
	memset(b + n, 0, 4);
	in = put(g, b, n + (wide ? 4 : 1));
	if (in) {
		in->fix = wide ? FIX_REL32 : FIX_REL8;
		in->fixoff = (uint8_t)n;
		in->target = (uint8_t)target;
	}
}

static void put_abs_target(struct gen *g, const uint8_t *b, unsigned n, unsigned target)
{
	uint8_t full[15];
	struct insn *in;

	memcpy(full, b, n);
	memset(full + n, 0, 4);
	in = put(g, full, n + 4);
	if (in) {
		in->fix = FIX_ABS32;
		in->fixoff = (uint8_t)n;
		in->target = (uint8_t)target;
	}
}

/* ret, jmp and call through a register or memory. */
static void put_indirect(struct gen *g, unsigned target)
{
	uint8_t b[15];
	unsigned reg = rndn(&g->r, g->c->code64 ? 16 : 8), dir = chance(&g->r, 50) ? 2 : 4;

	switch (rndn(&g->r, 4)) {
	case 0:
		put_abs_target(g, (uint8_t[]){ 0x68 }, 1, target);
		if (chance(&g->r, 70))
			put1(g, 0xc3);
		else
			put(g, (uint8_t[]){ 0xc2, (uint8_t)(8 * rndn(&g->r, 5)), 0 }, 3);
		break;
	case 1:
	case 2:
		if (reg == T_RSP)
			reg = T_RAX;
		b[0] = 0x41;
		b[1] = (uint8_t)(0xb8 | (reg & 7));
		put_abs_target(g, b + (reg < 8), reg < 8 ? 1 : 2, target);
		forget(g, reg);
		b[1] = 0xff;
		b[2] = (uint8_t)(0xc0 | dir << 3 | (reg & 7));
		put(g, b + (reg < 8), reg < 8 ? 2 : 3);
		break;
	default: {
		uint32_t cell = new_cell(g, AUX_SLOT);

		b[0] = 0x48;
		b[1] = 0xc7;
		b[2] = 0x04;
		b[3] = 0x25;
		memcpy(b + 4, &cell, 4);
		if (g->c->code64)
			put_abs_target(g, b, 8, target);
		else
			put_abs_target(g, b + 1, 7, target);
		put_abs(g, (uint8_t[]){ 0xff }, 1, dir, cell, NULL, 0);
	}
	}
}

static void put_any_branch(struct gen *g, unsigned target)
{
	if (chance(&g->r, 30))
		put_indirect(g, target);
	else
		put_branch(g, target);
}

/* sub dword [counter], 1; jle over; branch back, or ret to anywhere; over: */
static void put_guard(struct gen *g)
{
	uint32_t cell = new_cell(g, AUX_COUNT);
	uint8_t one = 1;
	struct insn *in;

	put_abs(g, (uint8_t[]){ 0x83 }, 1, 5, cell, &one, 1);
	in = put(g, (uint8_t[]){ 0x7e, 0 }, 2);
	if (in) {
		in->fix = FIX_REL8;
		in->fixoff = 1;
		in->target = (uint8_t)(g->group + 1);
	}
}

void macro_branch(struct gen *g)
{
	unsigned k = rndn(&g->r, 100);

	/* What a loop body forgets is unknown at its top too: give up on all. */
	if (k < 18 && g->counters < 30) {
		put_guard(g);
		if (chance(&g->r, 25))
			put_mov(g, T_RCX, rndn(&g->r, 4));
		put_any_branch(g, rndn(&g->r, g->group + 1));
		g->known = 0;
	} else if (k < 22 && g->counters < 30) {
		put_guard(g); /* the program may have copied a return address */
		put1(g, 0xc3);
	} else if (k < 24) {
		put_mov(g, T_RAX, pick_target(g, 1, false));
		put(g, (uint8_t[]){ 0xff, (uint8_t)(chance(&g->r, 50) ? 0xe0 : 0xd0) }, 2);
	} else if (k < 40) {
		put_any_branch(g, g->group + 1); /* to the next instruction */
	} else {
		put_any_branch(g, g->group + 1 + rndn(&g->r, 5));
	}
}

/* ---- stack frames, flags ---- */

void macro_stack(struct gen *g)
{
	uint32_t fl = (uint32_t)rnd(&g->r) & 0x200cd5;

	switch (rndn(&g->r, 5)) {
	case 0: /* enter */
		put_mov(g, T_RBP, STACK_VA + PAGE + 8 * rndn(&g->r, 64));
		put(g, (uint8_t[]){ 0xc8, (uint8_t)(8 * rndn(&g->r, 16)), 0,
			(uint8_t)(chance(&g->r, 60) ? 0 : rndn(&g->r, 34)) }, 4);
		forget(g, T_RBP);
		break;
	case 1: /* leave */
		if (chance(&g->r, 80))
			put_mov(g, T_RBP, STACK_VA + PAGE + 8 * rndn(&g->r, 64));
		put1(g, 0xc9);
		forget(g, T_RBP);
		break;
	case 2:
	case 3: { /* push imm; popf */
		uint8_t b[5] = { 0x68 };

		if (chance(&g->r, 20))
			fl |= (uint32_t)rnd(&g->r) & 0x3ff87200; /* mostly fixed bits */
		if (chance(&g->r, 10))
			fl |= 0x40000;
		if (chance(&g->r, 4))
			fl |= 0x100;
		memcpy(b + 1, &fl, 4);
		g->c->no_step = 1;
		put(g, b, 5);
		put1(g, 0x9d);
		break;
	}
	default: /* rsp to an edge of the stack */
		put_mov(g, T_RSP, chance(&g->r, 50) ? STACK_VA + 8 * rndn(&g->r, 4)
			: STACK_END - 8 * rndn(&g->r, 4));
		forget(g, T_RSP);
	}
}

/* ---- operands that are rarely right by chance ---- */

static void put_div(struct gen *g)
{
	unsigned reg = rndn(&g->r, 8), wide = g->c->code64 && chance(&g->r, 50), n = 0;
	uint8_t b[4];

	if (reg == T_RSP || reg == T_RAX || reg == T_RDX)
		reg = T_RBX;
	if (chance(&g->r, 50))
		put_mov(g, T_RDX, chance(&g->r, 70) ? 0 : rndn(&g->r, 16));
	else
		put1(g, 0x99);
	put_mov(g, reg, interesting(g));
	if (chance(&g->r, 15))
		b[n++] = 0x66;
	if (wide)
		b[n++] = 0x48;
	b[n++] = (uint8_t)(0xf6 + (rndn(&g->r, 4) != 0));
	b[n++] = (uint8_t)(0xc0 | (6 + rndn(&g->r, 2)) << 3 | reg);
	put(g, b, n);
	forget(g, T_RAX);
	forget(g, T_RDX);
}

/* bt and friends on a bit string in memory. */
static void put_bits(struct gen *g)
{
	static const uint8_t ops[] = { 0xa3, 0xab, 0xb3, 0xbb };
	uint8_t b[8], op = ops[rndn(&g->r, 4)];
	unsigned n = 0, base = T_RBX, bit = T_RDX;
	int64_t ofs = chance(&g->r, 90) ? (int64_t)rndn(&g->r, 40000) - 4000 : (int64_t)rnd(&g->r);

	put_mov(g, base, DATA_VA + PAGE - 8 + rndn(&g->r, PAGE));
	put_mov(g, bit, (uint64_t)ofs);
	if (op != 0xa3 && chance(&g->r, 25))
		b[n++] = 0xf0;
	if (chance(&g->r, 25))
		b[n++] = 0x66;
	if (g->c->code64 && chance(&g->r, 60))
		b[n++] = 0x48;
	b[n++] = 0x0f;
	b[n++] = op;
	b[n++] = (uint8_t)(bit << 3 | base);
	put(g, b, n);
}

/* cmpxchg family, with the comparand loaded from where it points. */
static void put_cmpxchg(struct gen *g)
{
	uint32_t va = (uint32_t)(DATA_VA + 16 * rndn(&g->r, 256));
	bool w = g->c->code64 && chance(&g->r, 50);
	uint8_t op[5];
	unsigned n = 0, nop = 0;

	op[n] = 0x48;
	op[n + 1] = 0x8b;
	put_abs(g, op + !w, w ? 2 : 1, T_RAX, va, NULL, 0);
	put_abs(g, op + !w, w ? 2 : 1, T_RDX, va + (w ? 8 : 4), NULL, 0);
	forget(g, T_RAX);
	forget(g, T_RDX);
	if (chance(&g->r, 25))
		put(g, (uint8_t[]){ 0xff, 0xc0 }, 2); /* and then it is not equal */
	if (chance(&g->r, 50))
		op[nop++] = 0xf0;
	if (w)
		op[nop++] = 0x48;
	op[nop++] = 0x0f;
	if (chance(&g->r, 60)) {
		op[nop++] = 0xc7;
		put_abs(g, op, nop, 1, va + (chance(&g->r, 5) ? 8 : 0), NULL, 0);
	} else {
		op[nop++] = (uint8_t)(0xb0 + rndn(&g->r, 2));
		put_abs(g, op, nop, rndn(&g->r, 8), va, NULL, 0);
	}
}

void macro_int(struct gen *g)
{
	switch (rndn(&g->r, 6)) {
	case 0:
	case 1: put_div(g); break;
	case 2: put_bits(g); break;
	case 3:
	case 4: put_cmpxchg(g); break;
	default: { /* xlat */
		bool a32 = g->c->code64 && chance(&g->r, 20);

		put_mov(g, T_RBX, pick_target(g, 256, true));
		put(g, (uint8_t[]){ 0x67, 0xd7 } + !a32, a32 ? 2 : 1);
		forget(g, T_RAX);
	}
	}
}

/* ---- FP environments, MXCSR, masked stores ---- */

void macro_fpenv(struct gen *g)
{
	static const struct {
		uint8_t op[3], n, reg;
		uint16_t at;
	} forms[] = {
		{ { 0xd9 }, 1, 6, AUX_ENV32 }, { { 0x66, 0xd9 }, 2, 6, AUX_ENV16 },
		{ { 0xdd }, 1, 6, AUX_SAVE }, { { 0x0f, 0xae }, 2, 0, AUX_FXSAVE },
		{ { 0x48, 0x0f, 0xae }, 3, 0, AUX_FXSAVE }, { { 0xd9 }, 1, 4, AUX_LDENV },
		{ { 0xdd }, 1, 4, AUX_RSTOR }, { { 0x0f, 0xae }, 2, 1, AUX_FXRSTOR },
		{ { 0x48, 0x0f, 0xae }, 3, 1, AUX_FXRSTOR },
	};
	unsigned k = rndn(&g->r, 13);
	uint32_t cell, v;

	if (k < 9) {
		if (!g->c->code64 && forms[k].op[0] == 0x48)
			return;
		put_abs(g, forms[k].op, forms[k].n, forms[k].reg,
			(uint32_t)AUX_VA + forms[k].at, NULL, 0);
		return;
	}
	if (k == 12) { /* maskmovdqu */
		/* Where it faults, and whether with an empty mask, is its own affair. */
		put_mov(g, T_RDI, DATA_VA + rndn(&g->r, 2 * PAGE));
		put(g, (uint8_t[]){ 0x66, 0x0f, 0xf7, (uint8_t)(0xc0 | rndn(&g->r, 64)) }, 4);
		return;
	}
	/* A new MXCSR or control word, masked unless the case may fault. */
	cell = new_cell(g, AUX_SLOT);
	v = (uint32_t)rnd(&g->r) & 0xffc0;
	if (k == 11)
		v = (v & 0x0f00) | 0x40;
	v |= k == 11 ? 0x3f : 0x1f80;
	if (g->faulty && chance(&g->r, 30))
		v ^= k == 11 ? 1u << rndn(&g->r, 6) : 0x80u << rndn(&g->r, 6);
	if (g->faulty && chance(&g->r, 5))
		v |= 0x10000;
	put_abs(g, (uint8_t[]){ 0xc7 }, 1, 0, cell, &v, 4);
	if (k == 11)
		put_abs(g, (uint8_t[]){ 0xd9 }, 1, 5, cell, NULL, 0);
	else
		put_abs(g, (uint8_t[]){ 0x0f, 0xae }, 2, 2, cell, NULL, 0);
}

/* ---- stores into the code ---- */

/* A store that changes the immediate of the instruction after it, or of one
 * later on, directly or through the alias. */
void macro_smc(struct gen *g)
{
	uint8_t b[15] = { 0xc7, 0x04, 0x25 };
	uint32_t v = (uint32_t)rnd(&g->r);
	bool byte = chance(&g->r, 30);
	unsigned gap = rndn(&g->r, 3), reg = rndn(&g->r, 8);
	struct insn *in;

	if (reg == T_RSP)
		reg = T_RAX;
	b[0] = byte ? 0xc6 : 0xc7;
	memcpy(b + 7, &v, 4);
	in = put(g, b, byte ? 8 : 11);
	if (!in)
		return;
	in->fix = FIX_ABS32;
	in->fixoff = 3;
	in->target = (uint8_t)(g->group + gap + 1);
	in->addend = 1 + (byte ? (int)rndn(&g->r, 4) : 0);
	if (chance(&g->r, 50))
		in->addend += (int32_t)(CODE_ALIAS - CODE_VA);
	while (gap--) {
		g->group++;
		gen_op(g, &op_int);
	}
	g->group++;
	put_mov(g, reg, (uint32_t)rnd(&g->r) | 1);
	forget(g, reg);
}
