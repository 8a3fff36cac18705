/*
 * unwind.c - the kernel's part of a stack: walk.c's steps, its table ORC, with the
 * same rules as Linux's own unwinder, so the same frames.  What the entry code
 * saved of the program is at the end.
 */
#include <string.h>

#include "inspect/walk.h"
#include "util/bytes.h"

enum { GUESSES_MAX = 32, STACK_DEFAULT = 16384, CPL = 3 };

/* Numbers of the format. */
enum orc_reg {
	ORC_REG_PREV_SP = 1, ORC_REG_DX, ORC_REG_DI, ORC_REG_BP, ORC_REG_SP, ORC_REG_R10,
	ORC_REG_R13, ORC_REG_BP_INDIRECT, ORC_REG_SP_INDIRECT,
};

struct unwind {
	struct walk w;
	struct orc orc;
};

/* ---- registers saved in memory ---- */

static const struct { const char *name; uint8_t reg; } saved[] = {
	{ "ax", REG_AX }, { "dx", REG_DX }, { "cx", REG_CX }, { "bx", REG_BX }, { "si", REG_SI },
	{ "di", REG_DI }, { "bp", REG_BP }, { "sp", REG_SP }, { "r8", 8 }, { "r9", 9 },
	{ "r10", 10 }, { "r11", 11 }, { "r12", 12 }, { "r13", 13 }, { "r14", 14 }, { "r15", 15 },
	{ "ip", REG_IP },
};

/* A whole struct pt_regs. */
static bool load_regs(const struct guest_view *v, uint64_t at, struct guest_regs *g, bool *user)
{
	uint64_t value;

	g->known = 0;
	g->exact = true;
	for (unsigned i = 0; i < sizeof saved / sizeof *saved; i++) {
		if (!guest_get(v, at, "pt_regs", saved[i].name, &value))
			return false;
		reg_set(g, saved[i].reg, value);
	}
	if (!guest_get(v, at, "pt_regs", "cs", &value))
		return false;
	*user = (value & CPL) == CPL;
	return true;
}

/* Only what the CPU (or Xen) pushed: ip, cs, flags, sp, ss.  Others stay known. */
static bool load_partial(const struct guest_view *v, uint64_t at, struct guest_regs *g,
	bool *user)
{
	uint64_t word[5];

	if (!guest_read(v, at, word, sizeof word))
		return false;
	reg_set(g, REG_IP, word[0]);
	reg_set(g, REG_SP, word[3]);
	g->exact = true;
	*user = (word[1] & CPL) == CPL;
	return true;
}

/* Where the CPU stands. */
static void guest_cpu_regs(const struct cpu_state *s, struct guest_regs *g)
{
	static const uint8_t dwarf[8] = { REG_AX, REG_CX, REG_DX, REG_BX, REG_SP, REG_BP, REG_SI,
		REG_DI };

	g->known = 0;
	for (unsigned i = 0; i < 16; i++)
		reg_set(g, i < 8 ? dwarf[i] : i, s->gpr[i]);
	reg_set(g, REG_IP, s->rip);
	g->exact = true;
}

/* Where a task that does not run was switched out. */
static bool sleeping_regs(const struct guest_view *v, uint64_t task, struct guest_regs *g)
{
	static const char t[] = "inactive_task_frame";
	uint32_t size = types_size(v->types, t);
	uint64_t at, ip, bp;

	g->known = 0;
	g->exact = false;
	if (size == 0 || !guest_get(v, task, "task_struct", "thread.sp", &at) ||
		!guest_get(v, at, t, "ret_addr", &ip) || !guest_get(v, at, t, "bp", &bp))
		return false;
	reg_set(g, REG_IP, ip);
	reg_set(g, REG_BP, bp);
	reg_set(g, REG_SP, at + size);
	return true;
}

/* ---- one step ---- */

static bool known(const struct guest_regs *g, unsigned reg, uint64_t *value)
{
	*value = g->r[reg];
	return reg_known(g, reg);
}

/* The address that an entry's sp_reg and sp_offset name. */
static bool orc_sp(const struct unwind *u, const struct orc_entry *e, uint64_t *sp)
{
	const struct guest_regs *g = &u->w.g;
	uint64_t off = (uint64_t)(int64_t)e->sp_offset, at;

	switch (e->sp_reg) {
	case ORC_REG_SP: *sp = g->r[REG_SP] + off; return true;
	case ORC_REG_BP: *sp = g->r[REG_BP] + off; return reg_known(g, REG_BP);
	case ORC_REG_DX: return known(g, REG_DX, sp);
	case ORC_REG_DI: return known(g, REG_DI, sp);
	case ORC_REG_R10: return known(g, 10, sp);
	case ORC_REG_R13: return known(g, 13, sp);
	case ORC_REG_BP_INDIRECT:
		return known(g, REG_BP, &at) && guest_read(u->w.v, at + off, sp, 8);
	case ORC_REG_SP_INDIRECT:
		/* Up to Linux 5.11 the offset was the slot's. */
		if (guest_read(u->w.v, g->r[REG_SP], sp, 8) && *sp >= KERNEL_START) {
			*sp += off;
			return true;
		}
		return guest_read(u->w.v, g->r[REG_SP] + off, sp, 8);
	default: return false;
	}
}

static void orc_bp(const struct unwind *u, const struct orc_entry *e, uint64_t sp,
	const struct guest_regs *old, struct guest_regs *g)
{
	uint64_t off = (uint64_t)(int64_t)e->bp_offset, bp;

	if (e->bp_reg == ORC_REG_PREV_SP && guest_read(u->w.v, sp + off, &bp, 8))
		reg_set(g, REG_BP, bp);
	else if (e->bp_reg == ORC_REG_BP && guest_read(u->w.v, old->r[REG_BP] + off, &bp, 8))
		reg_set(g, REG_BP, bp);
	else if (!reg_known(g, REG_BP) && reg_known(old, REG_BP))
		reg_set(g, REG_BP, old->r[REG_BP]);
}

static enum walk_step step_orc(struct walk *w, enum guest_how *how)
{
	struct unwind *u = (struct unwind *)w;
	struct guest_regs old = w->g, g = { .known = 0 };
	struct orc_entry e = { .sp_offset = 8, .sp_reg = ORC_REG_SP, .type = ORC_CALL };
	uint64_t sp, ip = old.r[REG_IP] - (old.exact ? 0 : 1);
	bool user = false;

	/* A jump to nowhere: the stack is as a call leaves it. */
	if (old.r[REG_IP] != 0 && !orc_find(&u->orc, ip, &e))
		return WALK_LOST;
	if (e.type == ORC_END)
		return WALK_END;
	if (e.type == ORC_UNDEFINED || !orc_sp(u, &e, &sp))
		return WALK_LOST;
	if (e.type == ORC_CALL) {
		uint64_t back;

		if (!guest_read(w->v, sp - 8, &back, 8))
			return WALK_LOST;
		reg_set(&g, REG_IP, back);
		reg_set(&g, REG_SP, sp);
		*how = HOW_TABLE;
	} else if (e.type == ORC_REGS) {
		if (!load_regs(w->v, sp, &g, &user))
			return WALK_LOST;
		*how = HOW_TRAP;
	} else {
		g = old;
		if (!load_partial(w->v, sp, &g, &user))
			return WALK_LOST;
		*how = HOW_TRAP;
	}
	orc_bp(u, &e, sp, &old, &g);
	w->g = g;
	return user ? WALK_USER : WALK_FRAME;
}

/* ---- all of it ---- */

/* The registers of the program are at the very end of the task's stack. */
static bool user_regs(const struct unwind *u, struct guest_regs *user)
{
	uint32_t size = types_size(u->w.v->types, "pt_regs");
	bool is_user = false;

	return u->w.top != 0 && size != 0 && load_regs(u->w.v, u->w.top - size, user, &is_user) &&
		is_user;
}

static bool is_text(const struct walk *w, uint64_t va)
{
	return orc_is_text(&((const struct unwind *)w)->orc, va);
}

bool guest_unwind_kernel(const struct guest_view *v, const struct guest_task *t,
	guest_frame_fn *fn, void *ctx, struct guest_regs *user)
{
	struct unwind u = { .w = { .v = v, .fn = fn, .ctx = ctx, .lowest = KERNEL_START,
		.frame_max = STACK_DEFAULT, .guess_bytes = STACK_DEFAULT,
		.guesses_max = GUESSES_MAX, .by_table = step_orc, .is_code = is_text } };
	uint32_t size = types_size(v->types, "thread_union");
	uint64_t stack;

	orc_open(&u.orc, v);
	if (t != NULL && size != 0 && guest_get(v, t->task, "task_struct", "stack", &stack))
		u.w.top = stack + size;
	if (t == NULL || t->current) {
		guest_cpu_regs(v->cpu, &u.w.g);
		if (v->cpu->mode == MEM_USER) {
			*user = u.w.g;
			return true;
		}
	} else if (!sleeping_regs(v, t->task, &u.w.g)) {
		return false;
	}
	switch (walk_up(&u.w, HOW_HERE)) {
	case WALK_USER: *user = u.w.g; return true;
	case WALK_END: return false;
	default: return !u.w.stopped && user_regs(&u, user);
	}
}
