/*
 * stack.c - push, pop, and the stack halves of call and ret.
 *
 * Covered by a group's check, the slot is [rsp + disp + r10]; else the slot's
 * address goes through access_check() into r11.
 *
 * In a run of covered pushes and pops rsp is not moved by each: it lags behind,
 * and catches up before anything else looks at it or could leave the block.
 */
#include "cpu/trans.h"

static int width(const struct tr *t) { return t->compat ? 4 : 8; }

static void move_rsp(struct tr *t, int by)
{
	t->lag += by;
	if (!group_covers(t, RSP))
		stack_sync(t);
}

void stack_sync(struct tr *t)
{
	if (t->lag != 0)
		e_rm(&t->o, !t->compat, X_LEA, RSP, EA_BASE(RSP, t->lag));
	t->lag = 0;
}

/* Neither names rsp, nor has a site, nor leaves: or is a covered stack access. */
bool stack_may_lag(const struct tr *t, const struct insn *in)
{
	switch (in->kind) {
	case K_PUSH:
	case K_POP:
		return !in->has_mem && in->opreg != RSP && in->rm != RSP && group_covers(t, RSP);
	case K_CALL:
	case K_RET:
		return group_covers(t, RSP);
	case K_NOP:
		return true;
	case K_GENERIC:
		return !in->has_mem && !in->fp && !t->late && in->reg != RSP && in->rm != RSP &&
			in->opreg != RSP && in->map <= 1 && (in->opcode & 0xfe) != 0xf6;
	default:
		return false;
	}
}

/* The slot a push writes, as an operand; clobbers both scratch registers. */
static struct ea push_slot(struct tr *t, const struct insn *in)
{
	struct site *s;

	if (group_covers(t, RSP))
		return group_operand(t, RSP, t->lag - 8);
	flags_free(t);
	s = site_here(t, in, (unsigned)width(t));
	e_rm(&t->o, !t->compat, X_LEA, R11, EA_BASE(RSP, -width(t)));
	access_check(t, s, (unsigned)width(t), true);
	return EA_BASE(R11, 0);
}

static struct ea pop_slot(struct tr *t, const struct insn *in, int base)
{
	struct site *s;

	if (base == RSP && group_covers(t, RSP))
		return group_operand(t, RSP, t->lag);
	flags_free(t);
	s = site_here(t, in, (unsigned)width(t));
	e_rr(&t->o, !t->compat, X_MOV, base, R11);
	access_check(t, s, (unsigned)width(t), false);
	return EA_BASE(R11, 0);
}

/* The scratch register that the slot's address leaves free. */
static int spare(struct tr *t, struct ea slot)
{
	if (slot.index == R10)
		return R11;
	t->delta_reg = NO_REG;
	return R10;
}

static void store_slot(struct tr *t, struct ea slot, int reg)
{
	e_rm(&t->o, !t->compat, X_MOV, reg, slot);
}

static void push_mem(struct tr *t, const struct insn *in)
{
	struct ea slot;
	int tmp;

	access_mem(t, in, (unsigned)width(t), false);
	e_rm(&t->o, !t->compat, X_MOV_R, R11, EA_BASE(R11, 0));
	e_store(&t->o, field(&t->c->tmp[1]), R11);
	slot = push_slot(t, in);
	tmp = spare(t, slot);
	e_load(&t->o, tmp, field(&t->c->tmp[1]));
	store_slot(t, slot, tmp);
	move_rsp(t, -width(t));
}

/* In the mapped space: the guest's own instruction, or its like (C6: all are one access or restart). */
static void native_push(struct tr *t, const struct insn *in, int reg)
{
	reg = regs_hold(t, reg, true);
	site_here(t, in, 8);
	if (in->has_mem) {
		e_rm(&t->o, 0, X_BRANCH, EXT_PUSH, access_native(t, in));
	} else if (reg == NO_REG) {
		e8(&t->o, B_PUSH_IMM);
		e32(&t->o, (uint32_t)in->imm);
	} else {
		e_push(&t->o, reg);
	}
	regs_done(t, in);
}

/* An address that counts from rsp does so after the pop, also where it is made before it. */
static void native_pop_mem(struct tr *t, const struct insn *in)
{
	struct insn after = *in;

	if (in->mem.base == RSP && (in->mem.addr32 || in->mem.seg >= 0))
		after.mem.disp += 8;
	e_rm(&t->o, 0, X_POP_MEM, EXT_POP, access_native(t, &after));
}

static void native_pop(struct tr *t, const struct insn *in, int reg)
{
	flags_before(t, in);
	reg = regs_hold(t, reg, false);
	site_here(t, in, 8);
	if (in->has_mem)
		native_pop_mem(t, in);
	else
		e_pop(&t->o, reg);
	regs_done(t, in);
}

void op_push(struct tr *t, const struct insn *in)
{
	int reg = in->opreg != NO_REG ? in->opreg : in->rm;
	struct ea slot;

	if (t->native) {
		native_push(t, in, reg);
		return;
	}

	if (in->has_mem) {
		push_mem(t, in);
		return;
	}
	slot = push_slot(t, in);
	if (reg == NO_REG) {
		e_rm(&t->o, !t->compat, X_MOV_IMM, 0, slot);
		e32(&t->o, (uint32_t)in->imm);
	} else if (homed(reg)) {
		int tmp = spare(t, slot);

		e_load(&t->o, tmp, home(t, reg));
		store_slot(t, slot, tmp);
	} else {
		store_slot(t, slot, reg);
	}
	move_rsp(t, -width(t));
}

/* pop mem: the address counts from the rsp after the pop. */
static void pop_mem(struct tr *t, const struct insn *in)
{
	struct ea slot = pop_slot(t, in, RSP);
	struct site *s;

	e_rm(&t->o, !t->compat, X_MOV_R, R11, slot);
	e_store(&t->o, field(&t->c->tmp[1]), R11);
	flags_free(t);
	s = site_here(t, in, (unsigned)width(t));
	access_addr(t, in, width(t));
	access_check(t, s, (unsigned)width(t), true);
	e_load(&t->o, R10, field(&t->c->tmp[1]));
	store_slot(t, EA_BASE(R11, 0), R10);
	move_rsp(t, width(t));
}

void op_pop(struct tr *t, const struct insn *in)
{
	int reg = in->opreg != NO_REG ? in->opreg : in->rm;
	struct ea slot;

	if (t->native) {
		native_pop(t, in, reg);
		return;
	}
	if (in->has_mem) {
		pop_mem(t, in);
		return;
	}
	slot = pop_slot(t, in, RSP);
	if (recipe_uses(&t->rec, in->writes)) {
		flags_before(t, in);
		if (slot.index == R10)
			slot = group_operand(t, RSP, t->lag);
	}
	if (homed(reg)) {
		e_rm(&t->o, !t->compat, X_MOV_R, R11, slot);
		e_store(&t->o, home(t, reg), R11);
	} else {
		e_rm(&t->o, !t->compat, X_MOV_R, reg, slot);
		if (reg == RSP)
			return;
	}
	move_rsp(t, width(t));
}

/* leave: rsp = rbp, pop rbp */
void op_leave_frame(struct tr *t, const struct insn *in)
{
	struct ea slot;

	if (t->native) {
		site_here(t, in, 8);
		flags_before(t, in);
		e8(&t->o, B_LEAVE);
		return;
	}
	slot = pop_slot(t, in, RBP);
	flags_before(t, in);
	e_rm(&t->o, !t->compat, X_LEA, RSP, EA_BASE(RBP, width(t)));
	e_rm(&t->o, !t->compat, X_MOV_R, RBP, slot);
}

static void native_push_return(struct tr *t, const struct insn *in, uint64_t va)
{
	site_here(t, in, 8);
	if ((int64_t)va == (int32_t)va) {
		e8(&t->o, B_PUSH_IMM);
		e32(&t->o, (uint32_t)va);
	} else {
		e_imm(&t->o, R11, va);
		e_push(&t->o, R11);
	}
}

void push_return(struct tr *t, const struct insn *in)
{
	uint64_t va = t->page + in->off + in->len;
	struct ea slot;
	int tmp;

	if (t->native) {
		native_push_return(t, in, va);
		return;
	}
	slot = push_slot(t, in);

	if (t->abs && (int64_t)va == (int32_t)va) {
		e_rm(&t->o, !t->compat, X_MOV_IMM, 0, slot);
		e32(&t->o, (uint32_t)va);
	} else {
		tmp = spare(t, slot);
		if (t->abs) {
			e_imm(&t->o, tmp, va);
		} else {
			e_load(&t->o, tmp, field(&t->c->pcbase));
			e_lea(&t->o, tmp, EA_BASE(tmp, in->off + in->len));
		}
		store_slot(t, slot, tmp);
	}
	move_rsp(t, -width(t));
	stack_sync(t);
}

/* r11 = return address; flags saved. */
void pop_return(struct tr *t, const struct insn *in)
{
	struct ea slot;

	flags_saved(t);
	if (t->native) {
		site_here(t, in, 8);
		e_pop(&t->o, R11);
		if (in->imm_len != 0)
			e_lea(&t->o, RSP, EA_BASE(RSP, (uint16_t)in->imm));
		return;
	}
	slot = pop_slot(t, in, RSP);
	e_rm(&t->o, !t->compat, X_MOV_R, R11, slot);
	move_rsp(t, width(t) + (int)(in->imm_len ? (uint16_t)in->imm : 0));
	stack_sync(t);
}
