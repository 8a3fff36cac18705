/*
 * guest.h - a stopped Linux guest seen from outside: what runs, where its
 * memory comes from, what its kernel said.  Reads only, and believes nothing:
 * every pointer in a guest may be wrong, every list endless, every text binary.
 *
 * How it thinks.  Nothing is known about a particular kernel.  Names and
 * addresses come from the kernel's kallsyms, layouts of structures from its
 * BTF; locate.c finds both in the guest's memory.  What a kernel does not have
 * (a member that came or went with a version) shows as a failed look-up, and
 * the code asks for the other form then.
 *
 *  GU1. Whatever follows pointers counts its steps: a walk ends.
 *  GU2. What is read is copied, once, and judged in the copy.
 */
#ifndef TTD_INSPECT_GUEST_H
#define TTD_INSPECT_GUEST_H

#include "cpu/cpu.h"
#include "inspect/dwarf.h"
#include "inspect/symbols.h"
#include "inspect/types.h"
#include "mem/mmu.h"
#include "util/err.h"

enum { GUEST_TEXT = 256, GUEST_COMM = 64 };

struct guest_view {
	const struct mem *mem;
	const struct mmu *mmu; /* of the vCPU that is looked at */
	const struct cpu_state *cpu;
	const struct symbols *symbols; /* may be NULL */
	const struct types *types;     /* NULL: only what types.c knows anyway */
	mfn_t root; /* page tables to go by; 0: those that the kernel has loaded */
};

struct guest_task {
	uint64_t task;    /* address of its task_struct */
	uint64_t mm;      /* 0: a kernel thread */
	int32_t tid, pid; /* as user space calls them */
	int32_t ppid;
	uint32_t uid;
	char state;       /* as ps shows it: R S D T t X Z P I; '?' */
	bool kthread, current;
	uint64_t vsz, rss; /* bytes */
	uint64_t utime_ns, stime_ns, start_ns;
	char comm[GUEST_COMM + 1];
	char command[GUEST_TEXT]; /* arguments with spaces between; may be empty */
	char binary[GUEST_TEXT];  /* path; may be empty */
};

/* A part of a process's address space. */
struct guest_map {
	uint64_t start, end, offset; /* of the mapping; in the file */
	uint64_t inode, mapping;     /* mapping: address of the file's pages' struct */
	uint32_t major, minor;
	char flags[5];               /* "r-xp" */
	char file[GUEST_TEXT];       /* path, or what it is: "[heap]"; empty: nothing */
};

/* ---- memory (read.c) ---- */

/* n bytes at va by the view's page tables; false: not mapped. */
bool guest_read(const struct guest_view *v, uint64_t va, void *p, size_t n);
/* As many of n bytes as are mapped without a gap. */
size_t guest_read_some(const struct guest_view *v, uint64_t va, void *p, size_t n);
/* The machine frame that va leads to; MFN_NONE: none. */
mfn_t guest_frame(const struct guest_view *v, uint64_t va);
/* A text of at most n - 1 bytes, cut there; its length.  -1: not mapped. */
int guest_string(const struct guest_view *v, uint64_t va, char *p, size_t n);

/* An integer member, whatever its width, of the structure at `at`. */
bool guest_get(const struct guest_view *v, uint64_t at, const char *type, const char *path,
	uint64_t *value);
/* The address of a kernel variable by name. */
bool guest_symbol(const struct guest_view *v, const char *name, uint64_t *addr);
/* The pointer (or other 8 bytes) that a kernel variable holds. */
bool guest_variable(const struct guest_view *v, const char *name, uint64_t *value);

/* Going through a list_head: GU1. */
struct guest_list {
	const struct guest_view *v;
	uint64_t head, at, seen;
	uint32_t offset; /* of the list_head in each element */
	uint64_t left, next_mark, steps;
};
/* `head` is the address of a list_head; `path` says where in `type` elements have theirs. */
bool guest_list_start(struct guest_list *l, const struct guest_view *v, uint64_t head,
	const char *type, const char *path);
/* The next element's address; 0: no more, or the list is broken. */
uint64_t guest_list_next(struct guest_list *l);

/* ---- the kernel's own tables (locate.c, modules.c) ---- */

/* Where to look when the guest's memory does not say. */
struct guest_files {
	/* Names of the kernel's addresses, or NULL; they are taken over. */
	struct symbols *(*symbols)(void *ctx);
	void *ctx;
	struct dwarf *kernel; /* its structures; NULL: there is no file.  It must outlive the view */
};

/*
 * Fills v->symbols and v->types out of the guest's memory, or else out of files
 * (f may be NULL); guest_forget() frees them.  -1, *e: there are no symbols.
 */
int guest_locate(struct guest_view *v, const struct guest_files *f, struct ttd_error *e);
void guest_forget(struct guest_view *v);
/* The kernel's build id; its length, 0: it has none. */
size_t guest_build_id(const struct guest_view *v, uint8_t id[64]);
/* Calls fn for each module that is loaded. */
struct guest_module {
	char name[64];
	uint64_t at;         /* its struct module */
	uint64_t base, size; /* of its code */
};
bool guest_modules(const struct guest_view *v, bool (*fn)(void *ctx,
	const struct guest_module *m), void *ctx);
/* Adds a module's symbols.  -1: no memory. */
int guest_module_symbols(const struct guest_view *v, const struct guest_module *m,
	struct symbols *s);

/* ---- tasks (guest.c) ---- */

/* The running task.  false: there is none yet, or it cannot be made out. */
bool guest_current(const struct guest_view *v, struct guest_task *t);
bool guest_task_at(const struct guest_view *v, uint64_t task, struct guest_task *t);
/* By what user space calls it. */
bool guest_task_find(const struct guest_view *v, int32_t tid, struct guest_task *t);
/*
 * Calls fn for each process, with `threads` for each thread, in the order of
 * the kernel's list, until it returns false.  -1: the list is not to be found.
 */
int guest_tasks(const struct guest_view *v, bool threads,
	bool (*fn)(void *ctx, const struct guest_task *t), void *ctx);
/* The same guest as its process sees it.  false: no page tables are to be found. */
bool guest_enter(const struct guest_view *v, const struct guest_task *t,
	struct guest_view *its);

/* ---- mappings (maps.c) ---- */

/* The mapping of the task's that holds a user address. */
bool guest_map_find(const struct guest_view *v, const struct guest_task *t, uint64_t va,
	struct guest_map *m);
/* Calls fn for each, in the order of addresses, until it returns false.  -1: cannot be read. */
int guest_maps(const struct guest_view *v, const struct guest_task *t,
	bool (*fn)(void *ctx, const struct guest_map *m), void *ctx);
/* The path of an open file (a struct file). */
void guest_file_path(const struct guest_view *v, uint64_t file, char out[GUEST_TEXT]);

/* ---- messages (printk.c) ---- */

enum { GUEST_MESSAGE_MAX = 2048 };

struct guest_message {
	uint64_t seq, ts_ns;
	unsigned facility, level;
	bool open;      /* more may have been to come: it is not finished by a newline */
	bool lost;      /* its text is gone */
	uint32_t caller; /* task id, or the CPU's number with the top bit set */
	size_t len;
	char text[GUEST_MESSAGE_MAX]; /* may hold newlines; ends with NUL */
	char subsystem[16], device[48]; /* empty: none */
};

/* Oldest first, until fn returns false.  -1: *e. */
int guest_messages(const struct guest_view *v, bool (*fn)(void *ctx,
	const struct guest_message *m), void *ctx, struct ttd_error *e);

#endif
