/*
 * gen_state.c - the registers, flags and FP state a random case starts from.
 */
#include <string.h>

#include "gen.h"

static void start_gprs(struct gen *g)
{
	struct tcase *c = g->c;

	for (unsigned i = 0; i < 16; i++) {
		unsigned k = rndn(&g->r, 100);
		uint64_t v = k < 40 ? pick_target(g, 16, chance(&g->r, 50)) :
			k < 60 ? rndn(&g->r, 40) : interesting(g);

		if (!c->code64)
			v = (uint32_t)v;
		c->gpr[i] = v;
		set_known(g, i, v);
	}
	c->gpr[T_RSP] = STACK_VA + PAGE - 256 + 8 * rndn(&g->r, 64);
	if (g->faulty && chance(&g->r, 8))
		c->gpr[T_RSP] = chance(&g->r, 50) ? STACK_VA + rndn(&g->r, 24)
			: STACK_END - rndn(&g->r, 24);
	if (chance(&g->r, 5))
		c->gpr[T_RSP] += rndn(&g->r, 8);
	if (g->faulty && c->code64 && chance(&g->r, 2))
		c->gpr[T_RSP] = 0x0000800000000000ull;
	forget(g, T_RSP);
	c->rflags = 0x202 | (rnd(&g->r) & 0x8d5);
	if (chance(&g->r, 20))
		c->rflags |= 0x400;
	if (chance(&g->r, 3))
		c->rflags |= 0x40000;
	c->fsbase = chance(&g->r, 50) ? 0 : DATA_VA + rndn(&g->r, 2 * PAGE);
	c->gsbase = chance(&g->r, 60) ? HIGH_VA + rndn(&g->r, PAGE) : rndn(&g->r, 4096);
}

static void start_x87(struct gen *g)
{
	static const uint64_t mant[] = {
		0, 0x8000000000000000ull, 0xc000000000000000ull, 0x4000000000000000ull, 1,
		0xffffffffffffffffull, 0x8000000000000001ull, 0xa000000000000000ull,
	};
	static const uint16_t exps[] = { 0, 0x3fff, 0xbfff, 0x7fff, 0xffff, 1, 0x4000, 0x401e,
		0x8000, 0x403d, 0x43fe, 0x3c01 };
	uint8_t *fx = g->c->fx;
	uint16_t fcw = 0x37f, fsw = 0;

	if (chance(&g->r, 40))
		fcw = (uint16_t)((rnd(&g->r) & 0x0f00) | 0x7f);
	if (chance(&g->r, 30))
		fsw = (uint16_t)(rnd(&g->r) & 0x7f00);
	if (g->faulty && chance(&g->r, 12))
		fcw &= (uint16_t)~(1u << rndn(&g->r, 6));
	if (chance(&g->r, 10)) /* an exception that is noted, perhaps pending */
		fsw |= (uint16_t)(1u << rndn(&g->r, 6));
	if ((fsw & ~fcw) & 0x3f)
		fsw |= 0x8080;
	memcpy(fx, &fcw, 2);
	memcpy(fx + 2, &fsw, 2);
	fx[4] = (uint8_t)(chance(&g->r, 50) ? rnd(&g->r) : chance(&g->r, 50) ? 0 : 0xff);
	for (unsigned i = 0; i < 8; i++) {
		uint64_t m = chance(&g->r, 50) ? rnd(&g->r) | 1ull << 63 : mant[rndn(&g->r, 8)];
		uint16_t e = chance(&g->r, 50) ? exps[rndn(&g->r, 12)]
			: (uint16_t)(0x3fe0 + rndn(&g->r, 64));

		memcpy(fx + 32 + 16 * i, &m, 8);
		memcpy(fx + 32 + 16 * i + 8, &e, 2);
	}
}

static void start_sse(struct gen *g)
{
	static const uint64_t v[] = {
		0, ~0ull, 0x3ff0000000000000ull, 0x3f8000003f800000ull, 0x7ff0000000000000ull,
		0x7f800000ff800000ull, 0x7fc000007f800001ull, 0x7ff8000000000000ull,
		0x0000000100000001ull, 0x8000000080000000ull, 0x7fffffff7fffffffull,
		0x4330000000000000ull, 0x41e0000000000000ull, 0x4f0000005f000000ull,
		0x8080808080808080ull, 0x0102030405060708ull, 0x6161616162626262ull,
	};
	uint8_t *fx = g->c->fx;
	uint32_t mxcsr = 0x1f80;

	if (chance(&g->r, 40))
		mxcsr |= (uint32_t)rnd(&g->r) & 0xe07f;
	if (g->faulty && chance(&g->r, 12))
		mxcsr &= ~(0x80u << rndn(&g->r, 6));
	memcpy(fx + 24, &mxcsr, 4);
	for (unsigned i = 0; i < 32; i++) {
		uint64_t q = chance(&g->r, 35) ? rnd(&g->r) : v[rndn(&g->r, sizeof(v) / 8)];

		if (chance(&g->r, 20)) { /* a pair of ordinary floats */
			float f[2] = { (float)(int32_t)rnd(&g->r) / 65536, (float)rndn(&g->r, 100) };

			memcpy(&q, f, 8);
		}
		memcpy(fx + 160 + 8 * i, &q, 8);
	}
	if (test_isa() == 0 || chance(&g->r, 25))
		return;
	for (unsigned i = 0; i < 32; i++) {
		uint64_t q = chance(&g->r, 50) ? rnd(&g->r) : v[rndn(&g->r, sizeof(v) / 8)];

		memcpy(g->c->ymmh[i / 2] + 8 * (i & 1), &q, 8);
	}
}

void gen_state(struct gen *g)
{
	start_gprs(g);
	start_x87(g);
	start_sse(g);
}
