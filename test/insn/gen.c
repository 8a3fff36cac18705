/*
 * gen.c - makes one random case: start state, a mix of instructions, and the
 * final layout of the bytes.
 */
#include <string.h>

#include "gen.h"

const char *const class_names[CL_COUNT] = {
	"int", "string", "branch", "stack", "x87", "sse", "smc", "system", "mix", "compat",
	"avx",
};

struct insn *put(struct gen *g, const void *b, unsigned n)
{
	struct insn *in = &g->c->in[g->c->n];

	if (g->c->n + 1 >= MAX_INSN || n > 15)
		return NULL;
	memset(in, 0, sizeof(*in));
	memcpy(in->b, b, n);
	in->len = (uint8_t)n;
	in->group = (uint8_t)g->group;
	in->target = NO_TARGET;
	g->c->n++;
	return in;
}

void set_known(struct gen *g, unsigned reg, uint64_t v)
{
	g->val[reg] = v;
	g->known |= (uint16_t)(1u << reg);
}

void forget(struct gen *g, unsigned reg)
{
	g->known &= (uint16_t)~(1u << reg);
}

void put_mov(struct gen *g, unsigned reg, uint64_t v)
{
	uint8_t b[10];
	unsigned n = 0;

	if (!g->c->code64)
		v = (uint32_t)v;
	bool wide = v >> 32 != 0, sext = wide && (uint64_t)(int64_t)(int32_t)v == v;
	if (wide || reg >= 8)
		b[n++] = (uint8_t)(0x40 | (wide ? 8 : 0) | reg >> 3);
	if (sext) {
		b[n++] = 0xc7;
		b[n++] = (uint8_t)(0xc0 | (reg & 7));
	} else {
		b[n++] = (uint8_t)(0xb8 | (reg & 7));
	}
	if (wide && !sext) {
		memcpy(b + n, &v, 8);
		n += 8;
	} else {
		memcpy(b + n, &v, 4);
		n += 4;
	}
	put(g, b, n);
	set_known(g, reg, v);
}

void put_abs(struct gen *g, const void *op, unsigned nop, unsigned reg, uint32_t va,
	const void *imm, unsigned nimm)
{
	uint8_t b[20];

	memcpy(b, op, nop);
	b[nop++] = (uint8_t)(reg << 3 | 4);
	b[nop++] = 0x25;
	memcpy(b + nop, &va, 4);
	nop += 4;
	memcpy(b + nop, imm ? imm : b, nimm);
	put(g, b, nop + nimm);
}

/* Prefixes and opcode of one candidate, and where its parts go. */
struct cand {
	uint8_t pre[6], npre; /* legacy prefixes */
	uint8_t rex;          /* 0: none */
	uint8_t op[3], nop;
	bool a32, lock;
	int seg; /* base register of the override: 0 none, 4 fs, 5 gs */
	const struct opent *e;
};

static const struct opent *pick_op(struct gen *g, const struct optable *t)
{
	unsigned total = 0, k;

	for (unsigned i = 0; i < t->n; i++)
		total += t->ent[i].weight;
	k = rndn(&g->r, total);
	for (unsigned i = 0; i < t->n; i++) {
		if (k < t->ent[i].weight)
			return &t->ent[i];
		k -= t->ent[i].weight;
	}
	return t->ent;
}

static void pick_prefixes(struct gen *g, struct cand *k)
{
	static const uint8_t segs[] = { 0x64, 0x65, 0x64, 0x65, 0x2e, 0x36, 0x3e, 0x26, 0x26 };
	bool c64 = g->c->code64;

	if (chance(&g->r, 6)) {
		/* In 32-bit code fs and gs are null, and cs can be written by x87 stores
		 * that store nothing; that the engine does not know. */
		bool x87 = k->e->map == 0 && (k->e->lo & 0xf8) == 0xd8;
		uint8_t s = segs[c64 ? rndn(&g->r, 8) : 4 + x87 + rndn(&g->r, 5u - x87)];

		k->pre[k->npre++] = s;
		k->seg = s == 0x64 ? 4 : s == 0x65 ? 5 : 0;
	}
	if (c64 && chance(&g->r, 5)) {
		k->pre[k->npre++] = 0x67;
		k->a32 = true;
	}
	if (k->e->fl & OP_F3)
		k->pre[k->npre++] = 0xf3;
	if (k->e->fl & OP_SSE) {
		static const uint8_t m[] = { 0, 0x66, 0x66, 0x66, 0xf2, 0xf3 };
		uint8_t p = m[rndn(&g->r, 6)];

		if (p)
			k->pre[k->npre++] = p;
		if (p == 0xf2 && chance(&g->r, 10))
			k->pre[k->npre++] = 0x66;
	} else if (!(k->e->fl & OP_NO66) && chance(&g->r, 18)) {
		k->pre[k->npre++] = 0x66;
	}
	if (c64 && chance(&g->r, k->e->fl & (OP_SSE | OP_STK) ? 35 : 60))
		k->rex = (uint8_t)(0x40 | (rnd(&g->r) & 15));
}

static bool decode(struct gen *g, const uint8_t *b, unsigned n, ZydisDecodedInstruction *zi,
	ZydisDecodedOperand *ops)
{
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&g->dec, b, n, zi, ops));
}

/* Assembles prefixes, REX, opcode and the given tail; returns the length. */
static unsigned join(const struct cand *k, uint8_t rexbits, const uint8_t *tail, unsigned ntail,
	uint8_t *out)
{
	unsigned n = 0;
	uint8_t rex = (uint8_t)((k->rex & 0x4c) | rexbits);

	if (k->lock)
		out[n++] = 0xf0;
	memcpy(out + n, k->pre, k->npre);
	n += k->npre;
	if (k->rex || rexbits)
		out[n++] = (uint8_t)(0x40 | rex);
	memcpy(out + n, k->op, k->nop);
	n += k->nop;
	memcpy(out + n, tail, ntail);
	return n + ntail;
}

static unsigned gpr_of(ZydisRegister reg)
{
	ZydisRegister big = ZydisRegisterGetLargestEnclosing(ZYDIS_MACHINE_MODE_LONG_64, reg);

	if (big < ZYDIS_REGISTER_RAX || big > ZYDIS_REGISTER_R15)
		return 16;
	return (unsigned)(big - ZYDIS_REGISTER_RAX);
}

bool effects(struct gen *g, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	uint16_t lost = 0;

	for (unsigned i = 0; i < zi->operand_count; i++) {
		unsigned r;

		if (ops[i].type != ZYDIS_OPERAND_TYPE_REGISTER ||
		    !(ops[i].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		r = gpr_of(ops[i].reg.value);
		if (r == T_RSP && ops[i].visibility != ZYDIS_OPERAND_VISIBILITY_HIDDEN &&
		    chance(&g->r, 96))
			return false;
		if (r < 16)
			lost |= (uint16_t)(1u << r);
	}
	g->known &= (uint16_t)~lost;
	return true;
}

static uint64_t seg_base(struct gen *g, int seg)
{
	return seg == 4 ? g->c->fsbase : seg == 5 ? g->c->gsbase : 0;
}

static bool mmx_store(const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops)
{
	return zi->operand_count >= 2 && ops[0].type == ZYDIS_OPERAND_TYPE_MEMORY &&
		ops[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		ZydisRegisterGetClass(ops[1].reg.value) == ZYDIS_REGCLASS_MMX;
}

/* Finishes the candidate with a memory operand.  Returns false to try again. */
static bool finish_mem(struct gen *g, struct cand *k, unsigned reg)
{
	uint8_t b[24], tail[16];
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	struct ea ea;
	unsigned size = 0, n;
	uint64_t imm = chance(&g->r, 50) ? interesting(g) : rnd(&g->r);

	/* Decode a plain form first: is it one, and how much does it access? */
	memset(tail, 0, sizeof(tail));
	tail[0] = (uint8_t)(reg << 3 | 3);
	n = join(k, 0, tail, 12, b);
	if (n > 15)
		n = 15;
	if (!decode(g, b, n, &zi, ops) || !op_allowed(&zi))
		return false;
	if (!(zi.attributes & ZYDIS_ATTRIB_HAS_MODRM))
		return false;
	for (unsigned i = 0; i < zi.operand_count; i++)
		if (ops[i].type == ZYDIS_OPERAND_TYPE_MEMORY && ops[i].visibility ==
		    ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
			size = ops[i].size / 8;
	bool is_lea = zi.mnemonic == ZYDIS_MNEMONIC_LEA;
	if (k->e->fl & OP_LOCK && chance(&g->r, 30)) {
		k->lock = true;
		n = join(k, 0, tail, 12, b);
		if (!decode(g, b, n > 15 ? 15 : n, &zi, ops))
			k->lock = false;
	}
	/* An MMX store that faults has reset TOP already on some processors. */
	bool was_faulty = g->faulty;
	g->faulty &= !mmx_store(&zi, ops);
	uint64_t va = is_lea && chance(&g->r, 50) ? rnd(&g->r)
		: pick_target(g, size, size >= 16 && chance(&g->r, 90));
	g->faulty = was_faulty;
	g->based = k->seg != 0 || size == 10;
	if (!make_ea(g, &ea, va - seg_base(g, k->seg), reg, k->a32))
		return false;
	memcpy(tail, ea.b, ea.len);
	memcpy(tail + ea.len, &imm, 8);
	n = join(k, ea.rex, tail, ea.len + 8, b);
	if (n > 15)
		n = 15;
	if (!decode(g, b, n, &zi, ops) || !op_allowed(&zi) || !effects(g, &zi, ops))
		return false;
	struct insn *in = put(g, b, zi.length);
	if (in && ea.rip) {
		in->fix = FIX_RIP;
		in->va = ea.va;
		in->fixoff = zi.raw.disp.offset;
	}
	return in != NULL;
}

static bool finish_plain(struct gen *g, struct cand *k, unsigned reg)
{
	uint8_t b[24], tail[16];
	ZydisDecodedInstruction zi;
	ZydisDecodedOperand ops[ZYDIS_MAX_OPERAND_COUNT];
	uint64_t imm = chance(&g->r, 50) ? interesting(g) : rnd(&g->r);
	unsigned n = 0;

	if (k->e->fl & OP_MOFFS)
		imm = pick_target(g, 8, false) - seg_base(g, k->seg);
	if (k->e->fl & OP_MODRM)
		tail[n++] = (uint8_t)(0xc0 | reg << 3 | rndn(&g->r, 8));
	memcpy(tail + n, &imm, 8);
	n = join(k, k->rex & 3, tail, n + 8, b);
	if (n > 15)
		n = 15;
	if (!decode(g, b, n, &zi, ops) || !op_allowed(&zi) || !effects(g, &zi, ops))
		return false;
	/* Stepping shows in the flags it stores. */
	g->c->no_step |= zi.meta.category == ZYDIS_CATEGORY_PUSH && zi.opcode == 0x9c;
	return put(g, b, zi.length) != NULL;
}

void gen_op(struct gen *g, const struct optable *t)
{
	for (int tries = 0; tries < 40; tries++) {
		struct cand k = { .e = pick_op(g, t) };
		const struct opent *e = k.e;
		unsigned reg = rndn(&g->r, 8);

		if (e->fl & (g->c->code64 ? OP_ONLY32 : OP_ONLY64))
			continue;
		while (e->regs && !(e->regs >> reg & 1))
			reg = rndn(&g->r, 8);
		pick_prefixes(g, &k);
		if (e->map)
			k.op[k.nop++] = 0x0f;
		if (e->map >= 2)
			k.op[k.nop++] = e->map == 2 ? 0x38 : 0x3a;
		k.op[k.nop++] = (uint8_t)(e->lo + rndn(&g->r, e->hi - e->lo + 1u));
		bool mem = (e->fl & OP_MODRM) && !(e->fl & OP_REG) &&
			((e->fl & OP_MEM) || chance(&g->r, 50));
		if (mem ? finish_mem(g, &k, reg) : finish_plain(g, &k, reg))
			return;
	}
}

static void gen_avx(struct gen *g)
{
	unsigned k = rndn(&g->r, 100);

	if (test_isa() == 0 || k < 10)
		gen_op(g, &op_sse);
	else if (k < 15)
		gen_op(g, &op_int);
	else if (k < 17)
		macro_gather(g);
	else if (k < 20)
		macro_state(g);
	else
		gen_vex(g, k < 32);
}

/* The macros, and how often each class reaches for a plain instruction. */
static void gen_group(struct gen *g, enum class cl)
{
	if (cl == CL_MIX || cl == CL_COMPAT) {
		static const enum class any[] = { CL_INT, CL_INT, CL_INT, CL_INT, CL_BRANCH,
			CL_BRANCH, CL_STACK, CL_STRING, CL_X87, CL_SSE, CL_SSE, CL_AVX };

		cl = any[rndn(&g->r, sizeof(any) / sizeof(any[0]))];
	}
	switch (cl) {
	case CL_STRING:
		if (chance(&g->r, 60))
			macro_string(g);
		else
			gen_op(g, &op_int);
		return;
	case CL_BRANCH:
		if (chance(&g->r, 50))
			macro_branch(g);
		else
			gen_op(g, chance(&g->r, 80) ? &op_int : &op_stack);
		return;
	case CL_STACK:
		if (chance(&g->r, 25))
			macro_stack(g);
		else
			gen_op(g, chance(&g->r, 75) ? &op_stack : &op_int);
		return;
	case CL_X87:
		if (chance(&g->r, 6))
			macro_fpenv(g);
		else
			gen_op(g, &op_x87);
		return;
	case CL_SSE:
		if (chance(&g->r, 4))
			macro_fpenv(g);
		else
			gen_op(g, &op_sse);
		return;
	case CL_AVX:
		gen_avx(g);
		return;
	case CL_SMC:
		if (chance(&g->r, 50))
			macro_smc(g);
		else
			gen_op(g, &op_int);
		return;
	default:
		if (chance(&g->r, 12))
			macro_int(g);
		else
			gen_op(g, &op_int);
	}
}

static enum class pick_class(struct gen *g, int only)
{
	static const uint8_t weight[CL_COUNT] = { 30, 8, 14, 7, 10, 18, 3, 0, 10, 8, 40 };
	unsigned k = rndn(&g->r, 148), i = 0;

	if (only >= 0)
		return (enum class)only;
	while (k >= weight[i])
		k -= weight[i++];
	return (enum class)i;
}

static unsigned pick_start(struct gen *g)
{
	unsigned k = rndn(&g->r, 100);

	if (k < 30)
		return PAGE - 1 - rndn(&g->r, 60);
	if (k < 32 && g->faulty)
		return 2 * PAGE - 1 - rndn(&g->r, 40);
	return rndn(&g->r, 2 * PAGE - MAX_CODE - 16);
}

static void try_generate(struct tcase *c, uint64_t seed, uint64_t number, uint64_t attempt,
	int only)
{
	struct gen g = { .r = { seed * 0x2545f4914f6cdd1dull + number * 64 + attempt }, .c = c };
	enum class cl;
	unsigned want;

	memset(c, 0, sizeof(*c));
	c->seed = seed;
	c->number = number;
	rnd(&g.r);
	cl = pick_class(&g, only);
	c->code64 = cl != CL_COMPAT;
	c->kernel = c->code64 && chance(&g.r, 40);
	c->check_ad = chance(&g.r, 10);
	c->icount0 = chance(&g.r, 70) ? 0 : chance(&g.r, 50) ? 0xfffffffa : 1ull << 40;
	g.faulty = chance(&g.r, 45);
	ZydisDecoderInit(&g.dec, c->code64 ? ZYDIS_MACHINE_MODE_LONG_64 :
		ZYDIS_MACHINE_MODE_LONG_COMPAT_32, c->code64 ? ZYDIS_STACK_WIDTH_64 :
		ZYDIS_STACK_WIDTH_32);
	c->start = pick_start(&g);
	gen_state(&g);
	want = 1 + rndn(&g.r, 20);
	for (g.group = 0; g.group < want && c->n + 12 < MAX_INSN; g.group++)
		gen_group(&g, cl);
	c->groups = g.group;
}

void generate(struct tcase *c, uint64_t seed, uint64_t number, int only)
{
	for (uint64_t a = 0; a < 64; a++) {
		try_generate(c, seed, number, a, only);
		/* Branch targets are drawn before the number of groups is known. */
		for (unsigned i = 0; i < c->n; i++)
			if (c->in[i].target != NO_TARGET && c->in[i].target > c->groups)
				c->in[i].target = (uint8_t)c->groups;
		if (assemble(c))
			return;
	}
}

/* ---- layout ---- */

static unsigned group_off(const struct tcase *c, unsigned group)
{
	for (unsigned i = 0; i < c->n; i++)
		if (c->in[i].group >= group)
			return c->off[i];
	return c->off[c->n];
}

bool is_branch(const uint8_t b[15], bool code64)
{
	unsigned i = 0;

	while (i < 13 && (b[i] == 0x66 || b[i] == 0x67 || b[i] == 0x2e || b[i] == 0x3e ||
	    b[i] == 0x26 || b[i] == 0x36 || b[i] == 0x64 || b[i] == 0x65 ||
	    b[i] == 0xf2 || b[i] == 0xf3 || (code64 && (b[i] & 0xf0) == 0x40)))
		i++;
	uint8_t o = b[i], m = (b[i + 1] >> 3) & 7;
	return (o & 0xf0) == 0x70 || (o >= 0xe0 && o <= 0xe3) || o == 0xe8 || o == 0xe9 ||
		o == 0xeb || o == 0xc2 || o == 0xc3 ||
		(o == 0x0f && (b[i + 1] & 0xf0) == 0x80) || (o == 0xff && (m == 2 || m == 4));
}

static bool apply_fix(struct tcase *c, unsigned i)
{
	struct insn *in = &c->in[i];
	unsigned next = c->off[i] + in->len;
	int64_t rel;
	uint32_t abs;

	if (in->fix == FIX_NONE)
		return true;
	if (in->fix == FIX_RIP)
		rel = (int64_t)(in->va - (CODE_VA + c->start + next));
	else
		rel = (int64_t)group_off(c, in->target) - next;
	if (in->fix == FIX_REL8) {
		in->b[in->fixoff] = (uint8_t)rel;
		return rel == (int8_t)rel;
	}
	abs = in->fix == FIX_ABS32 ? (uint32_t)(CODE_VA + c->start +
		group_off(c, in->target) + (uint32_t)in->addend) : (uint32_t)rel;
	memcpy(in->b + in->fixoff, &abs, 4);
	return true;
}

bool assemble(struct tcase *c)
{
	static const uint8_t sentinel[] = { 0x0f, 0x0b, 0xcc, 0xcc, 0xcc, 0xcc };
	unsigned at = 0;

	c->branches = 0;
	for (unsigned i = 0; i < c->n; i++) {
		c->off[i] = (uint16_t)at;
		at += c->in[i].len;
		c->branches |= is_branch(c->in[i].b, c->code64);
	}
	c->off[c->n] = (uint16_t)at;
	if (at + sizeof(sentinel) > MAX_CODE)
		return false;
	for (unsigned i = 0; i < c->n; i++) {
		if (!apply_fix(c, i))
			return false;
		memcpy(c->code + c->off[i], c->in[i].b, c->in[i].len);
	}
	memcpy(c->code + at, sentinel, sizeof(sentinel));
	c->code_len = at + (unsigned)sizeof(sentinel);
	return true;
}
