/*
 * policy.h - which address space is mapped (mem/space.h), and since when.  For src/cpu.
 */
#ifndef TTD_CPU_POLICY_H
#define TTD_CPU_POLICY_H

#include <stdint.h>

#include "mem/mem.h"

struct cpu;

enum { POLICY_ROOTS = 8 };
struct space_policy {
	uint64_t after;  /* instructions that a root has run before it is worth it */
	uint64_t looked, begun; /* icount */
	uint64_t hold;   /* how long one that did not pay is left alone */
	struct {
		mfn_t root;
		uint64_t ran, last, not_before;
	} of[POLICY_ROOTS];
};

void policy_init(struct cpu *c);
void policy_look(struct cpu *c); /* between two runs */

#endif
