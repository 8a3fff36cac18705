/*
 * unwind.h - stacks of a stopped guest: the kernel's by its ORC tables, those
 * of programs by their .eh_frame; each frame says how it was found.
 */
#ifndef TTD_INSPECT_UNWIND_H
#define TTD_INSPECT_UNWIND_H

#include "inspect/guest.h"

enum guest_how {
	HOW_HERE,    /* registers: the CPU's, or of a task that was switched out */
	HOW_TABLE,   /* a table says so: exact */
	HOW_TRAP,    /* registers saved by an exception, interrupt or system call */
	HOW_POINTER, /* by frame pointers, if the code has them */
	HOW_GUESS,   /* a word on the stack that may be a return address */
};

/* The machine's registers at a frame, by their DWARF numbers as far as that goes. */
enum { REG_AX, REG_DX, REG_CX, REG_BX, REG_SI, REG_DI, REG_BP, REG_SP, REG_R8, REG_IP = 16, REGS };

struct guest_frame {
	enum guest_how how;
	bool user;
	uint64_t ip, sp;
	uint64_t where; /* an address in the code that runs: ip, or the call before it */
};

struct guest_regs {
	uint64_t r[REGS];
	uint32_t known;  /* a bit for each */
	bool exact;      /* ip is an instruction to run, not where a call returns to */
};

static inline bool reg_known(const struct guest_regs *g, unsigned i)
{
	return (g->known >> i & 1) != 0;
}

static inline void reg_set(struct guest_regs *g, unsigned i, uint64_t value)
{
	g->r[i] = value;
	g->known |= 1u << i;
}

typedef bool guest_frame_fn(void *ctx, const struct guest_frame *f);

/*
 * The kernel's part of a task's stack: calls fn for each frame until it
 * returns false.  true and *user: registers of the program that entered the
 * kernel (at once when it is not in the kernel); false: there are none.
 */
bool guest_unwind_kernel(const struct guest_view *v, const struct guest_task *t,
	guest_frame_fn *fn, void *ctx, struct guest_regs *user);

/* ---- ORC (orc.c) ---- */

enum orc_type { ORC_UNDEFINED, ORC_END, ORC_CALL, ORC_REGS, ORC_PARTIAL };

/* One entry: where the caller's stack pointer and frame pointer are. */
struct orc_entry {
	int16_t sp_offset, bp_offset;
	uint8_t sp_reg, bp_reg;
	enum orc_type type;
};

/* The kernel's tables, looked up once. */
struct orc {
	const struct guest_view *v;
	uint64_t ips, entries, count; /* of the kernel proper; count 0: there are none */
	struct type_member sp_offset, bp_offset, sp_reg, bp_reg, type;
	uint32_t size;
	bool old_types; /* up to Linux 6.3: the end has a bit of its own */
	struct type_member end;
	uint64_t text[4]; /* start and end of the code, and of code that is run at boot */
};

bool orc_open(struct orc *o, const struct guest_view *v);
/* addr is code of the kernel's or of a module's. */
bool orc_is_text(const struct orc *o, uint64_t addr);
bool orc_find(const struct orc *o, uint64_t ip, struct orc_entry *e);

#endif
