/*
 * access.c - how translated code reaches guest memory: the soft TLB's inline
 * check.  Another memory backend would replace this module and group.c only.
 *
 * Scratch: r11 becomes the linear, then the host address; r10 is clobbered.
 * All checks of an instruction come before any of its side effects; a check
 * that fails goes through its site and starts over, so everything emitted
 * between the site and the check must be repeatable.
 */
#include "cpu/trans.h"

/* Number of the current recipe in the block's table. */
static unsigned recipe_number(struct tr *t)
{
	for (int i = 0; i < t->nrecs; i++)
		if (recipe_equal(&t->recs[i], &t->rec))
			return (unsigned)i;
	t->recs[t->nrecs] = t->rec;
	return (unsigned)t->nrecs++;
}

/* (Cold code does not fault: its sites are not found by address, and not in that order.) */
struct site *site_here(struct tr *t, const struct insn *in, unsigned size)
{
	const struct cold *k = t->in_cold;
	struct site *s = k == NULL ? t->c->site_p++ : meta_alloc(t->c, sizeof *s);

	s->host = lo(t->o.p);
	s->block = lo(t->b);
	s->off = in->off;
	s->len = in->len & 15;
	s->kept = regs_changed(t) & 15;
	/* (What has been done: piece_end() takes it from what has been paid.) */
	s->n = (uint8_t)(k == NULL ? t->n : k->paid_n - t->n);
	s->b = (uint8_t)(k == NULL ? t->br : k->paid_b - t->br);
	s->fl = (uint8_t)(t->fs == FL_RECIPE ? FL_RECIPE | recipe_number(t) << 2 : (unsigned)t->fs);
	s->size = (uint16_t)size;
	return s;
}

void code_addr(struct tr *t, int64_t off)
{
	if (t->abs) {
		e_imm(&t->o, R11, t->page + (uint64_t)off);
		return;
	}
	e_load(&t->o, R11, field(&t->c->pcbase));
	if (off != (int32_t)off) { /* a page beyond what a displacement can tell */
		e_rm(&t->o, !t->compat, X_LEA, R11, EA_BASE(R11, (int32_t)(off / 2)));
		off -= off / 2;
	}
	e_rm(&t->o, !t->compat, X_LEA, R11, EA_BASE(R11, (int32_t)off));
}

static void add_segment(struct tr *t, int seg)
{
	if (seg >= 0)
		e_rm(&t->o, 1, X_ADD_R, R11, field(&t->c->s.seg_base[seg]));
}

void access_addr(struct tr *t, const struct insn *in, int rsp_bias)
{
	const struct insn_mem *m = &in->mem;
	bool narrow = t->compat || m->addr32;
	int base = m->base, index = m->index;
	unsigned scale = mem_scale(m);
	int32_t disp = (int32_t)m->disp + (base == RSP ? rsp_bias : 0);
	struct out *o = &t->o;

	if (m->rip) {
		code_addr(t, in->off + in->len + m->disp);
		if (narrow)
			e_rr(o, 0, X_MOV, R11, R11);
		add_segment(t, m->seg);
		return;
	}
	if (base < 0 && index < 0) {
		if (m->seg >= 0 && !narrow && m->disp == disp) {
			e_load(o, R11, field(&t->c->s.seg_base[m->seg]));
			e_lea(o, R11, EA_BASE(R11, disp));
			return;
		}
		e_imm(o, R11, m->addr16 ? (uint16_t)m->disp : narrow ? (uint32_t)m->disp
			: (uint64_t)m->disp);
	} else {
		if (homed(base)) {
			e_load(o, R11, home(t, base));
			base = R11;
		}
		if (homed(index)) {
			e_load(o, R10, home(t, index));
			index = R10;
			t->delta_reg = NO_REG;
		}
		if (index < 0 && disp == 0)
			e_rr(o, !narrow, X_MOV, base, R11);
		else
			e_rm(o, !narrow, X_LEA, R11, EA(base, index, scale, disp));
	}
	if (m->addr16)
		e_rr(o, 0, X_MOVZX16, R11, R11);
	add_segment(t, m->seg);
	if (t->compat && m->seg >= 0)
		e_rr(o, 0, X_MOV, R11, R11);
}

void access_entry(struct tr *t, uint32_t op, int reg, unsigned field)
{
	e_rm(&t->o, 1, op, reg, EA_REGION(R10, lo(access_tlb(t)->e) + field));
}

/* The inline lookup; leaves r10 = offset of the entry, r11 = offset in the page. */
void access_lookup(struct tr *t, unsigned tag, unsigned size)
{
	static const uint8_t index_of[] = {
		0xc4, 0x43, 0xfb, 0xf0, 0xd3, PAGE_SHIFT - TLB_ENTRY_SHIFT, /* rorx, r11, r10 */
		0x41, 0x81, 0xe2,                                           /* and, r10d */
	};
	struct out *o = &t->o;
	uint8_t *from;

	memcpy(o->p, index_of, sizeof index_of);
	o->p += sizeof index_of;
	e32(o, (TLB_SIZE - 1) << TLB_ENTRY_SHIFT);
	from = o->p;
	access_entry(t, X_XOR_R, R11, tag);
	e_fit_after(o, from, 0, 13);
	e_cmp_imm(o, 1, R11, PAGE_SIZE - size);
}

static void access_slow(struct tr *t, const struct site *s, unsigned tag, uint32_t glue)
{
	struct cold *k = cold_new(t, COLD_SLOW, e_jcc(&t->o, CC_A));

	k->site = s;
	k->tag = (uint8_t)tag;
	k->glue = glue;
}

struct tlb *access_tlb(struct tr *t)
{
	return mmu_tlb(t->c->mmu, block_mem_mode(t->b));
}

/* Careful: the bytes are brought to a bounce buffer, r11 = its address. */
static void careful_check(struct tr *t, struct site *s, bool write)
{
	e_imm(&t->o, R10, lo(s));
	e_jmp(&t->o, write ? t->c->glue.careful_write : t->c->glue.careful_read);
	s->host = lo(t->o.p);
}

/* What an operand of this many bytes is aligned to when EFLAGS.AC asks for it. */
unsigned ac_unit(unsigned size)
{
	switch (size) {
	case 1: case 16: return 1; /* SSE has its own rule */
	case 2: case 14: case 94: return 2;
	case 8: case 10: return 8;
	default: return 4; /* far pointers, x87 and FXSAVE images */
	}
}

static void alignment_check(struct tr *t, const struct site *s, unsigned size)
{
	unsigned unit = ac_unit(size);
	struct cold *k;

	if (!(t->b->mode & BM_AC) || unit == 1)
		return;
	e_rr(&t->o, 0, X_UNARY, EXT_TEST, R11);
	e32(&t->o, unit - 1);
	k = cold_new(t, COLD_AC, e_jcc(&t->o, CC_NE));
	k->site = s;
}

static void find_page(struct tr *t, const struct site *s, unsigned size, bool write)
{
	unsigned tag = write ? TLB_WTAG : TLB_RTAG;

	access_lookup(t, tag, size);
	access_slow(t, s, tag, write ? t->c->glue.slow_write : t->c->glue.slow_read);
}

void access_check(struct tr *t, struct site *s, unsigned size, bool write)
{
	t->delta_reg = NO_REG;
	s->size = (uint16_t)size;
	if (t->native)
		return;
	alignment_check(t, s, size);
	if (t->careful) {
		careful_check(t, s, write);
		return;
	}
	find_page(t, s, size, write);
	access_entry(t, X_ADD_R, R11, TLB_HOST);
}

/* reg = what the guest's register holds, in a host's that may be used for it. */
static int native_reg(struct tr *t, int reg, int scratch)
{
	if (!homed(reg))
		return reg;
	e_load(&t->o, scratch, home(t, reg));
	return scratch;
}

/* With an address of 32 bits; a segment's base is added without disturbing the flags. */
static struct ea native_narrow(struct tr *t, const struct insn *in)
{
	struct insn flat = *in;

	flat.mem.seg = -1;
	access_addr(t, &flat, 0);
	if (in->mem.seg >= 0) {
		e_load(&t->o, R10, field(&t->c->s.seg_base[in->mem.seg]));
		e_lea(&t->o, R11, EA(R11, R10, 0, 0));
	}
	return EA_BASE(R11, 0);
}

/*
 * The operand as the host has it in the mapped space: the guest's own form, but for
 * registers at home in memory, segments, and what is relative to rip.  Leaves flags alone.
 */
struct ea access_native(struct tr *t, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;
	unsigned scale = mem_scale(m);
	int base = m->base, index = m->index;
	uint64_t va = m->rip ? t->page + in->off + in->len + (uint64_t)m->disp : (uint64_t)m->disp;
	struct out *o = &t->o;

	if (m->addr32)
		return native_narrow(t, in);
	if (base < 0 && index < 0 && m->seg < 0) {
		if ((int64_t)va == (int32_t)va)
			return EA(-1, -1, 0, (int32_t)va);
		e_imm(o, R11, va);
		return EA_BASE(R11, 0);
	}
	if (m->seg >= 0) {
		e_load(o, R11, field(&t->c->s.seg_base[m->seg]));
		if (m->rip || (int64_t)va != (int32_t)va) { /* the latter without registers */
			e_imm(o, R10, va);
			e_lea(o, R11, EA(R11, R10, 0, 0));
			return EA_BASE(R11, 0);
		}
		if (base >= 0)
			e_lea(o, R11, EA(native_reg(t, base, R10), R11, 0, 0));
		base = R11;
	} else {
		base = base < 0 ? base : native_reg(t, base, R11);
	}
	index = index < 0 ? index : native_reg(t, index, R10);
	if (base == R11 && index == R10) { /* leaves one of them to other operands */
		e_lea(o, R11, EA(R11, R10, scale, (int32_t)m->disp));
		return EA_BASE(R11, 0);
	}
	if (base < 0 && index == R10) {
		e_lea(o, R11, EA(-1, R10, scale, (int32_t)m->disp));
		return EA_BASE(R11, 0);
	}
	return EA(base, index, scale, (int32_t)m->disp);
}

/* The same as an address in r11. */
static void native_addr(struct tr *t, const struct insn *in)
{
	struct ea ea = access_native(t, in);

	if (ea.base < 0 && ea.index < 0)
		e_imm(&t->o, R11, (uint64_t)(int64_t)ea.disp);
	else if (ea.base != R11 || ea.index >= 0 || ea.disp != 0)
		e_lea(&t->o, R11, ea);
}

/*
 * May the operand be its own address plus the distance in r10?  That leaves r11 out of
 * the way from address to data.  Not where the flags will need r10 meanwhile.
 */
static bool by_distance(const struct tr *t, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;

	return m->base != NO_REG && m->index == NO_REG && m->seg < 0 && !m->addr32 && !m->rip &&
		!homed(m->base) && !in->high8 && !t->careful && !t->compat &&
		!(t->b->mode & BM_AC) && !insn_reads_flags(in) && !recipe_uses(&t->rec, in->writes);
}

struct ea access_operand(struct tr *t, const struct insn *in)
{
	const struct insn_mem *m = &in->mem;
	struct site *s;

	if (!by_distance(t, in)) {
		access_mem(t, in, m->size, m->write);
		return EA_BASE(R11, 0);
	}
	flags_free(t);
	t->delta_reg = NO_REG;
	s = site_here(t, in, m->size);
	access_addr(t, in, 0);
	find_page(t, s, m->size, m->write);
	access_entry(t, X_MOV_R, R10, TLB_DELTA);
	return EA(m->base, R10, 0, (int32_t)m->disp);
}

void access_mem(struct tr *t, const struct insn *in, unsigned size, bool write)
{
	struct site *s;

	if (t->native) {
		site_here(t, in, size);
		native_addr(t, in);
		return;
	}
	flags_free(t);
	s = site_here(t, in, size);
	access_addr(t, in, 0);
	access_check(t, s, size, write);
}
