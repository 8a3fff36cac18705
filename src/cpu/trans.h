/*
 * trans.h - the state of one block being translated, and the emitters.
 */
#ifndef TTD_CPU_TRANS_H
#define TTD_CPU_TRANS_H

#include "cpu/emit.h"
#include "cpu/internal.h"
#include "cpu/recipe.h"

/* Host code that goes after the block: it runs rarely. */
enum cold_kind {
	COLD_SLOW,   /* a TLB check failed: recover the address, call glue */
	COLD_GLUE,   /* just call glue with the site */
	COLD_GROUP,  /* the same of a group's check */
	COLD_EXIT,   /* a branch taken in mid-block that is not linked */
	COLD_LINK,   /* a jump that has not been linked yet */
	COLD_FAR,    /* the same to another page of user mode */
	COLD_AC,     /* a misaligned operand with the AC flag set */
	COLD_LATE,   /* the late check found the budget used up: finish one instruction */
};

/* A guest's register that a scratch register holds: regs.c. */
struct kept {
	int8_t reg;   /* NO_REG: none */
	bool changed; /* its home has an older value */
	bool pinned;  /* an operand of the instruction at hand */
};

struct cold {
	enum cold_kind kind;
	uint8_t *from;        /* rel32 to patch */
	const struct site *site;
	uint32_t glue;
	uint8_t tag;          /* COLD_SLOW, COLD_GROUP: TLB_RTAG or TLB_WTAG */
	bool stack;           /* COLD_GROUP: it is the stack's tag */
	uint64_t target;      /* COLD_EXIT: offset in the page, may be outside it */
	uint8_t n, b;         /* instructions and branches done */
	uint8_t paid_n, paid_b; /* and paid for */
	uint8_t fl;           /* where the flags are */
	struct recipe rec;
	struct kept kept[KEPT];
	struct link *link;    /* COLD_LINK, COLD_FAR */
	const struct insn *in; /* COLD_LATE */
};

/* A run of accesses around one register under one check. */
struct group {
	int8_t base;
	int first, last; /* indices of instructions */
	int lo, hi;      /* byte range relative to base before the first */
	bool write;
};

struct tr {
	struct out o;
	struct cpu *c;
	struct block *b;
	uint64_t page;       /* virtual address of the page */
	bool abs;            /* addresses built in: mode_is_placed() */
	bool native;         /* memory is where the guest has it: BM_SPACE, not careful */
	bool compat;
	bool careful, temp;
	bool pass;          /* breakpoints on the first instruction have been looked at */
	int count;           /* instructions decoded */
	struct insn in[MAX_BLOCK];
	int i;               /* current one */
	unsigned n, br;      /* retired before it */
	enum fstate fs;
	struct recipe rec;   /* of the flags as they are now; REC_NONE: unknown */
	int nrecs;
	struct recipe recs[MAX_RECIPES]; /* that sites refer to */
	bool next_straddles; /* the instruction after the block is in two pages */
	bool late;           /* block head check is still to come */
	struct kept kept[KEPT]; /* by r10, r11: regs.c */
	int8_t delta_reg;    /* r10 == cpu.delta[delta_reg]; NO_REG: it holds none */
	bool x87, high;      /* cpu.whole_fx, cpu.high have been set */
	int lag;             /* bytes rsp still has to move: see stack.c */
	bool reuse[MAX_BLOCK];       /* r11 is the operand's host address already */
	bool write_ahead[MAX_BLOCK]; /* check for writing: a reuse writes */
	int ngroups;
	struct group groups[MAX_BLOCK];
	int ncold;
	struct cold cold[5 * MAX_BLOCK];
	const struct cold *in_cold; /* being emitted, after all that is not cold */
	struct {
		uint8_t *cost;        /* where to put it, when its end is known */
		unsigned n, br;       /* done before it */
		struct site *site;    /* its first ones */
		int cold;
	} piece;              /* C2 */
};

static inline bool homed(int reg) { return reg == R10 || reg == R11 || reg == R15; }
static inline struct ea home(const struct tr *t, int reg) { return EA_ABS(&t->c->s.gpr[reg]); }
static inline struct ea field(const void *p) { return EA_ABS(p); }

/* trans.c: the pieces that a block is paid by */
void piece_cost(struct tr *t, uint8_t *imm); /* this one's cost is to be put there */

/* regs.c */
void regs_clear(struct tr *t);
void regs_home(struct tr *t);   /* homes are right */
void regs_forget(struct tr *t); /* and r10 and r11 free */
void regs_free(struct tr *t, int host);
unsigned regs_changed(const struct tr *t);
bool regs_suit(const struct tr *t, const struct insn *in);
int regs_hold(struct tr *t, int reg, bool reads);
int regs_operand(struct tr *t, const struct insn *in, int reg); /* -1: has no home in memory */
struct ea regs_address(struct tr *t, const struct insn *in);
void regs_done(struct tr *t, const struct insn *in);

/* flags.c */
void flags_free(struct tr *t);   /* make the host's flags free to clobber */
void flags_saved(struct tr *t);  /* the same, and the guest's are in cpu.flags */
void flags_host(struct tr *t);   /* make the guest's flags the host's */
void flags_forget(struct tr *t); /* flags_saved(), and what registers tell is void */
void flags_before(struct tr *t, const struct insn *in);  /* checks done, effects next */
void flags_written(struct tr *t, const struct insn *in); /* in has just been emitted */
void late_check(struct tr *t, const struct insn *in);
uint8_t *budget_check(struct tr *t); /* pays for the block; the jump to take when broke */
enum { BUDGET_CHECK = 13 };      /* bytes */

/* access.c: the one module that knows how guest memory is reached */
struct site *site_here(struct tr *t, const struct insn *in, unsigned size);
void code_addr(struct tr *t, int64_t off); /* r11 = so far from the start of the code's page */
static inline unsigned mem_scale(const struct insn_mem *m) /* as SIB has it */
{
	return m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2 ? 1 : 0;
}
void access_addr(struct tr *t, const struct insn *in, int rsp_bias); /* r11 = linear address */
void access_check(struct tr *t, struct site *s, unsigned size, bool write); /* r11 = host address */
void access_mem(struct tr *t, const struct insn *in, unsigned size, bool write);
struct ea access_operand(struct tr *t, const struct insn *in); /* checked; takes r10 or r11 */
enum {
	TLB_ENTRY_SHIFT = 5,
	TLB_RTAG = offsetof(struct tlb_entry, rtag), TLB_WTAG = offsetof(struct tlb_entry, wtag),
	TLB_HOST = offsetof(struct tlb_entry, host), TLB_DELTA = offsetof(struct tlb_entry, delta),
};
_Static_assert(sizeof(struct tlb_entry) == 1 << TLB_ENTRY_SHIFT, "the index is scaled by that");
void access_entry(struct tr *t, uint32_t op, int reg, unsigned field); /* op field, reg; of r10's */
void access_lookup(struct tr *t, unsigned tag, unsigned size);
struct ea access_native(struct tr *t, const struct insn *in); /* in native code; takes r10 and r11 */
struct tlb *access_tlb(struct tr *t);

/* group.c */
void plan_groups(struct tr *t);
void group_begin(struct tr *t, const struct insn *in);
bool group_covers(const struct tr *t, int base);
void group_write_ahead(struct tr *t, const struct insn *in);
struct ea group_operand(struct tr *t, int base, int disp);

/* op.c */
bool op_may_trap(const struct insn *in);
void op_generic(struct tr *t, const struct insn *in);
void op_lea(struct tr *t, const struct insn *in);
void op_moffs(struct tr *t, const struct insn *in);
void op_bt(struct tr *t, const struct insn *in);
void op_fxsave(struct tr *t, const struct insn *in);
void op_helper(struct tr *t, const struct insn *in, uint32_t glue, uint64_t arg);
void op_from_seg(struct tr *t, const struct insn *in);
void op_leave(struct tr *t, const struct insn *in, uint32_t glue, uint64_t arg);

/* stack.c */
bool stack_may_lag(const struct tr *t, const struct insn *in);
void stack_sync(struct tr *t); /* rsp is exact again */
void op_push(struct tr *t, const struct insn *in);
void op_pop(struct tr *t, const struct insn *in);
void op_leave_frame(struct tr *t, const struct insn *in);
void push_return(struct tr *t, const struct insn *in);
void pop_return(struct tr *t, const struct insn *in);

/* branch.c */
void op_jcc(struct tr *t, const struct insn *in);
void op_loop(struct tr *t, const struct insn *in);
void op_jmp(struct tr *t, const struct insn *in);
void op_jmp_ind(struct tr *t, const struct insn *in);
void op_call(struct tr *t, const struct insn *in);
void op_call_ind(struct tr *t, const struct insn *in);
void op_ret(struct tr *t, const struct insn *in);
void exit_to(struct tr *t, uint64_t off); /* leave the block for an offset in the page */
void exit_far(struct tr *t, uint64_t off); /* the same through the jump cache */
void cold_emit(struct tr *t);
struct cold *cold_new(struct tr *t, enum cold_kind kind, uint8_t *from);

#endif
