/*
 * gen_vex.c - AVX, AVX2, FMA, F16C, BMI and what else has a VEX prefix: every form that
 * Zydis knows and the guest's CPU shows is as likely as any other.  Then gathers, xsave and
 * the bases of fs and gs, which need prepared operands.
 */
#include <string.h>

#include "cpu/isa.h"
#include "gen.h"

/* One opcode with all that is not an operand. */
struct form {
	uint8_t map, op, last; /* last: W L pp of the prefix */
	uint8_t regs;          /* values of modrm.reg that are instructions, a bit each */
	bool vvvv, mem, reg;   /* names a register there; has a memory form; a register form */
};

enum { MAX_FORMS = 4096 };
static struct form forms[MAX_FORMS];
static unsigned nforms;

static unsigned join(const struct form *f, unsigned rxb, unsigned vvvv, const void *tail,
	unsigned ntail, uint8_t b[32])
{
	bool is_short = rxb < 8 && (rxb & 3) == 0 && f->map == 1 && !(f->last & 0x80);
	unsigned n = 0;

	if (is_short) {
		b[n++] = 0xc5;
		b[n++] = (uint8_t)((rxb & 4 ? 0 : 0x80) | (~vvvv & 15) << 3 | (f->last & 7));
	} else {
		b[n++] = 0xc4;
		b[n++] = (uint8_t)((~rxb & 7) << 5 | f->map);
		b[n++] = (uint8_t)(f->last | (~vvvv & 15) << 3);
	}
	b[n++] = f->op;
	memcpy(b + n, tail, ntail);
	return n + ntail;
}

static bool is_form(ZydisDecoder *d, const struct form *f, unsigned vvvv, unsigned modrm)
{
	uint8_t tail[12] = { (uint8_t)modrm }, b[32];
	ZydisDecodedInstruction zi;
	unsigned n = join(f, 0, vvvv, tail, sizeof tail, b);

	/* (vzeroupper has no ModRM, and no memory form.) */
	return ZYAN_SUCCESS(ZydisDecoderDecodeInstruction(d, NULL, b, n > 15 ? 15 : n, &zi)) &&
		op_allowed(&zi) && (modrm >= 0xc0 || (zi.attributes & ZYDIS_ATTRIB_HAS_MODRM));
}

static void add_form(ZydisDecoder *d, struct form f)
{
	for (unsigned reg = 0; reg < 8; reg++) {
		bool plain = false, named = false;

		for (unsigned mod = 0; mod < 4; mod += 3) {
			bool p = is_form(d, &f, 0, mod << 6 | reg << 3 | 3);
			bool v = is_form(d, &f, 5, mod << 6 | reg << 3 | 3);

			plain |= p;
			named |= v;
			*(mod == 3 ? &f.reg : &f.mem) |= p || v;
		}
		if (!plain && !named)
			continue;
		f.regs |= (uint8_t)(1u << reg);
		f.vvvv |= named;
	}
	if (f.regs != 0 && nforms < MAX_FORMS)
		forms[nforms++] = f;
}

static void find_forms(void)
{
	ZydisDecoder d;

	ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	for (unsigned map = 1; map <= 3; map++)
		for (unsigned op = 0; op < 256; op++)
			for (unsigned k = 0; k < 16; k++)
				add_form(&d, (struct form){ .map = (uint8_t)map, .op = (uint8_t)op,
					.last = (uint8_t)((k & 8) << 4 | (k & 7)) });
}

/* Bytes of the memory operand, forgetting what is written.  False: not to be. */
static bool finish(struct gen *g, const uint8_t *b, unsigned n, const struct ea *ea)
{
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	struct insn *in;

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->dec, b, n > 15 ? 15 : n, &zi, ops)) ||
	    !op_allowed(&zi) || !effects(g, &zi, ops))
		return false;
	in = put(g, b, zi.length);
	if (in != NULL && ea != NULL && ea->rip) {
		in->fix = FIX_RIP;
		in->va = ea->va;
		in->fixoff = zi.raw.disp.offset;
	}
	return in != NULL;
}

static unsigned operand_size(struct gen *g, const struct form *f, unsigned vvvv, unsigned reg)
{
	uint8_t tail[12] = { (uint8_t)(reg << 3 | 3) }, b[32];
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	unsigned n = join(f, 0, vvvv, tail, sizeof tail, b);

	if (!ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->dec, b, n > 15 ? 15 : n, &zi, ops)))
		return 0;
	for (unsigned i = 0; i < zi.operand_count; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY)
			return ops[i].size / 8;
	return 0;
}

static bool try_form(struct gen *g, const struct form *f)
{
	unsigned reg = rndn(&g->r, 8), vvvv = f->vvvv ? rndn(&g->r, g->c->code64 ? 16 : 8) : 0;
	unsigned rxb = g->c->code64 ? rndn(&g->r, 8) : 0, n;
	uint8_t tail[16], b[32], imm = (uint8_t)rnd(&g->r);
	struct ea ea;

	while (!(f->regs >> reg & 1))
		reg = rndn(&g->r, 8);
	if (f->regs != 0xff)
		rxb &= 3;
	if (f->mem && (!f->reg || chance(&g->r, 55))) {
		unsigned size = operand_size(g, f, vvvv, reg);

		g->based = false;
		if (!make_ea(g, &ea, pick_target(g, size, chance(&g->r, 75)), reg, false))
			return false;
		memcpy(tail, ea.b, ea.len);
		tail[ea.len] = imm;
		n = join(f, (rxb & 4) | ea.rex, vvvv, tail, ea.len + 1u, b);
		return finish(g, b, n, &ea);
	}
	tail[0] = (uint8_t)(0xc0 | reg << 3 | rndn(&g->r, 8));
	tail[1] = imm;
	n = join(f, rxb & 5, vvvv, tail, 2, b);
	return finish(g, b, n, NULL);
}

static bool is_bmi(const struct form *f)
{
	return (f->map == 2 && f->op >= 0xf2 && f->op <= 0xf7) || (f->map == 3 && f->op == 0xf0);
}

void gen_vex(struct gen *g, bool bmi)
{
	if (nforms == 0)
		find_forms();
	for (int tries = 0; tries < 400 && nforms > 0; tries++) {
		const struct form *f = &forms[rndn(&g->r, nforms)];

		if (is_bmi(f) == bmi && try_form(g, f))
			return;
	}
}

/* ---- gathers ---- */

/* A vector register = eight dwords, by way of memory. */
static void put_vector(struct gen *g, unsigned reg, const uint32_t v[8])
{
	for (unsigned i = 0; i < 8; i++)
		put_abs(g, (uint8_t[]){ 0xc7 }, 1, 0, (uint32_t)AUX_VA + AUX_VECTOR + 4 * i, &v[i], 4);
	put_abs(g, (uint8_t[]){ 0xc5, 0xfe, 0x6f }, 3, reg, (uint32_t)AUX_VA + AUX_VECTOR, NULL, 0);
}

void macro_gather(struct gen *g)
{
	unsigned to = rndn(&g->r, 8), mask = (to + 1 + rndn(&g->r, 6)) & 7, index = to;
	unsigned base = rndn(&g->r, 2) ? T_RBX : T_RSI, op = 0x90 + rndn(&g->r, 4), wl = rndn(&g->r, 4);
	uint32_t indices[8], masks[8];
	uint8_t b[8] = { 0xc4, 0xe2 };

	while (index == to || index == mask)
		index = rndn(&g->r, 8);
	for (unsigned i = 0; i < 8; i++) {
		bool high = (op & 1) && (i & 1); /* of an index of 64 bits */

		indices[i] = high ? 0 : rndn(&g->r, 400);
		if (!high && chance(&g->r, g->faulty ? 10 : 0))
			indices[i] = rndn(&g->r, 5 * PAGE);
		masks[i] = chance(&g->r, 75) ? 0xffffffff : (uint32_t)rnd(&g->r);
	}
	if (g->c->n + 24 >= MAX_INSN)
		return;
	put_vector(g, index, indices);
	put_vector(g, mask, masks);
	put_mov(g, base, DATA_VA + rndn(&g->r, PAGE));
	b[2] = (uint8_t)((wl & 1) << 7 | (~mask & 15) << 3 | (wl & 2) << 1 | 1);
	b[3] = (uint8_t)op;
	b[4] = (uint8_t)(to << 3 | 4);
	b[5] = (uint8_t)(rndn(&g->r, 4) << 6 | index << 3 | base);
	put(g, b, 6);
}

/* ---- xsave, xrstor, bases ---- */

void macro_state(struct gen *g)
{
	unsigned k = rndn(&g->r, 4), reg = rndn(&g->r, 8);
	uint64_t base = reg & 1 ? g->c->gsbase : g->c->fsbase;
	uint8_t b[5] = { 0xf3, 0x48, 0x0f, 0xae, 0xc0 };

	if (k == 3 && g->c->code64) {
		b[4] = (uint8_t)(0xc0 | (reg & 1) << 3 | T_RCX);
		put(g, b, 5); /* rdfsbase, rdgsbase */
		put_mov(g, T_RAX, base);
		b[4] = (uint8_t)(0xd0 | (reg & 1) << 3 | T_RAX);
		put(g, b, 5); /* the same into it */
		forget(g, T_RCX);
		return;
	}
	put_mov(g, T_RAX, rndn(&g->r, 8));
	put_mov(g, T_RDX, 0);
	put_abs(g, (uint8_t[]){ 0x0f, 0xae }, 2, chance(&g->r, 50) ? 4 : 5, (uint32_t)AUX_VA + AUX_XSAVE,
		NULL, 0);
}
