/*
 * regs.c - r10, r11 and r15 of the guest, kept in scratch registers.
 *
 * They have their home in memory, because the host's r10 and r11 are scratch and its r15 counts.
 * Where accesses are checked those are needed all the time; in the mapped space (BM_SPACE)
 * they are free between most instructions, and then hold two of the three: loaded where the
 * guest first reads one, stored where it has to be in its home, or where its place is needed.
 *
 * Invariants
 *  RK1. What is kept is the guest's value or, while an instruction is being emitted, about to
 *       become it; "changed" says that the home has an older one.  Only after the host
 *       instruction that writes it has been emitted is it changed.
 *  RK2. A site says what is kept changed at its host instruction (site.kept): whoever leaves
 *       there puts it home first.  So nothing moves between a site and that instruction.
 *  RK3. Nothing is kept where a block begins, and nothing is changed where one may end.  An
 *       emitter that takes r10 or r11 for itself gives back what they keep: emit_one() does
 *       it for all but those that regs_suit() names.
 */
#include "cpu/trans.h"

#include <Zydis/Mnemonic.h>

static const int8_t hosts[KEPT] = { R10, R11 };

void regs_clear(struct tr *t)
{
	for (int i = 0; i < KEPT; i++)
		t->kept[i] = (struct kept){ .reg = NO_REG };
}

static void put_home(struct tr *t, int i)
{
	if (t->kept[i].changed)
		e_store(&t->o, home(t, t->kept[i].reg), hosts[i]);
	t->kept[i].changed = false;
}

/* Their homes are right from here on.  (Leaves the flags alone, as all of this does.) */
void regs_home(struct tr *t)
{
	for (int i = 0; i < KEPT; i++)
		put_home(t, i);
}

/* A host's register is wanted for something else. */
void regs_free(struct tr *t, int host)
{
	int i = host == R10 ? 0 : 1;

	put_home(t, i);
	t->kept[i].reg = NO_REG;
}

void regs_forget(struct tr *t)
{
	regs_free(t, R10);
	regs_free(t, R11);
}

/* As site.kept has it. */
unsigned regs_changed(const struct tr *t)
{
	unsigned r = 0;

	for (int i = 0; i < KEPT; i++)
		if (t->kept[i].changed)
			r |= kept_code(t->kept[i].reg) << KEPT_BITS * i;
	return r;
}

/* ---- which instructions can do with it ---- */

static bool is_far(int64_t va) { return va != (int32_t)va; }

static int64_t place(const struct tr *t, const struct insn *in)
{
	return in->mem.disp + (in->mem.rip ? (int64_t)t->page + in->off + in->len : 0);
}

/* Registers that the address takes beside the guest's; -1: more than there is. */
static int address_takes(const struct tr *t, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;

	if (m->seg < 0)
		return is_far(place(t, in));
	return m->rip || is_far(m->disp) || (m->base >= 0 && m->index >= 0) ? -1 : 1;
}

static unsigned homed_bit(int reg) { return homed(reg) ? 1u << reg : 0; }

static unsigned homed_operands(const struct insn *in)
{
	return homed_bit(in->reg) | homed_bit(in->rm) | homed_bit(in->opreg) | homed_bit(in->vreg);
}

static unsigned homed_address(const struct insn *in)
{
	return in->has_mem ? homed_bit(in->mem.base) | homed_bit(in->mem.index) : 0;
}

static bool operands_suit(const struct tr *t, const struct insn *in)
{
	unsigned named = homed_operands(in) | homed_address(in);
	int takes = in->has_mem ? address_takes(t, in) : 0;

	if (in->mnemonic == ZYDIS_MNEMONIC_CLFLUSH || (in->has_vex && homed_operands(in) != 0) ||
	    (in->has_mem && (in->mem.addr32 || in->mem.addr16)) ||
	    (in->high8 && in->has_mem && (takes != 0 || named != 0)))
		return false;
	return takes >= 0 && __builtin_popcount(named) + takes <= KEPT;
}

/* Does the emitter of this one leave alone what is kept, or take it from here? */
bool regs_suit(const struct tr *t, const struct insn *in)
{
	switch (in->kind) {
	case K_NOP:
	case K_JCC:
		return true;
	case K_PUSH:
	case K_POP:
		return !in->has_mem;
	case K_GENERIC:
		return operands_suit(t, in);
	case K_LEA:
		return operands_suit(t, in) && in->width >= 4 && in->mem.seg < 0;
	default:
		return false;
	}
}

/* ---- operands ---- */

/* How many instructions from the current one on, which is 0, reg is named. */
static int next_use(const struct tr *t, int reg)
{
	int i;

	for (i = t->i; i < t->count; i++)
		if ((homed_operands(&t->in[i]) | homed_address(&t->in[i])) >> reg & 1)
			break;
	return i - t->i;
}

/* A place that this instruction has not yet taken. */
static int take(struct tr *t)
{
	int best = -1, far = -1;

	for (int i = 0; i < KEPT; i++) {
		int when = t->kept[i].reg == NO_REG ? MAX_BLOCK + 1 : next_use(t, t->kept[i].reg);

		if (!t->kept[i].pinned && when > far) {
			best = i;
			far = when;
		}
	}
	if (best < 0)
		__builtin_trap(); /* regs_suit() has counted */
	regs_free(t, hosts[best]);
	t->kept[best].pinned = true;
	return best;
}

/* The host's register that stands for reg; reads: its value matters. */
int regs_hold(struct tr *t, int reg, bool reads)
{
	int i;

	if (!homed(reg))
		return reg;
	for (i = 0; i < KEPT; i++)
		if (t->kept[i].reg == reg) {
			t->kept[i].pinned = true;
			return hosts[i];
		}
	i = take(t);
	t->kept[i].reg = (int8_t)reg;
	if (reads)
		e_load(&t->o, hosts[i], home(t, reg));
	return hosts[i];
}

static void changed_one(struct tr *t, int reg, unsigned use)
{
	for (int i = 0; i < KEPT && (use & USE_W); i++)
		if (homed(reg) && t->kept[i].reg == reg)
			t->kept[i].changed = true;
}

/* The instruction has been emitted. */
void regs_done(struct tr *t, const struct insn *in)
{
	changed_one(t, in->reg, in->reg_use);
	changed_one(t, in->rm, in->rm_use);
	changed_one(t, in->opreg, in->opreg_use);
	for (int i = 0; i < KEPT; i++)
		t->kept[i].pinned = false;
}

/* How an instruction uses a register, also by another operand. */
static unsigned uses(const struct insn *in, int reg)
{
	return (in->reg == reg ? in->reg_use : 0u) | (in->rm == reg ? in->rm_use : 0u) |
		(in->opreg == reg ? in->opreg_use : 0u) |
		(homed(reg) && homed_address(in) >> reg & 1 ? USE_R : 0u);
}

int regs_operand(struct tr *t, const struct insn *in, int reg)
{
	return homed(reg) ? regs_hold(t, reg, uses(in, reg) & USE_R) : -1;
}

/* The operand in memory, as access_native() has it. */
struct ea regs_address(struct tr *t, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;
	int base = m->base < 0 ? NO_REG : regs_hold(t, m->base, true);
	int index = m->index < 0 ? NO_REG : regs_hold(t, m->index, true);
	int64_t va = place(t, in);
	int host;

	if (m->seg < 0 && !is_far(va))
		return EA(base, index, mem_scale(m), (int32_t)va);
	host = hosts[take(t)];
	if (m->seg < 0) {
		e_imm(&t->o, host, (uint64_t)va);
		return EA_BASE(host, 0);
	}
	e_load(&t->o, host, field(&t->c->s.seg_base[m->seg]));
	if (base >= 0)
		return EA(base, host, 0, (int32_t)va);
	return EA(host, index, mem_scale(m), (int32_t)va);
}
