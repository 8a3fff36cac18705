/*
 * flags.c - where the guest's status flags are.
 *
 * A TLB check clobbers the host's flags, and a guest fault there must show the
 * exact ones.  So before the first check after an instruction that wrote flags
 * they are saved (lahf, seto: five cheap instructions, no restore unless some
 * instruction reads them), and they stay saved across block boundaries: a
 * block has one entry for each state.
 *
 * A block whose first concern with flags is to overwrite them needs neither:
 * its budget check stands right before that instruction (the late check), and
 * when the budget is used up a copy of the instruction runs behind the block,
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

void flags_save(struct tr *t)
{
	struct out *o = &t->o;

	if (t->fs != FL_HOST)
		return;
	e_mov(o, R10, RAX);
	e8(o, 0x9f);                                 /* lahf */
	e8(o, 0x0f); e8(o, 0x90); e8(o, 0xc0);       /* seto al */
	e8(o, 0x66);
	e_rm(o, 0, 0x89, RAX, field(&t->c->flags));  /* mov ax, flags */
	e_mov(o, RAX, R10);
	t->fs = FL_SAVED;
	t->delta_in_r10 = false;
}

void flags_host(struct tr *t)
{
	struct out *o = &t->o;

	if (t->fs != FL_SAVED)
		return;
	e_mov(o, R10, RAX);
	e_rm(o, 0, 0x0fb7, RAX, field(&t->c->flags)); /* movzx eax, flags */
	e8(o, 0x04); e8(o, 0x7f);                     /* add al, 7f: OF */
	e8(o, 0x9e);                                  /* sahf */
	e_mov(o, RAX, R10);
	t->fs = FL_HOST;
	t->delta_in_r10 = false;
}

/* sub $cost, r15; jl: the cost is filled in when the block is complete. */
uint8_t *budget_check(struct tr *t)
{
	struct out *o = &t->o;

	e8(o, 0x49); e8(o, 0x81); e8(o, 0xef);
	t->head_imm[t->nhead++] = o->p;
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
	k->n = (uint8_t)(t->n + 1);
	k->b = (uint8_t)t->br;
}
