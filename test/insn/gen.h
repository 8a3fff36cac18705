/*
 * gen.h - the generator's state while it makes one case.
 *
 * The generator simulates nothing but constants: `known` says which registers
 * still hold a value it chose, so that it can aim memory operands.
 */
#ifndef TTD_TEST_GEN_H
#define TTD_TEST_GEN_H

#include <Zydis/Zydis.h>

#include "insn.h"

enum { NO_TARGET = 255, T_RAX = 0, T_RCX, T_RDX, T_RBX, T_RSP, T_RBP, T_RSI, T_RDI };

struct gen {
	struct rng r;
	struct tcase *c;
	uint64_t val[16];
	uint16_t known;    /* bit per register: val[] is its value */
	unsigned group;
	unsigned counters; /* loop counters and slots handed out */
	bool faulty;       /* this case may aim outside mapped memory */
	bool based;        /* the operand has a segment base, or must not cross pages */
	ZydisDecoder dec;
};

/* One entry per range of opcodes. */
enum opflag {
	OP_MODRM = 1, OP_MEM = 2 /* memory form only */, OP_REG = 4 /* register form only */,
	OP_LOCK = 8, OP_SSE = 16 /* any mandatory prefix */, OP_MOFFS = 32,
	OP_F3 = 64, OP_STK = 128, OP_NO66 = 256,
	OP_ONLY64 = 512, OP_ONLY32 = 1024,
};

struct opent {
	uint8_t map;    /* 0 one-byte, 1 0f, 2 0f 38, 3 0f 3a */
	uint8_t lo, hi;
	uint8_t regs;   /* allowed values of modrm.reg, bit per value; 0: all */
	uint16_t fl;
	uint8_t weight;
};

struct optable {
	const struct opent *ent;
	unsigned n;
};

extern const struct optable op_int, op_stack, op_x87, op_sse;
bool op_allowed(const ZydisDecodedInstruction *zi);

/* Where a random memory operand of `size` bytes should point. */
uint64_t pick_target(struct gen *g, unsigned size, bool aligned);
uint64_t interesting(struct gen *g);

/* A memory operand being encoded: modrm..disp, REX bits, and fixes. */
struct ea {
	uint8_t b[8], len; /* modrm, sib, disp */
	uint8_t rex;       /* X and B bits */
	bool rip;          /* disp is rip-relative */
	uint64_t va;
};

/* Encodes an operand at `off` (an offset in the segment) with modrm.reg = reg. */
bool make_ea(struct gen *g, struct ea *ea, uint64_t off, unsigned reg, bool a32);

/* Appends raw bytes to the current group; NULL when the case is full. */
struct insn *put(struct gen *g, const void *b, unsigned n);
void put_mov(struct gen *g, unsigned reg, uint64_t v); /* mov reg, imm; flags unchanged */
/* Appends op modrm(abs disp32) [imm], the plainest way to AUX memory. */
void put_abs(struct gen *g, const void *op, unsigned nop, unsigned reg, uint32_t va,
	const void *imm, unsigned nimm);
void set_known(struct gen *g, unsigned reg, uint64_t v);
void forget(struct gen *g, unsigned reg);

/* One random instruction from a table, with whatever prepares it. */
void gen_op(struct gen *g, const struct optable *t);

/* Forgets what it writes.  False: it would lose the stack pointer. */
bool effects(struct gen *g, const ZydisDecodedInstruction *zi, const ZydisDecodedOperand *ops);

/* gen_vex.c */
void gen_vex(struct gen *g, bool bmi);
void macro_gather(struct gen *g);
void macro_state(struct gen *g); /* xsave, xrstor, wrfsbase */

void macro_string(struct gen *g);
void macro_branch(struct gen *g);
void macro_stack(struct gen *g);
void macro_int(struct gen *g);   /* div, bt, cmpxchg, xlat with prepared operands */
void macro_fpenv(struct gen *g);
void macro_smc(struct gen *g);
void gen_state(struct gen *g);   /* registers, flags, FP state */

#endif
