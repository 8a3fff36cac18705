/*
 * layout.c - the address space of a case, and the bytes it starts with.
 *
 * Everything lies below 4 GiB, where a position-independent test program has
 * nothing of its own, so that 32-bit addressing and absolute operands reach
 * it; HIGH does not, on purpose.
 */
#include <string.h>

#include "insn.h"

const struct region layout[] = {
	{ CODE_VA, CODE_FRAME, CODE_PAGES, PROT_R | PROT_W | PROT_X },
	{ CODE_ALIAS, CODE_FRAME, CODE_PAGES, PROT_R | PROT_W },
	{ DATA_VA, 2, 3, PROT_R | PROT_W },
	{ RO_VA, 5, 1, PROT_R },
	{ DATA2_VA, 6, 1, PROT_R | PROT_W },
	{ DATA_ALIAS, 2, 1, PROT_R | PROT_W },
	{ STACK_VA, 7, 2, PROT_R | PROT_W },
	{ HIGH_VA, 9, 2, PROT_R | PROT_W },
	{ AUX_VA, 11, 1, PROT_R | PROT_W },
};
const unsigned layout_count = sizeof(layout) / sizeof(layout[0]);

uint64_t rnd(struct rng *r)
{
	uint64_t z = r->s += 0x9e3779b97f4a7c15ull;

	z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
	z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
	return z ^ (z >> 31);
}

static const uint64_t bits64[] = {
	0, 1, ~0ull, 0x8000000000000000ull, 0x7fffffffffffffffull, 0x80, 0x7f, 0xff, 0xffff,
	0x80000000, 0x7fffffff, 0xffffffff,
	0x3ff0000000000000ull, 0xbff0000000000000ull, /* 1.0, -1.0 */
	0x7ff0000000000000ull, 0xfff0000000000000ull, /* infinities */
	0x7ff8000000000000ull, 0x7ff0000000000001ull, /* quiet and signalling NaN */
	0x0000000000000001ull, 0x000fffffffffffffull, /* denormals */
	0x7fefffffffffffffull, 0x0010000000000000ull, /* largest, smallest normal */
	0x3f8000003f800000ull, 0x7f8000017f800000ull, 0x7fc00000ff800000ull,
	0x0000000180000001ull, 0x007fffff00800000ull, 0x4f0000004effffffull,
	0x400921fb54442d18ull, 0x43e0000000000000ull, 0xc3e0000000000000ull,
};

static void fill_reals(uint8_t *p, struct rng *r)
{
	static const uint16_t exps[] = { 0, 1, 0x3fff, 0xbfff, 0x7fff, 0xffff, 0x4000, 0x403e };
	uint64_t mant = chance(r, 70) ? rnd(r) | 1ull << 63 : rnd(r);
	uint16_t exp = chance(r, 50) ? exps[rndn(r, 8)] : (uint16_t)(0x3fc0 + rndn(r, 128));

	memcpy(p, &mant, 8);
	memcpy(p + 8, &exp, 2);
}

void layout_fill(uint8_t *mem, uint64_t seed)
{
	struct rng r = { seed };

	for (size_t i = 0; i < NFRAMES * PAGE; i += 16) {
		uint64_t q[2];

		for (int k = 0; k < 2; k++) {
			switch (rndn(&r, 5)) {
			case 0: q[k] = 0; break;
			case 1: q[k] = bits64[rndn(&r, sizeof(bits64) / 8)]; break;
			case 2: q[k] = rndn(&r, 256); break;
			case 3: q[k] = DATA_VA + rndn(&r, 3 * PAGE - 64); break;
			default: q[k] = rnd(&r); break;
			}
		}
		memcpy(mem + i, q, 16);
		if (chance(&r, 15))
			fill_reals(mem + i, &r);
	}
	memset(mem + CODE_FRAME * PAGE, 0xcc, CODE_PAGES * PAGE);

	uint8_t *aux = mem + 11 * PAGE;
	static const uint8_t env[12] = { 0x7f, 3, 0, 0, 0x00, 0x20, 0, 0, 0xf0, 0xf0 };
	static const uint8_t fxs[32] = { 0x7f, 3, 0x00, 0x18, 0xf8, [24] = 0x80, 0x1f };

	for (int i = 0; i < 32; i++)
		memcpy(aux + AUX_COUNT + 8 * i, &(uint64_t){ 3 }, 8);
	memset(aux + AUX_SLOT, 0, AUX_LDENV - AUX_SLOT);
	memset(aux + AUX_LDENV, 0, 32);
	memcpy(aux + AUX_LDENV, env, sizeof(env));
	memset(aux + AUX_RSTOR, 0, 28);
	memcpy(aux + AUX_RSTOR, env, sizeof(env));
	memcpy(aux + AUX_FXRSTOR, fxs, sizeof(fxs));
	memset(aux + AUX_XSAVE, 0, AUX_VECTOR - AUX_XSAVE); /* an image that xrstor takes */
	memcpy(aux + AUX_XSAVE, fxs, sizeof(fxs));
}
