/*
 * special.h - instructions executed in C: shared by special.c and special_user.c.
 *
 * A handler returns true when cpu.x holds an exit (a fault, or something for
 * the hypervisor), false when it completed the instruction.
 */
#ifndef TTD_CPU_SPECIAL_H
#define TTD_CPU_SPECIAL_H

#include "cpu/internal.h"

typedef bool special_fn(struct cpu *c, const struct insn *in, int arg);

bool special_exception(struct cpu *c, unsigned vector, bool has_error);
bool special_fault(struct cpu *c, const struct mem_fault *f);
bool special_done(struct cpu *c, const struct insn *in); /* retire it */

uint64_t special_ea(const struct cpu *c, const struct insn *in);
uint64_t special_rsp(const struct cpu *c, int64_t by); /* rsp + by, in the stack's width */
/* Can [va, va + n) be accessed, by its first byte that cannot?  -1: cpu.x is the fault. */
int special_reach(struct cpu *c, uint64_t va, unsigned n, enum mem_access access);
int special_load(struct cpu *c, uint64_t va, void *p, unsigned n); /* -1: cpu.x is the fault */
int special_store(struct cpu *c, uint64_t va, const void *p, unsigned n);
bool fpu_pending(const struct cpu *c); /* step.c */
int special_rm(struct cpu *c, const struct insn *in, unsigned n, uint64_t *v);

/* special_user.c: unprivileged */
special_fn special_pushf, special_popf, special_enter, special_leave16, special_xlat,
	special_maskmov, special_bound, special_arpl, special_near16, special_pusha,
	special_popa, special_bcd, special_salc, special_loop16, special_fxsave32,
	special_fxrstor32;
/* special_state.c */
special_fn special_xsave, special_xrstor, special_random, special_rdbase, special_wrbase;
/* special_vector.c */
special_fn special_vmaskmov, special_gather, special_vzero;

#endif
