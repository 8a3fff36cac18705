/*
 * guest.h - a stopped Linux guest seen from outside: what runs, and where its
 * memory comes from.  Reads only, and believes nothing: every pointer in a
 * guest may be wrong, every list endless.
 */
#ifndef TTD_INSPECT_GUEST_H
#define TTD_INSPECT_GUEST_H

#include "cpu/cpu.h"
#include "inspect/btf.h"
#include "inspect/symbols.h"
#include "mem/mem.h"

enum { GUEST_TEXT = 256, GUEST_COMM = 16 };

struct guest_view {
	const struct mem *mem;
	const struct cpu_state *cpu;
	const struct symbols *symbols;
	const struct btf *btf;
};

struct guest_task {
	uint64_t task;    /* address of its task_struct */
	uint64_t mm;      /* 0: a kernel thread */
	int32_t tid, pid; /* as user space calls them */
	char comm[GUEST_COMM + 1];
	char command[GUEST_TEXT]; /* arguments with spaces between; may be empty */
	char binary[GUEST_TEXT];  /* path; may be empty */
};

/* Where a user address comes from. */
struct guest_map {
	uint64_t start, end, offset; /* of the mapping; in the file */
	char file[GUEST_TEXT];       /* empty: no file */
};

/* n bytes of kernel or user memory as the kernel sees it now; false: not mapped. */
bool guest_read(const struct guest_view *v, uint64_t va, void *p, size_t n);

/* The running task.  false: there is none yet, or it cannot be made out. */
bool guest_current(const struct guest_view *v, struct guest_task *t);

/* The mapping of the task's that holds a user address. */
bool guest_map_find(const struct guest_view *v, const struct guest_task *t, uint64_t va,
	struct guest_map *m);

#endif
