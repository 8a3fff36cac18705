/*
 * sys.h - instructions executed in C: shared by sys.c and sysuser.c.
 *
 * A handler returns true when cpu.x holds an exit (a fault, or something for
 * the hypervisor), false when it completed the instruction.
 */
#ifndef TTD_CPU_SYS_H
#define TTD_CPU_SYS_H

#include "cpu/priv.h"

typedef bool sys_fn(struct cpu *c, const struct insn *in, int arg);

bool sys_exception(struct cpu *c, unsigned vector, bool has_error);
bool sys_fault(struct cpu *c, const struct mem_fault *f);
bool sys_done(struct cpu *c, const struct insn *in); /* retire it */

uint64_t sys_ea(const struct cpu *c, const struct insn *in);
uint64_t sys_rsp(const struct cpu *c, int64_t by); /* rsp + by, in the stack's width */
int sys_load(struct cpu *c, uint64_t va, void *p, unsigned n); /* -1: cpu.x is the fault */
int sys_store(struct cpu *c, uint64_t va, const void *p, unsigned n);
bool fpu_pending(const struct cpu *c); /* step.c */
int sys_rm(struct cpu *c, const struct insn *in, unsigned n, uint64_t *v);

/* sysuser.c: unprivileged */
sys_fn sys_pushf, sys_popf, sys_enter, sys_leave16, sys_xlat, sys_maskmov, sys_bound, sys_arpl;
sys_fn sys_near16, sys_pusha, sys_popa, sys_bcd, sys_salc, sys_loop16, sys_fxsave32, sys_fxrstor32;

#endif
