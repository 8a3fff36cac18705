/*
 * flags.c - where the guest's status flags are.
 *
 * A TLB check clobbers the host's flags, and a guest fault there must show the
 * exact ones.  So before the first check after an instruction that wrote flags
 * they are saved (lahf, seto: five cheap instructions, no restore unless some
 * instruction reads them), and they stay saved across block boundaries: a
 * block has one entry for each state.  Where registers still tell the flags
 * (recipe.h) even that is left out; at the back edge of a loop the recipe goes
 * along, to a translation of the loop's head that starts with it.
 *
 * A block whose first concern with flags is to overwrite them needs neither:
 * its budget check stands right before that instruction (the late check), and
 * when the budget is used up a copy of the instruction runs after the block,
 * after which the flags are exact again.
 */
#include "cpu/trans.h"

uint16_t flags_pack(uint64_t rflags)
{
	return (uint16_t)((rflags & 0xd5) << 8 | 0x200 | (rflags >> 11 & 1));
}

uint64_t flags_unpack(uint64_t rflags, uint16_t saved)
{
	return (rflags & ~(uint64_t)STATUS_FLAGS) | (saved >> 8 & 0xd5) |
		(uint64_t)(saved & 1) << 11;
}

enum { AH = 4 }; /* as a byte register, without REX */

static struct recipe no_recipe(void) { return (struct recipe){ .kind = REC_NONE }; }

/* op reg, rm or op rm, imm of the recipe's size. */
static void emit_sized(struct tr *t, unsigned rr, unsigned ext, int a, const struct recipe *r)
{
	struct out *o = &t->o;
	bool w = r->size == 8, byte = r->size == 1;
	unsigned imm_op = rr == X_TEST ? X_UNARY : X_ARITH;

	if (r->size == 2)
		e8(o, B_OPSIZE);
	if (r->b != NO_REG) {
		e_rex(o, w, r->b, -1, a, byte);
		e8(o, byte ? rr - 1 : rr);
		e8(o, MODRM_REG | ((unsigned)r->b & 7) << 3 | ((unsigned)a & 7));
		return;
	}
	e_rex(o, w, 0, -1, a, byte);
	e8(o, byte ? imm_op - 1 : imm_op);
	e8(o, MODRM_REG | ext << 3 | ((unsigned)a & 7));
	if (byte)
		e8(o, (uint8_t)r->imm);
	else if (r->size == 2)
		e8(o, (uint8_t)r->imm), e8(o, (uint8_t)(r->imm >> 8));
	else
		e32(o, (uint32_t)r->imm);
}

/* The first operand as it was before a destructive operation, in r10. */
static void undo(struct tr *t, const struct recipe *r)
{
	struct out *o = &t->o;

	t->delta_reg = NO_REG;
	regs_free(t, R10);
	if (r->b == NO_REG) {
		e_lea(o, R10, EA_BASE(r->a, r->kind == REC_SUB ? r->imm : -r->imm));
	} else if (r->kind == REC_SUB) {
		e_lea(o, R10, EA(r->a, r->b, 0, 0));
	} else {
		e_mov(o, R10, r->a);
		e_rr(o, 1, X_SUB, r->b, R10);
	}
}

static void emit_recipe(struct tr *t)
{
	const struct recipe *r = &t->rec;

	switch (r->kind) {
	case REC_TEST:
		emit_sized(t, X_TEST, EXT_TEST, r->a, r);
		break;
	case REC_SUB:
		undo(t, r);
		emit_sized(t, X_CMP, EXT_CMP, R10, r);
		break;
	case REC_ADD:
		undo(t, r);
		emit_sized(t, X_ADD, EXT_ADD, R10, r);
		break;
	default:
		emit_sized(t, X_CMP, EXT_CMP, r->a, r);
	}
	t->fs = FL_HOST;
}

void flags_free(struct tr *t)
{
	if (t->fs != FL_HOST)
		return;
	if (t->rec.kind != REC_NONE)
		t->fs = FL_RECIPE;
	else
		flags_saved(t);
}

void flags_saved(struct tr *t)
{
	struct out *o = &t->o;

	if (t->fs == FL_RECIPE)
		emit_recipe(t);
	if (t->fs != FL_HOST)
		return;
	regs_free(t, R10);
	e_mov(o, R10, RAX);
	e8(o, B_LAHF);
	e_rm(o, 0, X_SETO, 0, field(&t->c->flags));  /* seto flags */
	e_rm(o, 0, X_MOV8, AH, field((char *)&t->c->flags + 1));
	e_mov(o, RAX, R10);
	t->fs = FL_SAVED;
	t->delta_reg = NO_REG;
}

void flags_host(struct tr *t)
{
	struct out *o = &t->o;

	if (t->fs == FL_RECIPE)
		emit_recipe(t);
	if (t->fs != FL_SAVED)
		return;
	regs_free(t, R10);
	e_mov(o, R10, RAX);
	e_rm(o, 0, X_MOVZX8, RAX, field(&t->c->flags));
	e8(o, B_ADD_AL); e8(o, 0x7f); /* overflows: OF */
	e_rm(o, 0, X_MOV8_R, AH, field((char *)&t->c->flags + 1));
	e8(o, B_SAHF);
	e_mov(o, RAX, R10);
	t->fs = FL_HOST;
	t->delta_reg = NO_REG;
}

/*
 * The instruction's effects come next: if it changes a register of the recipe,
 * the flags must leave that state first, unless it overwrites them itself.
 */
void flags_before(struct tr *t, const struct insn *in)
{
	if (!recipe_uses(&t->rec, in->writes))
		return;
	if (t->fs == FL_RECIPE && (in->fl_write != STATUS_FLAGS || insn_reads_flags(in)))
		emit_recipe(t);
	t->rec = no_recipe();
}

void flags_written(struct tr *t, const struct insn *in)
{
	if (!in->fl_write)
		return;
	t->fs = FL_HOST;
	t->rec = in->kind == K_GENERIC ? recipe_of(in) : no_recipe();
}

void flags_forget(struct tr *t)
{
	flags_saved(t);
	t->rec = no_recipe();
}

/* sub $cost, r15; jl */
uint8_t *budget_check(struct tr *t)
{
	struct out *o = &t->o;

	e_fit(o, BUDGET_CHECK);
	e_rr(o, 1, X_ARITH, EXT_SUB, R15);
	piece_cost(t, o->p);
	e32(o, 0);
	return e_jcc(o, CC_L);
}

void late_check(struct tr *t, const struct insn *in)
{
	struct cold *k;

	if (!t->late)
		return;
	t->late = false;
	k = cold_new(t, COLD_LATE, budget_check(t));
	k->in = in;
}
