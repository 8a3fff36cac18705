/*
 * target.h - what the remote serial protocol needs of a machine: one x86-64 CPU,
 * stopped except for the time that move() takes.  This layer knows no engine.
 */
#ifndef TTD_GDB_TARGET_H
#define TTD_GDB_TARGET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/* gpr[] is numbered as instructions do: rax, rcx, rdx, rbx, rsp, rbp, rsi, rdi, r8.. */
struct gdb_regs {
	uint64_t gpr[16], rip;
	uint32_t eflags;
	uint32_t cs, ss, ds, es, fs, gs;
	uint8_t st[8][10];
	uint32_t fctrl, fstat, ftag, fiseg, fioff, foseg, fooff, fop;
	uint8_t xmm[16][16];
	uint8_t ymmh[16][16]; /* upper halves of ymm registers */
	uint32_t mxcsr;
	uint64_t fs_base, gs_base, k_gs_base;
	uint64_t cr0, cr2, cr3, cr4, cr8, efer;
	uint64_t user_cr3; /* the root of user mode's page tables */
	uint64_t icount, brctr;
};

/* The protocol's numbers, in Z packets. */
enum gdb_point { GDB_SW_BREAK, GDB_HW_BREAK, GDB_WATCH, GDB_RWATCH, GDB_AWATCH, GDB_POINTS };

enum gdb_move { GDB_STEP, GDB_RANGE, GDB_CONTINUE, GDB_STEP_BACK, GDB_CONTINUE_BACK };

enum gdb_why {
	GDB_STOPPED,     /* stepped, or nothing special */
	GDB_AT_POINT,    /* point, addr */
	GDB_INTERRUPTED, /* by interrupt() */
	GDB_AT_BEGIN,    /* of the recording: there is nothing before */
	GDB_AT_END,
	GDB_EXITED,      /* the machine is no more; status */
};

struct gdb_stop {
	enum gdb_why why;
	enum gdb_point point;
	uint64_t addr;
	int status;
	char text[200];  /* something to tell the user, a line; "": nothing */
};

typedef void gdb_print(void *ctx, const char *text);

struct gdb_target_ops {
	void (*regs)(void *ctx, struct gdb_regs *r);
	int (*set_regs)(void *ctx, const struct gdb_regs *r, struct ttd_error *e);
	/* Bytes that could be read from va on. */
	size_t (*read)(void *ctx, uint64_t va, void *p, size_t n);
	int (*write)(void *ctx, uint64_t va, const void *p, size_t n, struct ttd_error *e);
	/* -1: no more of them, or no memory. */
	int (*insert)(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len);
	void (*remove)(void *ctx, enum gdb_point type, uint64_t addr, uint64_t len);
	/* GDB_RANGE: steps while rip is in [from, to). */
	void (*move)(void *ctx, enum gdb_move how, uint64_t from, uint64_t to,
		struct gdb_stop *out);
	void (*interrupt)(void *ctx); /* [any thread] move() returns soon */
	/* A command of the user's; its output goes to print. */
	void (*monitor)(void *ctx, char *line, gdb_print *print, void *print_ctx);
	void (*thread)(void *ctx, char *text, size_t n); /* what is running, for people */
	void (*detached)(void *ctx); /* the client has gone: its points go too */
};

struct gdb_target {
	const struct gdb_target_ops *ops;
	void *ctx;
};

#endif
