/*
 * gen.c - random guest code: mostly what compilers make, with all forms of operands, and
 * some bytes that are nothing but random.
 */
#include <string.h>

#include "test/emit/emit.h"

enum { SIZE = 32, MAX = 15 };

/* splitmix64 */
uint64_t rnd(void)
{
	uint64_t z = subject.seed += 0x9e3779b97f4a7c15;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
	z = (z ^ z >> 27) * 0x94d049bb133111eb;
	return z ^ z >> 31;
}

unsigned below(unsigned n)
{
	return (unsigned)(rnd() % n);
}

static const uint8_t plain[] = {
	0x01, 0x03, 0x29, 0x2b, 0x31, 0x33, 0x39, 0x3b, 0x89, 0x8b, 0x88, 0x8a, 0x00, 0x02, 0x38,
	0x84, 0x85, 0x87, 0x86, 0x63, 0x8d, 0x83, 0x81, 0x80, 0xc7, 0xc6, 0xf7, 0xf6, 0xff, 0xfe,
	0xd1, 0xc1, 0xd3, 0x69, 0x6b, 0x11, 0x13, 0x19, 0x1b, 0x21, 0x23, 0x09, 0x0b, 0x8f, 0x8c,
};
static const uint8_t after_0f[] = {
	0xb6, 0xb7, 0xbe, 0xbf, 0xaf, 0x44, 0x45, 0x10, 0x11, 0x28, 0x29, 0x6f, 0x7f, 0x6e, 0x7e,
	0xa3, 0xab, 0xb3, 0xbb, 0xba, 0xc0, 0xc1, 0xb0, 0xb1, 0xc7, 0x2a, 0x2d, 0x12, 0x13, 0x16,
	0x17, 0x94, 0x95, 0xae, 0xc3, 0x58, 0x59, 0xef, 0x70, 0xc4, 0xc5, 0xd6, 0xe7, 0x1f, 0x18,
	0xa4, 0xa5, 0xac, 0xad, 0xbc, 0xbd, 0x50, 0xd7, 0xf0, 0x2b, 0x5b, 0xe6,
};
static const uint8_t alone[] = {
	0xa4, 0xa5, 0xaa, 0xab, 0xac, 0xad, 0x9c, 0x9e, 0x9f, 0xf8, 0xf9, 0xfc, 0xfd, 0x98, 0x99,
	0x9b, 0xc9, 0xa8, 0xa9,
};
#define ONE_OF(table) ((table)[below(sizeof(table))])

/* true: without ModRM. */
static bool opcode(uint8_t *b, unsigned *n)
{
	unsigned k = below(20);

	if (k < 9) {
		b[(*n)++] = ONE_OF(plain);
	} else if (k < 13) {
		b[(*n)++] = 0x0f;
		b[(*n)++] = ONE_OF(after_0f);
	} else if (k < 14) {
		b[(*n)++] = (uint8_t)(0x50 | below(16)); /* push, pop */
		return true;
	} else if (k < 15) {
		b[(*n)++] = 0x83;
		b[(*n)++] = (uint8_t)(0xc0 | below(64));
		b[(*n)++] = (uint8_t)rnd();
		return true;
	} else if (k < 16) {
		b[(*n)++] = (uint8_t)(0xd8 + below(8));
	} else if (k < 17) {
		b[(*n)++] = 0x0f;
		b[(*n)++] = below(2) ? 0x38 : 0x3a;
		b[(*n)++] = (uint8_t)rnd();
	} else if (k < 18) {
		b[(*n)++] = ONE_OF(alone);
		return true;
	} else {
		if (k < 19)
			b[(*n)++] = 0x0f;
		b[(*n)++] = (uint8_t)rnd();
	}
	return false;
}

/* Around few registers (close), so that accesses fall into groups. */
static void operand(uint8_t *b, unsigned *n, bool close)
{
	static const uint8_t bases[] = { 0, 3, 4, 5, 6, 7, 1, 2 };
	unsigned rm = bases[below(close ? 3 : 8)], mod = below(3) ? 1 + below(2) : below(4);
	uint32_t disp = below(3) ? below(64) * 8 : (uint32_t)rnd();

	b[(*n)++] = (uint8_t)(mod << 6 | below(8) << 3 | rm);
	if (mod != 3 && rm == 4)
		b[(*n)++] = below(3) ? 0x24 : (uint8_t)rnd();
	if (mod == 1)
		b[(*n)++] = below(2) ? (uint8_t)(below(32) * 8) : (uint8_t)rnd();
	if (mod == 2 || (mod == 0 && rm == 5)) {
		memcpy(b + *n, &disp, 4);
		*n += 4;
	}
}

/* AVX and BMI: any opcode, but more of those that BMI has. */
static void vex(uint8_t *b, unsigned *n)
{
	static const uint8_t bmi[] = { 0xf2, 0xf3, 0xf5, 0xf6, 0xf7, 0xf0, 0x6e, 0x7e, 0x6f, 0x7f };

	if (below(3) == 0) {
		b[(*n)++] = 0xc5;
		b[(*n)++] = (uint8_t)(rnd() | (below(2) ? 0x78 : 0));
	} else {
		b[(*n)++] = 0xc4;
		b[(*n)++] = (uint8_t)(below(8) << 5 | (1 + below(3)));
		b[(*n)++] = (uint8_t)(rnd() | (below(2) ? 0x78 : 0));
	}
	b[(*n)++] = below(2) ? ONE_OF(bmi) : (uint8_t)rnd();
}

static void one_insn(uint8_t b[SIZE], bool code64, int style)
{
	static const uint8_t prefixes[] = { 0x66, 0x67, 0xf2, 0xf3, 0xf0, 0x64, 0x65, 0x2e };
	static const uint8_t mandatory[] = { 0x66, 0xf2, 0xf3 };
	unsigned n = 0;

	for (unsigned i = 0; i < SIZE; i++)
		b[i] = below(2) ? (uint8_t)rnd() : (uint8_t)below(16);
	if (style == 0) {
		for (unsigned i = 0; i < MAX; i++)
			b[i] = (uint8_t)rnd();
		return;
	}
	if (below(6) == 0) {
		vex(b, &n);
		operand(b, &n, style == 2);
		return;
	}
	if (below(8) == 0)
		b[n++] = ONE_OF(prefixes);
	if (below(12) == 0)
		b[n++] = ONE_OF(mandatory);
	if (code64 && below(10) < 6)
		b[n++] = (uint8_t)(0x40 | below(16));
	if (!opcode(b, &n))
		operand(b, &n, style == 2);
}

/* Most that end a block or leave it are left out. */
static bool wanted(const struct insn *in)
{
	if (insn_ends_block(in) && below(12))
		return false;
	return !(in->kind == K_UD || in->kind == K_SPECIAL) || below(4) == 0;
}

void generate(bool code64, unsigned off)
{
	int style = below(12) == 0 ? 0 : 1 + (int)below(2);
	uint8_t b[SIZE];
	struct insn in;

	memset(subject.page, 0x90, PAGE_SIZE);
	for (unsigned i = 0; i < 64; i++)
		subject.page2[i] = (uint8_t)rnd();
	while (off < PAGE_SIZE - 20) {
		one_insn(b, code64, style);
		if (insn_decode(&in, b, MAX, code64, subject.c->isa) != 0 || !wanted(&in))
			continue;
		memcpy(subject.page + off, b, in.len);
		off += in.len;
		if (off > 2048 && below(3) == 0)
			break;
	}
	/* At the end of the page something that straddles. */
	if (below(3))
		return;
	for (unsigned i = 0; i < 20; i++)
		subject.page[PAGE_SIZE - 20 + i] = (uint8_t)rnd();
}
