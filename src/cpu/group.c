/*
 * group.c - one check for a run of accesses around the same base register.
 *
 * Pushes, pops and operands [base + disp] of one block, between two changes of
 * the base that are not by a constant, lie close together.  At the first of
 * them the range of all is checked at once to be in one page; then the distance
 * from guest to host addresses there is kept in cpu.delta[base], and each access
 * is [base + disp + delta].
 *
 * For rsp the check is against the one page that is the stack's (tlb.h), and the
 * distance stands there.
 *
 * The check must have no effect a guest could see, for some of the accesses may
 * not come to pass (hot_slow_group()).  Where it fails the block goes on in its
 * plain translation, which checks each access by itself.
 *
 * Operands with an index are too various for that; but where the very same one
 * is used again (x[i] += y) while r11 still holds its host address, there is no
 * second check.  The first is for writing if any of them writes.
 */
#include "cpu/trans.h"

enum { REACH = 2048, STACK_SPAN = 1024, SPAN = 256 };

static bool plain_operand(const struct insn *in, int base)
{
	return in->kind == K_GENERIC && in->has_mem && in->mem.base == base &&
		in->mem.index == NO_REG && in->mem.seg < 0 && !in->mem.addr32 && !in->high8 &&
		in->mem.size <= 32 && in->mem.disp > -REACH && in->mem.disp < REACH;
}

/* What an instruction does to memory around base, and to base, which is at `off`. */
struct effect {
	bool access, write, barrier;
	int lo, hi, after;
};

/* Stack instructions; false when in is none. */
static bool stack_effect(const struct insn *in, int off, struct effect *e)
{
	switch (in->kind) {
	case K_PUSH:
	case K_CALL:
	case K_CALL_IND:
		e->access = e->write = true;
		e->lo = e->after = off - 8;
		e->hi = off;
		return true;
	case K_POP:
		e->barrier = in->has_mem || in->opreg == RSP || in->rm == RSP;
		e->access = !e->barrier;
		e->lo = off;
		e->hi = e->after = off + 8;
		return true;
	case K_RET:
		e->access = true;
		e->lo = off;
		e->hi = off + 8;
		return true;
	case K_LEAVE:
		e->barrier = true;
		return true;
	default:
		return false;
	}
}

/* base += constant; true when in is such an instruction. */
static bool moves_base(const struct insn *in, int base, int *by)
{
	unsigned ext = in->modrm >> 3 & 7;

	if (in->width != 8)
		return false;
	if (in->kind == K_LEA) {
		*by = (int)in->mem.disp;
		return in->reg == base && in->mem.base == base && in->mem.index == NO_REG &&
			!in->mem.addr32 && in->mem.disp < REACH && in->mem.disp > -REACH;
	}
	*by = (int)(ext == 0 ? in->imm : -in->imm);
	return in->kind == K_GENERIC && !in->has_mem && in->rm == base && in->map == 0 &&
		(in->opcode == 0x83 || in->opcode == 0x81) && (ext == 0 || ext == 5) &&
		in->imm < REACH && in->imm > -REACH;
}

static struct effect effect_of(const struct insn *in, int base, int off)
{
	struct effect e = { .after = off };
	int by;

	if (base == RSP && stack_effect(in, off, &e))
		return e;
	if (plain_operand(in, base)) {
		e.access = true;
		e.write = in->mem.write;
		e.lo = off + (int)in->mem.disp;
		e.hi = e.lo + in->mem.size;
	}
	if (moves_base(in, base, &by))
		e.after = off + by;
	else
		e.barrier = (in->writes >> base & 1) != 0;
	return e;
}

/* Worth it?  The first check costs somewhat more than an ordinary one. */
static bool pays(const struct group *g, int n)
{
	return n >= 3 || g->base == RSP || (n == 2 && g->last - g->first <= 2);
}

static int max(int a, int b) { return a > b ? a : b; }
static int min(int a, int b) { return a < b ? a : b; }

static void plan(struct tr *t, int base)
{
	int span = base == RSP ? STACK_SPAN : SPAN, off = 0, start = 0, n = 0;
	struct group g = { .first = -1 };

	for (int i = 0; i <= t->count; i++) {
		struct effect e = { .barrier = true };
		bool fits;

		if (i < t->count)
			e = effect_of(&t->in[i], base, off);
		fits = g.first >= 0 && e.access && max(e.hi, g.hi) - min(e.lo, g.lo) <= span;
		if (fits) {
			g.hi = max(e.hi, g.hi);
			g.lo = min(e.lo, g.lo);
			g.write |= e.write;
			g.last = i;
			n++;
		}
		if (g.first >= 0 && ((e.access && !fits) || e.barrier)) {
			g.lo -= start;
			g.hi -= start;
			if (pays(&g, n) && t->ngroups < MAX_BLOCK)
				t->groups[t->ngroups++] = g;
			g.first = -1;
		}
		if (e.access && !fits && !e.barrier) {
			g = (struct group){ .base = (int8_t)base, .first = i, .last = i, .lo = e.lo,
				.hi = e.hi, .write = e.write };
			start = off;
			n = 1;
		}
		off = e.after;
	}
}

static bool names_homed(const struct insn *in)
{
	return homed(in->reg) || homed(in->rm) || homed(in->opreg) || homed(in->vreg);
}

static bool indexed(const struct insn *in)
{
	return in->kind == K_GENERIC && in->has_mem && in->mem.index != NO_REG && !in->high8 &&
		in->mem.size <= 32;
}

static bool same_operand(const struct insn *a, const struct insn *b)
{
	return a->mem.base == b->mem.base && a->mem.index == b->mem.index &&
		a->mem.scale == b->mem.scale && a->mem.disp == b->mem.disp &&
		a->mem.seg == b->mem.seg && a->mem.addr32 == b->mem.addr32 &&
		a->mem.size == b->mem.size;
}

/* Leaves r11 alone: see op_generic(), op_lea(). */
static bool spares_r11(const struct insn *in)
{
	switch (in->kind) {
	case K_GENERIC:
		return !in->has_mem && !names_homed(in);
	case K_LEA:
		return !names_homed(in) && !homed(in->mem.base) && !homed(in->mem.index) &&
			!in->mem.rip && !in->mem.addr32 && in->width >= 4 && in->mem.base != NO_REG;
	default:
		return in->kind == K_NOP || in->kind == K_JCC;
	}
}

static bool changes_address(const struct insn *in, const struct insn *of)
{
	unsigned regs = 1u << of->mem.index | (of->mem.base != NO_REG ? 1u << of->mem.base : 0);

	return (in->writes & regs) != 0;
}

static void plan_reuse(struct tr *t, int first)
{
	const struct insn *in = &t->in[first];

	if (t->reuse[first] || !indexed(in) || changes_address(in, in))
		return;
	t->write_ahead[first] = false;
	for (int i = first + 1; i < t->count; i++) {
		const struct insn *next = &t->in[i];

		if (indexed(next) && same_operand(in, next)) {
			t->reuse[i] = true;
			t->write_ahead[first] |= next->mem.write && !in->mem.write;
		} else if (!spares_r11(next)) {
			return;
		}
		if (changes_address(next, in))
			return;
	}
}

void plan_groups(struct tr *t)
{
	unsigned bases = 0;

	t->ngroups = 0;
	memset(t->reuse, 0, sizeof t->reuse);
	memset(t->write_ahead, 0, sizeof t->write_ahead);
	if (t->compat || t->careful || t->native || (t->b->mode & (BM_PLAIN | BM_AC)) ||
	    t->c->tier == CPU_REFERENCE)
		return;
	for (int i = 0; i < t->count; i++)
		if (t->in[i].has_mem && t->in[i].mem.base != NO_REG && !homed(t->in[i].mem.base))
			bases |= 1u << t->in[i].mem.base;
	bases |= 1u << RSP;
	for (int base = RAX; base <= R15; base++)
		if (bases >> base & 1)
			plan(t, base);
	for (int i = 0; i < t->count; i++)
		plan_reuse(t, i);
}

/* What happens when the check of a group fails. */
static struct cold *cold_group_new(struct tr *t, const struct insn *in, const struct site *s,
	uint8_t *from)
{
	struct cold *k = cold_new(t, COLD_GROUP, from);

	k->site = s;
	k->target = in->off;
	return k;
}

static void slow(struct tr *t, const struct insn *in, const struct site *s, unsigned tag)
{
	cold_group_new(t, in, s, e_jcc(&t->o, CC_A))->tag = (uint8_t)tag;
}

/* The check of an operand that is read now and written later in the block. */
void group_write_ahead(struct tr *t, const struct insn *in)
{
	struct site *s;

	t->delta_reg = NO_REG;
	flags_free(t);
	s = site_here(t, in, in->mem.size | SITE_WRITE);
	access_addr(t, in, 0);
	access_lookup(t, TLB_WTAG, in->mem.size);
	slow(t, in, s, TLB_WTAG);
	access_entry(t, X_ADD_R, R11, TLB_HOST);
}

/* The current instruction's access around base is covered by a check. */
bool group_covers(const struct tr *t, int base)
{
	if (base == NO_REG || !effect_of(&t->in[t->i], base, 0).access)
		return false;
	for (int k = 0; k < t->ngroups; k++) {
		const struct group *g = &t->groups[k];

		if (g->base == base && t->i >= g->first && t->i <= g->last)
			return true;
	}
	return false;
}

/* The limit for accesses of that many bytes. */
static const uint64_t *stack_limit(const struct tlb *tlb, unsigned size)
{
	unsigned k = 0;

	while (1u << (STACK_BITS_MIN + k) < size)
		k++;
	return &tlb->stack.limit[k];
}

/* The second site is where hot_stack() goes on. */
static void check_stack(struct tr *t, const struct insn *in, const struct site *s, unsigned size,
	uint8_t *from)
{
	struct tlb *tlb = access_tlb(t);
	struct cold *k;

	e_fit_after(&t->o, from, 7, 14);
	e_rm(&t->o, 1, X_XOR_R, R11, field(&tlb->stack.tag));
	e_rm(&t->o, 1, X_CMP_R, R11, field(stack_limit(tlb, size)));
	k = cold_group_new(t, in, s, e_jcc(&t->o, CC_AE));
	k->stack = true;
	site_here(t, in, 0);
	t->delta_reg = NO_REG;
}

static void check(struct tr *t, const struct insn *in, const struct group *g)
{
	unsigned tag = g->write ? TLB_WTAG : TLB_RTAG;
	unsigned size = (unsigned)(g->hi - g->lo);
	struct site *s;
	uint8_t *from;

	stack_sync(t);
	flags_free(t);
	s = site_here(t, in, size | (g->write ? SITE_WRITE : 0));
	from = t->o.p;
	if (g->lo == 0)
		e_mov(&t->o, R11, g->base);
	else
		e_lea(&t->o, R11, EA_BASE(g->base, g->lo));
	if (g->base == RSP) {
		check_stack(t, in, s, size, from);
		return;
	}
	access_lookup(t, tag, size);
	slow(t, in, s, tag);
	access_entry(t, X_MOV_R, R10, TLB_DELTA);
	e_store(&t->o, field(&t->c->delta[g->base]), R10);
	t->delta_reg = g->base;
}

/* Before the current instruction: the checks of the groups that it begins. */
void group_begin(struct tr *t, const struct insn *in)
{
	for (int k = 0; k < t->ngroups; k++)
		if (t->groups[k].first == t->i)
			check(t, in, &t->groups[k]);
}

/* The operand [base + disp] of a covered access; takes r10. */
struct ea group_operand(struct tr *t, int base, int disp)
{
	if (t->delta_reg != base)
		e_load(&t->o, R10, field(base == RSP ? &access_tlb(t)->stack.delta : &t->c->delta[base]));
	t->delta_reg = (int8_t)base;
	return EA(base, R10, 0, disp);
}
