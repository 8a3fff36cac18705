/*
 * point.h - breakpoints and watches: the guest's by debug registers (debug_hot.c), and those
 * that are set from outside (point.c).  For src/cpu.
 */
#ifndef TTD_CPU_POINT_H
#define TTD_CPU_POINT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "cpu/cpu.h"
#include "mem/mmu.h"

/* A breakpoint by debug registers. */
struct watch {
	uint64_t va;
	uint8_t size;
	bool on, exec, reads;
};
enum { BREAKS = 16 };

/* point.c: breakpoints from outside. */
struct points {
	struct cpu_break *breaks;
	size_t nbreaks;
	uint64_t *stops;          /* sorted: where translations stop to look */
	size_t nstops;
	uint64_t offsets[PAGE_SIZE / 64]; /* their offsets in a page */
	uint64_t passed, passed_rip; /* icount and rip of one that has been reported */
	uint64_t insn_rip;        /* the instruction at work on a slow path */
	uint64_t rep_rip;         /* of the string instruction that rep_at tells of */
};

/* debug_hot.c */
bool debug_stops_at(const struct cpu *c, unsigned off);
int debug_fill(struct cpu *c, enum mem_mode mode, uint64_t va, enum mem_access access,
	struct mem_fault *f);
void debug_access(struct cpu *c, uint64_t va, unsigned size, bool write);
bool debug_break(struct cpu *c);
void debug_exit(struct cpu *c, unsigned bits); /* cpu.x = #DB */

/* point.c */
bool points_stop_at(const struct cpu *c, bool kernel, uint64_t page, unsigned off);
bool points_break(struct cpu *c);
bool points_watch(struct cpu *c);
void points_free(struct cpu *c);

#endif
