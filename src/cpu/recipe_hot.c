/*
 * recipe_hot.c - evaluates a flag recipe; called on the slow paths' way out.
 */
#include "cpu/internal.h"

#define OP(name, T, suffix) \
	static uint64_t name(T a, T b) \
	{ \
		uint64_t fl; \
		__asm__(suffix " %2, %1\n\tpushfq\n\tpop %0" : "=r"(fl), "+r"(a) : "r"(b) : "cc"); \
		return fl; \
	}

OP(cmp1, uint8_t, "cmpb")
OP(cmp2, uint16_t, "cmpw")
OP(cmp4, uint32_t, "cmpl")
OP(cmp8, uint64_t, "cmpq")
OP(test1, uint8_t, "testb")
OP(test2, uint16_t, "testw")
OP(test4, uint32_t, "testl")
OP(test8, uint64_t, "testq")
OP(add1, uint8_t, "addb")
OP(add2, uint16_t, "addw")
OP(add4, uint32_t, "addl")
OP(add8, uint64_t, "addq")

#define BY_SIZE(op, size, a, b) \
	((size) == 1 ? op##1((uint8_t)(a), (uint8_t)(b)) \
	: (size) == 2 ? op##2((uint16_t)(a), (uint16_t)(b)) \
	: (size) == 4 ? op##4((uint32_t)(a), (uint32_t)(b)) : op##8(a, b))

uint16_t recipe_eval(const struct recipe *r, const uint64_t *gpr)
{
	uint64_t a = gpr[r->a], b = r->b == NO_REG ? (uint64_t)(int64_t)r->imm : gpr[r->b];

	switch (r->kind) {
	case REC_TEST:
		return flags_pack(BY_SIZE(test, r->size, a, b));
	case REC_SUB:
		return flags_pack(BY_SIZE(cmp, r->size, a + b, b));
	case REC_ADD:
		return flags_pack(BY_SIZE(add, r->size, a - b, b));
	default:
		return flags_pack(BY_SIZE(cmp, r->size, a, b));
	}
}
