/*
 * emit.h - the verifier of emitted code: random guest code is translated, and of the
 * host code it is proved that a guest reaches nothing but its own memory.
 */
#ifndef TEST_EMIT_H
#define TEST_EMIT_H

#include <Zydis/Zydis.h>
#include <stdbool.h>
#include <stdint.h>

#include "cpu/internal.h"
#include "cpu/trans.h"

/* ---- main.c: what is being looked at ---- */

struct subject {
	struct mem *m;
	struct cpu *c;
	uint8_t *page, *page2; /* the guest's code: two pages that follow each other */
	uint64_t seed;         /* of this block */
	uint64_t va;
	unsigned mode;         /* enum block_mode */
};
extern struct subject subject;

struct counts {
	uint64_t blocks, insns, accesses, checks;
};
extern struct counts counts;

/* ---- gen.c ---- */

uint64_t rnd(void);
unsigned below(unsigned n);
void generate(bool code64, unsigned off); /* guest code from there in subject.page */

/* ---- state.c: what is known before an instruction ---- */

/* A value that never changes, plus a distance. */
struct sym {
	unsigned id;
	int64_t off;
};

/* Guest memory at [a.id + lo, a.id + hi) may be accessed. */
struct fact {
	bool on, write;
	struct sym a;
	int64_t lo, hi;
};

enum r11_kind { R11_OTHER, R11_ADDR, R11_XOR, R11_HOST, R11_BOUNCE };
enum r10_kind { R10_OTHER, R10_COPY, R10_ROTATED, R10_INDEX, R10_DELTA, R10_JUMP };

struct state {
	struct sym reg[16];
	struct {
		enum r11_kind kind;
		struct sym a;
		bool write, checked, stack;
		unsigned size;
	} r11;
	struct {
		enum r10_kind kind;
		struct sym a;
		struct fact f; /* R10_DELTA */
	} r10;
	struct fact delta[16]; /* what cpu.delta[] holds distances of */
	struct fact stack;     /* and the stack's entry */
	struct fact passed;    /* the check that has been passed last */
	bool swapped;          /* r11 and rdi are exchanged */
	bool careful;          /* careful glue was called: it resumes with a bounce buffer */
	bool bounce_write;
	unsigned bounce;
};

/* One host instruction. */
struct host {
	uint64_t at;
	ZydisDecodedInstruction i;
	ZydisDecodedOperand o[ZYDIS_MAX_OPERAND_COUNT];
	bool cold;
};

struct sym unknown(void);
void state_init(struct state *s);
bool covers(const struct fact *f, struct sym a, int64_t off, unsigned size, bool write);
int gpr(ZydisRegister r); /* its number, or -1 */
bool decode_host(struct host *h, uint64_t at);
bool is_absolute(const struct host *h, const ZydisDecodedOperand *x, uint64_t *addr);
struct tlb *guest_tlb(void);
/* Offset in the entry of the TLB that r10 is the index of. */
uint32_t entry_field(const ZydisDecodedOperand *x);
void transfer(struct state *s, struct host *h); /* state.c, its effects */
void check_operands(const struct state *s, const struct host *h); /* operand.c */
void verify(uint64_t from, uint64_t to, bool cold);               /* verify.c */

__attribute__((format(printf, 2, 3), noreturn))
void violation(uint64_t at, const char *fmt, ...);

#endif
