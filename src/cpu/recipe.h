/*
 * recipe.h - status flags that can be computed again from registers.
 *
 * After cmp, test, and most arithmetic between registers or with a constant,
 * the flags are a function of registers that are still there.  As long as that
 * holds nothing needs to be saved before the host's flags are clobbered: the
 * flags are in state FL_RECIPE, an instruction or two bring them back, and a
 * fault or exit evaluates them in C.
 */
#ifndef TTD_CPU_RECIPE_H
#define TTD_CPU_RECIPE_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"

enum recipe_kind {
	REC_NONE,
	REC_CMP,  /* cmp a, b */
	REC_TEST, /* test a, b */
	REC_SUB,  /* a = a - b was done */
	REC_ADD,  /* a = a + b was done */
};

struct recipe {
	uint8_t kind, size; /* size of the operands, bytes */
	int8_t a, b;        /* registers; b NO_REG: imm */
	int32_t imm;
};

/* REC_NONE when the instruction's flags are no such function. */
struct recipe recipe_of(const struct insn *in);

static inline bool recipe_uses(const struct recipe *r, uint16_t regs)
{
	return r->kind != REC_NONE &&
		((regs >> r->a & 1) || (r->b != NO_REG && (regs >> r->b & 1)));
}
static inline bool recipe_equal(const struct recipe *x, const struct recipe *y)
{
	return x->kind == y->kind && (x->kind == REC_NONE || (x->size == y->size &&
		x->a == y->a && x->b == y->b && x->imm == y->imm));
}

/* The flags, packed as in cpu.flags; general registers only. */
uint16_t recipe_eval(const struct recipe *r, const uint64_t *gpr);

#endif
