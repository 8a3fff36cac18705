/*
 * op.c - copy-and-patch: the guest's opcode with other registers and another
 * memory operand around it.
 */
#include "cpu/trans.h"

#include <Zydis/Mnemonic.h>

/* Host registers standing for the operand fields. */
struct fields {
	int reg, rm, opreg, vreg;
	bool rm_is_ea;
	struct ea ea;
};

/* host register = guest register */
static void load_gpr(struct tr *t, int dst, int reg)
{
	if (homed(reg))
		e_load(&t->o, dst, home(t, reg));
	else
		e_mov(&t->o, dst, reg);
}

/* The long form of the prefix, for scratch registers need bits that the short one lacks. */
static void emit_vex(struct tr *t, const struct insn *in, const struct fields *f, int reg, int rm)
{
	struct out *o = &t->o;
	struct ea m = f->rm_is_ea ? f->ea : EA(rm, -1, 0, 0);
	unsigned vvvv = f->vreg >= 0 ? ~(unsigned)f->vreg & 15 : in->vex >> 3 & 15u;

	e8(o, B_VEX);
	e8(o, (~(unsigned)reg >> 3 & 1) << 7 | (m.index >= 0 ? ~(unsigned)m.index >> 3 & 1 : 1u) << 6 |
		(m.base >= 0 ? ~(unsigned)m.base >> 3 & 1 : 1u) << 5 | in->map);
	e8(o, (in->vex & 0x87u) | vvvv << 3);
	e8(o, in->opcode);
	if (f->rm_is_ea)
		e_modrm_ea(o, reg, f->ea);
	else if (in->has_modrm)
		e8(o, MODRM_REG | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
	memcpy(o->p, in->bytes + in->imm_off, in->imm_len);
	o->p += in->imm_len;
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

	if (in->has_vex) {
		emit_vex(t, in, f, reg, rm);
		return;
	}
	if (in->opsize)
		e8(o, B_OPSIZE);
	if (in->mandatory)
		e8(o, in->mandatory);
	if (t->compat && in->map == 0 && opcode >= 0x40 && opcode <= 0x4f) {
		e8(o, X_BRANCH); /* inc, dec r32: these bytes are REX in 64-bit code */
		e8(o, MODRM_REG | (opcode & 8) | (opcode & 7));
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
		e8(o, MODRM_REG | ((unsigned)reg & 7) << 3 | ((unsigned)rm & 7));
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
		__builtin_trap(); /* cannot be: no form has this many operands */
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

static int scratch_for(struct tr *t, int reg, const int *free, int *taken)
{
	int host;

	if (!homed(reg))
		return -1;
	host = free[(*taken)++];
	if (host == R10)
		t->delta_reg = NO_REG;
	return host;
}

/*
 * With VEX there may be three general registers beside a memory operand; but what is read
 * is not written, so results go where sources, or the operand's address, have been.
 */
static void emit_patched_vex(struct tr *t, const struct insn *in, const struct ea *ea)
{
	int first = ea != NULL && ea->index == R10 ? R11 : R10;
	int scratch[2] = { first, first == R10 ? R11 : R10 }, sources = 0, results = 0;
	struct fields f = { .reg = -1, .rm = -1, .opreg = -1, .vreg = -1, .rm_is_ea = ea != NULL };
	int to_reg, to_vreg, to_rm;

	if (ea != NULL)
		f.ea = *ea;
	if (in->vreg_use & USE_R)
		f.vreg = scratch_for(t, in->vreg, scratch, &sources);
	if (in->rm_use & USE_R)
		f.rm = scratch_for(t, in->rm, scratch, &sources);
	if (f.vreg >= 0)
		e_load(&t->o, f.vreg, home(t, in->vreg));
	if (f.rm >= 0)
		e_load(&t->o, f.rm, home(t, in->rm));
	to_reg = in->reg_use & USE_W ? scratch_for(t, in->reg, scratch, &results) : -1;
	to_vreg = in->vreg_use & USE_W ? scratch_for(t, in->vreg, scratch, &results) : -1;
	to_rm = in->rm_use & USE_W ? scratch_for(t, in->rm, scratch, &results) : -1;
	f.reg = to_reg;
	f.vreg = to_vreg >= 0 ? to_vreg : f.vreg;
	f.rm = to_rm >= 0 ? to_rm : f.rm;
	if (in->fp)
		site_here(t, in, ea != NULL ? in->mem.size : 0);
	emit_raw(t, in, &f);
	unbind(t, in->vreg, USE_W, to_vreg); /* of two results in one, mulx's upper half stays */
	unbind(t, in->reg, USE_W, to_reg);
	unbind(t, in->rm, USE_W, to_rm);
	flags_written(t, in);
}

/* Can it raise an exception that is no memory access's? */
bool op_may_trap(const struct insn *in)
{
	return in->fp || in->mnemonic == ZYDIS_MNEMONIC_DIV || in->mnemonic == ZYDIS_MNEMONIC_IDIV ||
		in->mnemonic == ZYDIS_MNEMONIC_CMPXCHG16B;
}

/* In the mapped space, with its operands in the registers that are kept: flags_before() is done. */
static void emit_kept(struct tr *t, const struct insn *in)
{
	struct fields f = { .reg = regs_operand(t, in, in->reg), .rm = regs_operand(t, in, in->rm),
		.opreg = regs_operand(t, in, in->opreg), .vreg = -1, .rm_is_ea = in->has_mem };

	if (in->has_mem)
		f.ea = regs_address(t, in);
	if (in->has_mem || op_may_trap(in))
		site_here(t, in, in->has_mem ? in->mem.size : 0);
	emit_raw(t, in, &f);
	regs_done(t, in);
	flags_written(t, in);
}

/* The instruction itself, its memory operand (if any) being ready as `ea`. */
static void emit_patched(struct tr *t, const struct insn *in, const struct ea *ea)
{
	int scratch[2] = { R10, R11 }, nscratch = 2, bound[2], taken = 0;
	struct fields f = { .reg = -1, .rm = -1, .opreg = -1, .vreg = -1 };
	unsigned both = (in->reg == in->rm ? in->reg_use | in->rm_use : 0u);

	if (in->has_vex) {
		emit_patched_vex(t, in, ea);
		return;
	}
	if (ea != NULL) {
		f.rm_is_ea = true;
		f.ea = *ea;
		nscratch = 1;
		scratch[0] = ea->index == R10 ? R11 : R10;
	}
	f.reg = bind(t, in->reg, in->reg_use | both, scratch, nscratch, bound, &taken);
	f.rm = bind(t, in->rm, in->rm_use | both, scratch, nscratch, bound, &taken);
	f.opreg = bind(t, in->opreg, in->opreg_use, scratch, nscratch, bound, &taken);
	if (op_may_trap(in))
		site_here(t, in, ea != NULL ? in->mem.size : 0);
	if (in->high8 && ea != NULL && !t->native) {
		/* ah..bh cannot be named together with r11: borrow rdi. */
		e_rr(&t->o, 1, X_XCHG, RDI, R11);
		f.ea = EA_BASE(RDI, 0);
		emit_raw(t, in, &f);
		e_rr(&t->o, 1, X_XCHG, RDI, R11);
	} else {
		emit_raw(t, in, &f);
	}
	unbind(t, in->reg, in->reg_use, f.reg);
	unbind(t, in->rm, in->rm_use, f.rm);
	unbind(t, in->opreg, in->opreg_use, f.opreg);
	flags_written(t, in);
}

/*
 * In the mapped space: the site stands before all that could disturb the flags it tells of,
 * and nothing changes them between there and the instruction but to make them the host's.
 */
static void native_generic(struct tr *t, const struct insn *in)
{
	struct ea ea;

	if (regs_suit(t, in)) {
		if (insn_reads_flags(in))
			flags_host(t);
		flags_before(t, in);
		emit_kept(t, in);
		return;
	}
	site_here(t, in, in->mem.size);
	if (insn_reads_flags(in))
		flags_host(t);
	flags_before(t, in);
	ea = access_native(t, in);
	if (in->high8 && (ea.base == R11 || ea.index == R10))
		op_leave(t, in, t->c->glue.space_careful, 0); /* not to be named together with ah..bh */
	else if (in->mnemonic == ZYDIS_MNEMONIC_CLFLUSH)
		e_rm(&t->o, 0, X_MOVZX8, R11, ea); /* faults as a read does */
	else
		emit_patched(t, in, &ea);
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
		if (t->native && regs_suit(t, in))
			emit_kept(t, in);
		else
			emit_patched(t, in, NULL);
		return;
	}
	if (t->native) {
		native_generic(t, in);
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

static void native_lea(struct tr *t, const struct insn *in)
{
	struct ea ea = regs_address(t, in);

	e_rm(&t->o, in->width == 8, X_LEA, regs_hold(t, in->reg, false), ea);
	regs_done(t, in);
}

void op_lea(struct tr *t, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;
	unsigned scale = mem_scale(m);

	flags_before(t, in);
	if (t->native && regs_suit(t, in)) {
		native_lea(t, in);
		return;
	}
	if (!homed(in->reg) && !homed(m->base) && !homed(m->index) && !m->rip && !m->addr32 &&
	    !m->addr16 &&	    in->width >= 4 && m->base != NO_REG) {
		e_rm(&t->o, in->width == 8, X_LEA, in->reg,
			EA(m->base, m->index, scale, (int32_t)m->disp));
		return;
	}
	access_addr(t, in, 0);
	if (in->width == 2) {
		e8(&t->o, B_OPSIZE);
		if (homed(in->reg))
			e_rm(&t->o, 0, X_MOV, R11, home(t, in->reg));
		else
			e_rr(&t->o, 0, X_MOV, R11, in->reg);
		return;
	}
	if (homed(in->reg)) {
		if (in->width == 4)
			e_rr(&t->o, 0, X_MOV, R11, R11);
		e_store(&t->o, home(t, in->reg), R11);
	} else {
		e_rr(&t->o, in->width == 8, X_MOV, R11, in->reg);
	}
}

void op_moffs(struct tr *t, const struct insn *in)
{
	static const uint8_t as[] = { X_MOV8_R, X_MOV_R, X_MOV8, X_MOV };

	access_mem(t, in, in->mem.size, in->mem.write);
	flags_before(t, in);
	if (in->opsize)
		e8(&t->o, B_OPSIZE);
	e_rm(&t->o, (in->rex & 8) != 0, as[in->opcode & 3], RAX, EA_BASE(R11, 0));
}

/* bt mem, reg: the bit offset is signed and reaches beyond the operand. */
void op_bt(struct tr *t, const struct insn *in)
{
	unsigned log2 = in->width == 8 ? 3 : in->width == 4 ? 2 : 1;
	struct out *o = &t->o;
	struct fields f = { .reg = R10, .rm = -1, .opreg = -1, .vreg = -1, .rm_is_ea = true,
		.ea = EA_BASE(R11, 0) };
	struct site *s;

	flags_free(t);
	s = site_here(t, in, in->width);
	access_addr(t, in, 0);
	load_gpr(t, R10, in->reg);
	if (in->width == 4)
		e_rr(o, 1, X_MOVSXD, R10, R10);
	else if (in->width == 2)
		e_rr(o, 1, X_MOVSX16, R10, R10);
	e_rr(o, 1, X_SHIFT, EXT_SAR, R10); /* whole operands */
	e8(o, log2 + 3);
	e_lea(o, R11, EA(R11, R10, log2, 0));
	if (in->mem.addr32 || t->compat)
		e_rr(o, 0, X_MOV, R11, R11);
	access_check(t, s, in->width, in->mem.write);
	load_gpr(t, R10, in->reg);
	e_rr(o, 0, X_ARITH_IMM8, EXT_AND, R10);
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
		e8(&t->o, B_OPSIZE);
	e_rm(&t->o, size == 8, X_MOV_IMM, 0, EA_BASE(R11, off));
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
	if (in->mem.size == FX_SIZE) {
		zero_at(t, FX_FOP, 2);
		zero_at(t, FX_FIP, 8);
		zero_at(t, FX_FDP, 8);
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
		e_rm(&t->o, 0, X_MOVZX16, R10, seg);
		e8(&t->o, B_OPSIZE);
		e_rm(&t->o, 0, X_MOV, R10, EA_BASE(R11, 0));
		return;
	}
	flags_before(t, in);
	e_rm(&t->o, 0, X_MOVZX16, homed(dst) ? R11 : dst, seg);
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
