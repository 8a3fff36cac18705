/*
 * access.c - how translated code reaches guest memory: the soft TLB's inline
 * check, and one check for a run of stack accesses.  Another memory backend
 * would replace this module only.
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

struct site *site_here(struct tr *t, const struct insn *in, unsigned size)
{
	struct site *s = t->c->site_p++;

	s->host = lo(t->o.p);
	s->block = lo(t->b);
	s->off = in->off;
	s->len = in->len;
	s->n = (uint8_t)t->n;
	s->b = (uint8_t)t->br;
	s->fl = (uint8_t)(t->fs == FL_RECIPE ? FL_RECIPE | recipe_number(t) << 2 : (unsigned)t->fs);
	s->size = (uint16_t)size;
	return s;
}

/* r11 = an address relative to the page of the code. */
static void addr_in_page(struct tr *t, int64_t off)
{
	if (t->abs) {
		e_imm(&t->o, R11, t->page + (uint64_t)off);
	} else {
		e_load(&t->o, R11, field(&t->c->pcbase));
		e_lea(&t->o, R11, EA_BASE(R11, (int32_t)off));
	}
}

static void add_segment(struct tr *t, int seg)
{
	if (seg >= 0)
		e_rm(&t->o, 1, 0x03, R11, field(&t->c->s.seg_base[seg]));
}

void access_addr(struct tr *t, const struct insn *in, int rsp_bias)
{
	const struct insn_mem *m = &in->mem;
	bool narrow = t->compat || m->addr32;
	int base = m->base, index = m->index;
	unsigned scale = m->scale == 8 ? 3 : m->scale == 4 ? 2 : m->scale == 2 ? 1 : 0;
	int32_t disp = (int32_t)m->disp + (base == RSP ? rsp_bias : 0);
	struct out *o = &t->o;

	if (m->rip) {
		addr_in_page(t, in->off + in->len + m->disp);
		if (narrow)
			e_rr(o, 0, 0x89, R11, R11);
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
			t->delta_in_r10 = false;
		}
		if (index < 0 && disp == 0)
			e_rr(o, !narrow, 0x89, base, R11);
		else
			e_rm(o, !narrow, 0x8d, R11, (struct ea){ base, index, scale, disp });
	}
	if (m->addr16)
		e_rr(o, 0, 0x0fb7, R11, R11);
	add_segment(t, m->seg);
	if (t->compat && m->seg >= 0)
		e_rr(o, 0, 0x89, R11, R11);
}

static struct ea table(const void *p)
{
	return (struct ea){ -1, R10, 3, (int32_t)(uintptr_t)p };
}

/* The inline lookup; leaves r10 = index, r11 = offset in the page. */
static void lookup(struct tr *t, const uint64_t *tag, unsigned size)
{
	static const uint8_t index_of[] = {
		0xc4, 0x43, 0xfb, 0xf0, 0xd3, 0x0c, /* rorx $12, r11, r10 */
		0x45, 0x0f, 0xb7, 0xd2,             /* movzx r10d, r10w */
	};
	struct out *o = &t->o;

	memcpy(o->p, index_of, sizeof index_of);
	o->p += sizeof index_of;
	e_rm(o, 1, 0x33, R11, table(tag));
	e_fit(o, 13);
	e_rr(o, 1, 0x81, 7, R11);
	e32(o, PAGE_SIZE - size);
}

static void slow(struct tr *t, const struct site *s, const uint64_t *tag, uint32_t glue)
{
	struct cold *k = cold_new(t, COLD_SLOW, e_jcc(&t->o, CC_A));

	k->site = s;
	k->tag = lo(tag);
	k->glue = glue;
}

static struct tlb *tlb_of(struct tr *t)
{
	return mem_tlb(t->c->mem, block_mem_mode(t->b));
}

/* Careful: the bytes are brought to a bounce buffer, r11 = its address. */
static void careful_check(struct tr *t, struct site *s, bool write)
{
	e_imm(&t->o, R10, lo(s));
	e_jmp(&t->o, write ? t->c->glue.careful_write : t->c->glue.careful_read);
	s->host = lo(t->o.p);
}

/* What an operand of so many bytes is aligned to when EFLAGS.AC asks for it. */
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
	e_rr(&t->o, 0, 0xf7, 0, R11); /* test $(unit - 1), r11d */
	e32(&t->o, unit - 1);
	k = cold_new(t, COLD_AC, e_jcc(&t->o, CC_NE));
	k->site = s;
}

void access_check(struct tr *t, struct site *s, unsigned size, bool write)
{
	struct tlb *tlb = tlb_of(t);
	const uint64_t *tag = write ? tlb->wtag : tlb->rtag;

	t->delta_in_r10 = false;
	s->size = (uint16_t)size;
	alignment_check(t, s, size);
	if (t->careful) {
		careful_check(t, s, write);
		return;
	}
	lookup(t, tag, size);
	slow(t, s, tag, write ? t->c->glue.slow_write : t->c->glue.slow_read);
	e_rm(&t->o, 1, 0x03, R11, table(tlb->host));
}

void access_mem(struct tr *t, const struct insn *in, unsigned size, bool write)
{
	struct site *s;

	flags_free(t);
	s = site_here(t, in, size);
	access_addr(t, in, 0);
	access_check(t, s, size, write);
}

/* ---- runs of stack accesses ---- */

bool stack_operand(const struct insn *in)
{
	return in->kind == K_GENERIC && in->has_mem && in->mem.base == RSP &&
		in->mem.index == NO_REG && in->mem.seg < 0 && !in->mem.addr32 && !in->high8 &&
		in->mem.size <= 16 && in->mem.disp > -2048 && in->mem.disp < 2048;
}

/* What an instruction does to the stack, rsp being at `off`. */
struct stack_effect {
	bool access, write, barrier;
	int lo, hi, after;
};

static struct stack_effect stack_effect(const struct insn *in, int off)
{
	struct stack_effect e = { .after = off };

	switch (in->kind) {
	case K_PUSH:
	case K_CALL:
	case K_CALL_IND:
		e.access = e.write = true;
		e.lo = e.after = off - 8;
		e.hi = off;
		return e;
	case K_POP:
		e.barrier = in->has_mem || in->opreg == RSP || in->rm == RSP;
		e.access = !e.barrier;
		e.lo = off;
		e.hi = e.after = off + 8;
		return e;
	case K_RET:
		e.access = true;
		e.lo = off;
		e.hi = off + 8;
		return e;
	case K_LEAVE:
		e.barrier = true;
		return e;
	case K_LEA:
		if (in->reg == RSP && in->mem.base == RSP && in->mem.index == NO_REG &&
		    in->width == 8 && !in->mem.addr32) {
			e.after = off + (int)in->mem.disp;
			e.barrier = in->mem.disp > 2048 || in->mem.disp < -2048;
			return e;
		}
		break;
	default:
		break;
	}
	if (stack_operand(in)) {
		e.access = true;
		e.write = in->mem.write;
		e.lo = off + (int)in->mem.disp;
		e.hi = e.lo + in->mem.size;
	}
	if (in->kind == K_GENERIC && in->rm == RSP && in->width == 8 && in->map == 0 &&
	    (in->opcode == 0x83 || in->opcode == 0x81) && in->imm < 2048 && in->imm > -2048) {
		unsigned ext = in->modrm >> 3 & 7;

		if (ext == 0 || ext == 5) {
			e.after = off + (int)(ext == 0 ? in->imm : -in->imm);
			return e;
		}
	}
	e.barrier = in->writes_rsp;
	return e;
}

void plan_groups(struct tr *t)
{
	struct group g = { .first = -1 };
	int off = 0, start = 0, n = 0;

	t->ngroups = t->group = 0;
	if (t->compat || t->careful || (t->b->mode & (BM_PLAIN | BM_AC)))
		return;
	for (int i = 0; i <= t->count; i++) {
		struct stack_effect e = { .barrier = true };
		bool fits;

		if (i < t->count)
			e = stack_effect(&t->in[i], off);
		fits = g.first >= 0 && e.access &&
			(e.hi > g.hi ? e.hi : g.hi) - (e.lo < g.lo ? e.lo : g.lo) <= 1024;
		if (fits) {
			g.hi = e.hi > g.hi ? e.hi : g.hi;
			g.lo = e.lo < g.lo ? e.lo : g.lo;
			g.write |= e.write;
			g.last = i;
			n++;
		}
		if (g.first >= 0 && ((e.access && !fits) || e.barrier)) {
			if (n >= 2) {
				g.lo -= start;
				g.hi -= start;
				t->groups[t->ngroups++] = g;
			}
			g.first = -1;
		}
		if (e.access && !fits && !e.barrier) {
			g = (struct group){ .first = i, .last = i, .lo = e.lo, .hi = e.hi,
				.write = e.write };
			start = off;
			n = 1;
		}
		off = e.after;
	}
}

bool access_grouped(struct tr *t)
{
	const struct group *g = &t->groups[t->group];

	return t->group < t->ngroups && t->i >= g->first && t->i <= g->last &&
		stack_effect(&t->in[t->i], 0).access;
}

/* At the first instruction of a group: one check for all, then the delta. */
void access_group(struct tr *t, const struct insn *in)
{
	struct tlb *tlb = tlb_of(t);
	const uint64_t *tag;
	const struct group *g;
	struct site *s;

	while (t->group < t->ngroups && t->i > t->groups[t->group].last)
		t->group++;
	g = &t->groups[t->group];
	if (t->group >= t->ngroups || t->i != g->first)
		return;
	tag = g->write ? tlb->wtag : tlb->rtag;
	flags_free(t);
	s = site_here(t, in, (unsigned)(g->hi - g->lo) | (g->write ? 0x8000u : 0));
	e_lea(&t->o, R11, EA_BASE(RSP, g->lo));
	lookup(t, tag, (unsigned)(g->hi - g->lo));
	slow(t, s, tag, t->c->glue.slow_group);
	e_load(&t->o, R11, table(tlb->host));
	e_rm(&t->o, 1, 0x2b, R11, table(tag));
	e_mov(&t->o, R10, R11);
	e_store(&t->o, field(&t->c->stack_delta), R10);
	t->delta_in_r10 = true;
}

void access_delta(struct tr *t)
{
	if (!t->delta_in_r10)
		e_load(&t->o, R10, field(&t->c->stack_delta));
	t->delta_in_r10 = true;
}
