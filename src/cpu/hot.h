/*
 * hot.h - what translated code calls when it cannot go on by itself.  For src/cpu.
 *
 * All of it runs with the guest's vector registers live: no libc, general registers only.
 * Functions that glue calls (glue.c) take a site's address in the region and a second value,
 * and return where to go on.
 */
#ifndef TTD_CPU_HOT_H
#define TTD_CPU_HOT_H

#include <stdbool.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "cpu/insn.h"
#include "mem/mmu.h"

struct block;
struct cpu;
struct site;

/* Why the dispatcher (run.c) is to go on. */
enum leave {
	LEAVE_STOP,      /* budget used up */
	LEAVE_FAULT,     /* cpu.x is filled */
	LEAVE_CAREFUL,   /* run this one instruction by the careful path */
	LEAVE_PLAIN,     /* go on from here without stack groups */
	LEAVE_SPECIAL,   /* special.c looks at the instruction */
	LEAVE_SYSCALL,
	LEAVE_LINK,      /* cpu.link wants its target */
	LEAVE_JUMP,      /* rip is new; find its block */
	LEAVE_END,       /* end of a temporary block */
};

/* slow_hot.c */
uint64_t hot_slow_read(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_slow_write(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_stack(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_slow_group(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_careful_read(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_careful_write(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_link(struct cpu *c, uint64_t link, uint64_t fl);
uint64_t hot_indirect(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_stop(struct cpu *c, uint64_t site, uint64_t unused);
uint64_t hot_special(struct cpu *c, uint64_t site, uint64_t unused);
uint64_t hot_syscall(struct cpu *c, uint64_t site, uint64_t unused);
uint64_t hot_fault(struct cpu *c, uint64_t site, uint64_t vector);
void cpu_settle(struct cpu *c); /* state.icount, brctr and rflags are up to date */
#define TO_SEG(seg, reg) ((uint64_t)((seg) | (reg) << 3)) /* what hot_to_seg() is to do */
uint64_t hot_to_seg(struct cpu *c, uint64_t site, uint64_t what);
struct block *hot_find(struct cpu *c, uint64_t va); /* NULL: for the dispatcher */
uint64_t hot_misaligned(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_space(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_space_careful(struct cpu *c, uint64_t site, uint64_t unused);
uint64_t hot_end(struct cpu *c, uint64_t site, uint64_t va);
uint64_t hot_string(struct cpu *c, uint64_t site, uint64_t desc);
uint64_t hot_pushf(struct cpu *c, uint64_t site, uint64_t unused);
uint64_t hot_iret(struct cpu *c, uint64_t site, uint64_t unused);
uint64_t hot_rdtsc(struct cpu *c, uint64_t site, uint64_t with_aux);
void jc_insert(struct cpu *c, enum mem_mode mode, uint64_t va, const struct block *b);
void jc_flush(struct cpu *c, enum mem_mode mode);
void jc_check(struct cpu *c); /* what the mode's holds is of the block mode, or nothing */
unsigned cpu_block_mode(const struct cpu *c);
void site_leave(struct cpu *c, const struct site *s, enum leave why);
void leave_fault(struct cpu *c, const struct site *s, const struct mem_fault *f);
void set_fault(struct cpu *c, const struct mem_fault *f); /* cpu.x = this fault */

/* string instructions: what hot_string() gets in desc */
enum { STR_MOVS, STR_STOS, STR_LODS, STR_SCAS, STR_CMPS };
/* width of addresses and counts: 0 64, 1 32, 2 16 bits */
#define STR_DESC(op, size, rep, seg, width) \
	((uint32_t)((op) | (size) << 4 | (rep) << 8 | ((seg) + 1) << 12 | (width) << 16))
enum { STR_DONE, STR_MORE, STR_FAULT, STR_MISALIGNED };
int string_slow(struct cpu *c, uint32_t desc, struct mem_fault *f); /* one element */
uint32_t string_desc(const struct insn *in, bool code64);

#endif
