/*
 * op.c - copy-and-patch: the guest's opcode with other registers and another
 * memory operand around it.
 */
#include "cpu/trans.h"

#include <Zydis/Mnemonic.h>

/* Host registers standing for the operand fields. */
struct fields {
	int reg, rm, opreg;
	bool rm_is_ea;
	struct ea ea;
};

void load_gpr(struct tr *t, int dst, int reg)
{
	if (homed(reg))
		e_load(&t->o, dst, home(t, reg));
	else
		e_mov(&t->o, dst, reg);
}

static void emit_raw(struct tr *t, const struct insn *in, const struct fields *f)
{
	static const uint32_t maps[] = { 0, 0x0f00, 0x0f3800, 0x0f3a00 };
	struct out *o = &t->o;
	unsigned opcode = in->opcode;
	int reg = f->reg >= 0 ? f->reg : (in->modrm >> 3 & 7) | (in->rex & 4) << 1;
	int rm = f->rm >= 0 ? f->rm : (in->modrm & 7) | (in->rex & 1) << 3;
	int op = f->opreg >= 0 ? f->opreg : (int)(opcode & 7) | (in->rex & 1) << 3;
	bool w = (in->rex & 8) != 0;

	if (in->opsize)
		e8(o, 0x66);
	if (in->mandatory)
		e8(o, in->mandatory);
	if (t->compat && in->map == 0 && opcode >= 0x40 && opcode <= 0x4f) {
		e8(o, 0xff); /* inc, dec r32: these bytes are REX in 64-bit code */
		e8(o, 0xc0 | (opcode & 8) | (opcode & 7));
		return;
	}
	if (t->compat && in->map == 0 && opcode == 0x82)
		opcode = 0x80;
	if (!in->has_modrm) {
		e_rex(o, w, 0, -1, in->opreg >= 0 ? op : 0, in->rex != 0);
		if (in->opreg >= 0)
			opcode = (opcode & ~7u) | ((unsigned)op & 7);
	} else if (f->rm_is_ea) {
		e_rex(o, w, reg, f->ea.index, f->ea.base, in->rex != 0);
	} else {
		e_rex(o, w, reg, -1, rm, in->rex != 0);
	}
	e_opcode(o, maps[in->map] | opcode);
	if (in->has_modrm && f->rm_is_ea)
		e_modrm_ea(o, reg, f->ea);
	else if (in->has_modrm)
		e8(o, 0xc0 | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
	memcpy(o->p, in->bytes + in->imm_off, in->imm_len);
	o->p += in->imm_len;
}

/* Gives a memory-homed operand a scratch register, loaded when it is read. */
static int bind(struct tr *t, int reg, unsigned use, int *free, int nfree, int *bound, int *taken)
{
	if (!homed(reg))
		return -1;
	for (int i = 0; i < *taken; i++)
		if (bound[i] == reg)
			return free[i];
	if (*taken == nfree)
		__builtin_trap(); /* cannot be: no form has so many operands */
	bound[*taken] = reg;
	if (free[*taken] == R10)
		t->delta_reg = NO_REG;
	if (use & USE_R)
		e_load(&t->o, free[*taken], home(t, reg));
	return free[(*taken)++];
}

static void unbind(struct tr *t, int reg, unsigned use, int host)
{
	if (host >= 0 && (use & USE_W))
		e_store(&t->o, home(t, reg), host);
}

/* The instruction itself, its memory operand (if any) being ready as `ea`. */
static void emit_patched(struct tr *t, const struct insn *in, const struct ea *ea)
{
	int scratch[2] = { R10, R11 }, nscratch = 2, bound[2], taken = 0;
	struct fields f = { .reg = -1, .rm = -1, .opreg = -1 };
	unsigned both = (in->reg == in->rm ? in->reg_use | in->rm_use : 0u);

	if (ea != NULL) {
		f.rm_is_ea = true;
		f.ea = *ea;
		nscratch = 1;
		scratch[0] = ea->index == R10 ? R11 : R10;
	}
	f.reg = bind(t, in->reg, in->reg_use | both, scratch, nscratch, bound, &taken);
	f.rm = bind(t, in->rm, in->rm_use | both, scratch, nscratch, bound, &taken);
	f.opreg = bind(t, in->opreg, in->opreg_use, scratch, nscratch, bound, &taken);
	if (in->fp || in->mnemonic == ZYDIS_MNEMONIC_DIV || in->mnemonic == ZYDIS_MNEMONIC_IDIV ||
	    in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B)
		site_here(t, in, ea != NULL ? in->mem.size : 0);
	if (in->high8 && ea != NULL) {
		/* ah..bh cannot be named together with r11: borrow rdi. */
		e_rr(&t->o, 1, 0x87, RDI, R11);
		f.ea = EA_BASE(RDI, 0);
		emit_raw(t, in, &f);
		e_rr(&t->o, 1, 0x87, RDI, R11);
	} else {
		emit_raw(t, in, &f);
	}
	unbind(t, in->reg, in->reg_use, f.reg);
	unbind(t, in->rm, in->rm_use, f.rm);
	unbind(t, in->opreg, in->opreg_use, f.opreg);
	flags_written(t, in);
}

void op_generic(struct tr *t, const struct insn *in)
{
	struct ea ea = EA_BASE(R11, 0);
	bool reads = insn_reads_flags(in);

	if (!in->has_mem) {
		if (reads)
			flags_host(t);
		else if (in->fl_write)
			late_check(t, in);
		flags_before(t, in);
		emit_patched(t, in, NULL);
		return;
	}
	if (group_covers(t, in->mem.base)) {
		if (reads)
			flags_host(t);
		flags_before(t, in);
		ea = group_operand(t, in->mem.base, (int)in->mem.disp);
		emit_patched(t, in, &ea);
		return;
	}
	if (t->write_ahead[t->i])
		group_write_ahead(t, in);
	else if (!t->reuse[t->i])
		ea = access_operand(t, in);
	if (reads)
		flags_host(t);
	flags_before(t, in);
	if (in->mnemonic != ZYDIS_MNEMONIC_CLFLUSH)
		emit_patched(t, in, &ea);
}

void op_lea(struct tr *t, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;
	unsigned scale = m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2 ? 1 : 0;

	flags_before(t, in);
	if (!homed(in->reg) && !homed(m->base) && !homed(m->index) && !m->rip && !m->addr32 &&
	    !m->addr16 &&	    in->width >= 4 && m->base != NO_REG) {
		e_rm(&t->o, in->width == 8, 0x8d, in->reg,
			(struct ea){ m->base, m->index, scale, (int32_t)m->disp });
		return;
	}
	access_addr(t, in, 0);
	if (in->width == 2) {
		e8(&t->o, 0x66);
		if (homed(in->reg))
			e_rm(&t->o, 0, 0x89, R11, home(t, in->reg));
		else
			e_rr(&t->o, 0, 0x89, R11, in->reg);
		return;
	}
	if (homed(in->reg)) {
		if (in->width == 4)
			e_rr(&t->o, 0, 0x89, R11, R11);
		e_store(&t->o, home(t, in->reg), R11);
	} else {
		e_rr(&t->o, in->width == 8, 0x89, R11, in->reg);
	}
}

void op_moffs(struct tr *t, const struct insn *in)
{
	static const uint8_t as[] = { 0x8a, 0x8b, 0x88, 0x89 };

	access_mem(t, in, in->mem.size, in->mem.write);
	flags_before(t, in);
	if (in->opsize)
		e8(&t->o, 0x66);
	e_rm(&t->o, (in->rex & 8) != 0, as[in->opcode & 3], RAX, EA_BASE(R11, 0));
}

/* bt mem, reg: the bit offset is signed and reaches beyond the operand. */
void op_bt(struct tr *t, const struct insn *in)
{
	unsigned log2 = in->width == 8 ? 3 : in->width == 4 ? 2 : 1;
	struct out *o = &t->o;
	struct fields f = { .reg = R10, .rm = -1, .opreg = -1, .rm_is_ea = true,
		.ea = EA_BASE(R11, 0) };
	struct site *s;

	flags_free(t);
	s = site_here(t, in, in->width);
	access_addr(t, in, 0);
	load_gpr(t, R10, in->reg);
	if (in->width == 4)
		e_rr(o, 1, 0x63, R10, R10);
	else if (in->width == 2)
		e_rr(o, 1, 0x0fbf, R10, R10);
	e_rr(o, 1, 0xc1, 7, R10); /* sar: whole operands */
	e8(o, log2 + 3);
	e_lea(o, R11, (struct ea){ R11, R10, log2, 0 });
	if (in->mem.addr32 || t->compat)
		e_rr(o, 0, 0x89, R11, R11);
	access_check(t, s, in->width, in->mem.write);
	load_gpr(t, R10, in->reg);
	e_rr(o, 0, 0x83, 4, R10);
	e8(o, in->width * 8u - 1);
	e_store(o, field(&t->c->tmp[0]), R10);
	flags_host(t);
	e_load(o, R10, field(&t->c->tmp[0]));
	t->delta_reg = NO_REG;
	emit_raw(t, in, &f);
	flags_written(t, in);
}

static void zero_at(struct tr *t, int off, int size)
{
	if (size == 2)
		e8(&t->o, 0x66);
	e_rm(&t->o, size == 8, 0xc7, 0, EA_BASE(R11, off));
	if (size == 2) {
		e8(&t->o, 0);
		e8(&t->o, 0);
	} else {
		e32(&t->o, 0);
	}
}

/*
 * The FPU's last instruction and data pointers and its last opcode are the
 * host's own and differ from run to run: what is stored has zeros there.
 */
void op_fxsave(struct tr *t, const struct insn *in)
{
	struct ea ea = EA_BASE(R11, 0);

	access_mem(t, in, in->mem.size, true);
	emit_patched(t, in, &ea);
	if (in->mem.size == 512) {
		zero_at(t, 6, 2);
		zero_at(t, 8, 8);
		zero_at(t, 16, 8);
	} else if (in->mem.size == 28 || in->mem.size == 108) {
		zero_at(t, 12, 8);
		zero_at(t, 20, 8);
	} else {
		zero_at(t, 6, 8);
	}
}

/* mov r32/r64, sreg: zero-extended either way; mov m16, sreg. */
void op_from_seg(struct tr *t, const struct insn *in)
{
	struct ea seg = field(&t->c->s.seg[in->modrm >> 3 & 7]);
	int dst = (in->modrm & 7) | (in->rex & 1) << 3;

	if (in->has_mem) {
		access_mem(t, in, 2, true);
		e_rm(&t->o, 0, 0x0fb7, R10, seg);
		e8(&t->o, 0x66);
		e_rm(&t->o, 0, 0x89, R10, EA_BASE(R11, 0));
		return;
	}
	flags_before(t, in);
	e_rm(&t->o, 0, 0x0fb7, homed(dst) ? R11 : dst, seg);
	if (homed(dst))
		e_store(&t->o, home(t, dst), R11);
}

/* A call of C that comes back into the block. */
void op_helper(struct tr *t, const struct insn *in, uint32_t glue, uint64_t arg)
{
	struct site *s;

	flags_forget(t);
	s = site_here(t, in, 0);
	e_imm(&t->o, R11, arg);
	e_imm(&t->o, R10, lo(s));
	e_jmp(&t->o, glue);
	s->host = lo(t->o.p);
	t->delta_reg = NO_REG;
}

/* A call of C that leaves translated code, the instruction not executed. */
void op_leave(struct tr *t, const struct insn *in, uint32_t glue, uint64_t arg)
{
	struct site *s = site_here(t, in, 0);

	e_imm(&t->o, R11, arg);
	e_imm(&t->o, R10, lo(s));
	e_jmp(&t->o, glue);
}
