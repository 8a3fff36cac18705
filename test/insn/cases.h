/*
 * cases.h - hand-written cases: how one is made, and the engine's own.
 */
#ifndef TTD_TEST_CASES_H
#define TTD_TEST_CASES_H

#include "insn.h"

/* A case of these bytes; rbx, rsi, rdi, rsp point where hand.inc says. */
void make_case(struct tcase *c, const uint8_t *code, size_t len, unsigned start, bool code64);

struct engine_case {
	const char *name;
	bool (*run)(struct engine *e, char *why, size_t size);
};

/* Each table ends with a case without a name. */
extern const struct engine_case mem_cases[], stack_cases[];

#endif
