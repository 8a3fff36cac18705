/*
 * recipe.c - which instructions leave flags that registers still tell.
 */
#include "cpu/internal.h"

static bool usable(int reg)
{
	return reg >= 0 && reg != RSP && reg != R10 && reg != R11 && reg != R15;
}

/* Kind by the arithmetic group's number: add or adc sbb and sub xor cmp. */
static enum recipe_kind group1(unsigned op)
{
	static const uint8_t kind[8] = { REC_ADD, REC_TEST, REC_NONE, REC_NONE, REC_TEST,
		REC_SUB, REC_TEST, REC_CMP };

	return (enum recipe_kind)kind[op & 7];
}

/* or, and, xor: the flags are those of testing the result with itself. */
static bool is_logic(unsigned op) { return op == 1 || op == 4 || op == 6; }

/* Forms 00..3d: op rm, reg / op reg, rm / op acc, imm. */
static struct recipe alu(const struct insn *in)
{
	unsigned op = in->opcode >> 3 & 7, form = in->opcode & 7;
	struct recipe r = { .kind = (uint8_t)group1(op) };

	if (form >= 4) {
		r.a = RAX;
		r.b = NO_REG;
	} else if (form < 2) {
		r.a = in->rm;
		r.b = in->reg;
	} else {
		r.a = in->reg;
		r.b = in->rm;
	}
	/* A memory operand's value is lost; it only does not matter to logic. */
	if (in->has_mem && !(is_logic(op) && form >= 2))
		r.kind = REC_NONE;
	if (is_logic(op))
		r.b = r.a;
	return r;
}

static struct recipe decode(const struct insn *in)
{
	struct recipe r = { .kind = REC_NONE };
	unsigned op = in->modrm >> 3 & 7;

	if (in->map != 0)
		return r;
	if (in->opcode < 0x40 && (in->opcode & 7) < 6)
		return alu(in);
	switch (in->opcode) {
	case 0x80: case 0x81: case 0x83:
		r = (struct recipe){ .kind = (uint8_t)group1(op), .a = in->rm,
			.b = is_logic(op) ? in->rm : NO_REG };
		break;
	case 0x84: case 0x85:
		r = (struct recipe){ .kind = REC_TEST, .a = in->rm, .b = in->reg };
		break;
	case 0xa8: case 0xa9:
		r = (struct recipe){ .kind = REC_TEST, .a = RAX, .b = NO_REG };
		break;
	case 0xf6: case 0xf7:
		if (op < 2)
			r = (struct recipe){ .kind = REC_TEST, .a = in->rm, .b = NO_REG };
		break;
	default:
		return r;
	}
	if (in->has_mem)
		r.kind = REC_NONE;
	return r;
}

struct recipe recipe_of(const struct insn *in)
{
	struct recipe r = decode(in);
	bool changes = r.kind == REC_SUB || r.kind == REC_ADD;

	r.size = in->opcode & 1 || in->opcode == 0x83 ? in->width : 1;
	r.imm = (int32_t)in->imm;
	if (in->high8 || !usable(r.a) || (r.b != NO_REG && !usable(r.b)) ||
	    (changes && r.a == r.b) || (in->opcode == 0x82) ||
	    (changes && r.b == NO_REG && r.imm == INT32_MIN)) /* -imm is no imm32 */
		r.kind = REC_NONE;
	return r;
}
