/*
 * view.h - looking into a stopped Linux guest: its registers, memory,
 * processes, messages and stacks.  Part of <ttd/ttd.h>.
 *
 * A view reads a machine that stands still and changes nothing in it.  All it
 * needs to know of the guest's kernel is in the guest's memory: its names
 * (kallsyms) and the layout of its structures (BTF).  It stays good while the
 * machine is moved to other positions, but modules that the kernel loads or
 * unloads on the way are noticed by a new view only.
 *
 * What comes out of a guest is bytes that somebody else wrote.  Texts here end
 * with NUL and are otherwise as they were found, except for control characters,
 * which are replaced where nothing else is said.
 */
#ifndef TTD_VIEW_H
#define TTD_VIEW_H

#include <ttd/session.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ttd_view;

struct ttd_view_options {
	size_t size;
	/*
	 * A vmlinux with DWARF: the kernel's source lines.  It or a System.map also
	 * stands in for a kernel without kallsyms.  NULL: none.
	 */
	const char *symbols;
	/* Files that the guest's programs are read from when its memory lacks them. */
	const char *sysroot;        /* a folder that is the guest's / */
	const char *const *binary;  /* single files, matched by their last name */
	unsigned binaries;
};
#define TTD_VIEW_INIT \
	{ \
		.size = sizeof(struct ttd_view_options) \
	}

/* opt may be NULL.  The machine must outlive the view. */
TTD_API struct ttd_view *ttd_view_open(struct ttd_vm *vm, const struct ttd_view_options *opt,
	struct ttd_error *err);
TTD_API void ttd_view_close(struct ttd_view *view);

/* The kernel's and its modules' names; NULL: none were found.  The view's own. */
TTD_API const struct ttd_symbols *ttd_view_symbols(const struct ttd_view *view);

/* "do_exit+0x12/0x9f0 [module]" or "" for an address of the kernel's. */
TTD_API void ttd_view_name(const struct ttd_view *view, uint64_t addr, char *text, size_t n);

/* ---- registers ---- */

struct ttd_registers {
	uint64_t gpr[16]; /* rax rcx rdx rbx rsp rbp rsi rdi r8..r15 */
	uint64_t rip, rflags;
	uint16_t seg[6];  /* es cs ss ds fs gs */
	uint64_t fs_base, gs_base, other_gs_base; /* the other: of the mode that does not run */
	uint64_t kernel_table, user_table; /* machine addresses of page tables; 0: none */
	int user, code64; /* user mode; 64-bit code */
	uint64_t icount, brctr, guest_ns;
	uint8_t fx[512];  /* x87 and SSE, as fxsave64 stores them */
	int avx;          /* the machine has AVX */
	uint8_t ymm_high[16][16]; /* then, the upper halves of ymm registers */
};
TTD_API void ttd_view_registers(const struct ttd_view *view, struct ttd_registers *r);
/* The name of gpr[i]. */
TTD_API const char *ttd_register_name(unsigned i);

/* ---- memory ---- */

/* Whose memory: the address space that is loaded, or a process's by its id. */
#define TTD_SPACE_CURRENT 0
#define TTD_SPACE_MACHINE (-1) /* addresses are machine addresses */
/* Reads as many of n bytes as are there without a gap: how many; -1: *err. */
TTD_API long long ttd_view_read(const struct ttd_view *view, int space, uint64_t addr, void *p,
	size_t n, struct ttd_error *err);
/*
 * An address as users write it: a number, a symbol of the kernel's, a
 * register's name, each perhaps with +N or -N after it.
 */
TTD_API int ttd_view_address(const struct ttd_view *view, const char *text, uint64_t *addr,
	struct ttd_error *err);

/* ---- processes ---- */

struct ttd_process {
	int pid, tid, ppid;
	uint32_t uid;
	char state;      /* as ps shows it */
	int kernel;      /* a thread of the kernel's */
	int current;     /* it is the one that runs */
	uint64_t vsz, rss; /* bytes */
	uint64_t utime_ns, stime_ns, start_ns; /* start: since boot */
	uint64_t task;   /* address of its task_struct */
	char comm[72], command[256], binary[256]; /* the last two may be empty */
};
/* In the order of their ids; `threads`: each thread.  Until fn returns not 0. */
TTD_API int ttd_view_processes(const struct ttd_view *view, int threads,
	int (*fn)(void *ctx, const struct ttd_process *p), void *ctx, struct ttd_error *err);
/* The one that runs.  -1: none does yet, or it cannot be made out. */
TTD_API int ttd_view_current(const struct ttd_view *view, struct ttd_process *p);

struct ttd_mapping {
	uint64_t start, end, offset, inode;
	uint32_t major, minor;
	char flags[5];  /* "r-xp" */
	char name[256]; /* a path, "[heap]"; may be empty */
};
TTD_API int ttd_view_maps(const struct ttd_view *view, int pid,
	int (*fn)(void *ctx, const struct ttd_mapping *m), void *ctx, struct ttd_error *err);

/* ---- the kernel's messages ---- */

struct ttd_message {
	uint64_t seq, ts_ns;
	unsigned facility, level;
	int open; /* not finished yet: a continuation may follow */
	int lost; /* its text has been overwritten */
	uint32_t caller; /* of kernels that note it: a task's id, or CPU | 0x80000000 */
	size_t len;
	const char *text; /* len bytes and NUL: as found, with newlines, all kinds of bytes */
	const char *subsystem, *device; /* may be empty */
};
TTD_API int ttd_view_messages(const struct ttd_view *view,
	int (*fn)(void *ctx, const struct ttd_message *m), void *ctx, struct ttd_error *err);

/* ---- stacks ---- */

enum ttd_frame_how {
	TTD_FRAME_HERE,     /* registers: the CPU's, or of a task that was switched out */
	TTD_FRAME_TABLE,    /* the kernel's ORC or a program's .eh_frame says so: exact */
	TTD_FRAME_TRAP,     /* the registers that an exception, interrupt or system call saved */
	TTD_FRAME_POINTER,  /* by the chain of frame pointers, if there is one */
	TTD_FRAME_GUESS,    /* found on the stack; may be left over from something else */
};

struct ttd_frame {
	enum ttd_frame_how how;
	int user;            /* not the kernel */
	uint64_t ip, sp;
	uint64_t base;       /* user: where the file is loaded */
	char symbol[256];    /* empty: none is known */
	uint64_t offset, size; /* in the symbol; its size, 0: not known */
	char module[256];    /* the kernel's module, the program's file; empty: none */
	char source[256];    /* empty: not known */
	unsigned line;
};
/* tid 0: the task that runs, from where the CPU is. */
TTD_API int ttd_view_backtrace(struct ttd_view *view, int tid,
	int (*fn)(void *ctx, const struct ttd_frame *f), void *ctx, struct ttd_error *err);

/* ---- for other tools ---- */

/* Writes an ELF file with the kernel's and modules' symbols and code, for gdb. */
TTD_API int ttd_view_write_symbols(const struct ttd_view *view, const char *path,
	struct ttd_error *err);
/*
 * Writes registers and all memory as kdump does for a native machine (ELF, with VMCOREINFO),
 * for crash, drgn and gdb.  Page tables hold the guest's own page numbers in it, and the
 * kernel's pointer xen_start_info, by which crash would not think so, is zero.
 */
TTD_API int ttd_view_write_core(const struct ttd_view *view, const char *path,
	struct ttd_error *err);

#ifdef __cplusplus
}
#endif

#endif
