/*
 * cfi.c - DWARF call frame information as .eh_frame has it (DWARF 5, 6.4; the
 * LSB's chapter on exception frames): where the caller's registers are.
 *
 * The table is searched from its beginning for the entry (FDE) that has the
 * address; its common part (CIE) and its own instructions then make up rules,
 * one for each register.  The bytes may come from a guest.
 *
 *  CF1. Every read goes through struct rd, which does not pass its end and then
 *      yields zeros and `bad`; every loop over it gets on.
 *  CF2. Numbers that are used as an index are compared first.
 */
#include <dwarf.h>
#include <string.h>

#include "inspect/user.h"
#include "util/bytes.h"

enum { STATES_MAX = 16, STACK_MAX = 32, STEPS_MAX = 1000 };

struct rd {
	const uint8_t *p, *end;
	uint64_t addr; /* of *p, as loaded */
	bool bad;
};

/* ---- reading ---- */

static uint64_t get(struct rd *r, unsigned n)
{
	uint8_t raw[8] = {0};

	if ((size_t)(r->end - r->p) < n) {
		r->bad = true;
		r->p = r->end;
		return 0;
	}
	memcpy(raw, r->p, n);
	r->p += n;
	r->addr += n;
	return get64(raw);
}

static uint64_t uleb(struct rd *r)
{
	uint64_t value = 0, b;
	unsigned shift = 0;

	do {
		b = get(r, 1);
		if (shift < 64)
			value |= (b & 0x7f) << shift;
		shift += 7;
	} while ((b & 0x80) && !r->bad);
	return value;
}

static int64_t sleb(struct rd *r)
{
	uint64_t value = 0, b;
	unsigned shift = 0;

	do {
		b = get(r, 1);
		if (shift < 64)
			value |= (b & 0x7f) << shift;
		shift += 7;
	} while ((b & 0x80) && !r->bad);
	if (shift < 64 && (b & 0x40))
		value |= ~UINT64_C(0) << shift;
	return (int64_t)value;
}

static void skip(struct rd *r, uint64_t n)
{
	if (n > (uint64_t)(r->end - r->p)) {
		r->bad = true;
		n = (uint64_t)(r->end - r->p);
	}
	r->p += n;
	r->addr += n;
}

enum { ENC_FORM = 0x0f, ENC_REL = 0x70 };

/* A pointer in one of the forms that the LSB describes; only absolute and pc-relative ones. */
static uint64_t pointer(struct rd *r, uint8_t enc)
{
	uint64_t base = (enc & ENC_REL) == DW_EH_PE_pcrel ? r->addr : 0, v;

	if (enc == DW_EH_PE_omit)
		return 0;
	if ((enc & ENC_REL) != 0 && (enc & ENC_REL) != DW_EH_PE_pcrel)
		r->bad = true;
	switch (enc & ENC_FORM) {
	case DW_EH_PE_absptr: case DW_EH_PE_udata8: case DW_EH_PE_sdata8: v = get(r, 8); break;
	case DW_EH_PE_uleb128: v = uleb(r); break;
	case DW_EH_PE_udata2: v = get(r, 2); break;
	case DW_EH_PE_udata4: v = get(r, 4); break;
	case DW_EH_PE_sleb128: v = (uint64_t)sleb(r); break;
	case DW_EH_PE_sdata2: v = (uint64_t)(int64_t)(int16_t)get(r, 2); break;
	case DW_EH_PE_sdata4: v = (uint64_t)(int64_t)(int32_t)get(r, 4); break;
	default: r->bad = true; return 0;
	}
	return v + base;
}

/* ---- the entry ---- */

struct cie {
	uint64_t code_align;
	int64_t data_align;
	uint64_t ra;
	uint8_t enc;
	bool augmented, signal;
	struct rd code;
};

struct fde {
	struct cie cie;
	uint64_t start, len;
	struct rd code;
};

static bool read_augmentation(struct rd *r, const char *text, struct cie *c)
{
	struct rd data = *r;
	uint64_t len;

	c->enc = 0;
	if (*text != 'z')
		return *text == '\0';
	c->augmented = true;
	len = uleb(r);
	data = *r;
	skip(r, len);
	data.end = r->p;
	for (text++; *text != '\0' && !data.bad; text++)
		switch (*text) {
		case 'R': c->enc = (uint8_t)get(&data, 1); break;
		case 'S': c->signal = true; break;
		case 'L': get(&data, 1); break;
		case 'P': pointer(&data, (uint8_t)get(&data, 1) & 0x7f); break;
		case 'B': break;
		default: return true; /* what follows is not known; nor is it needed */
		}
	return !data.bad;
}

static bool read_cie(struct rd r, struct cie *c)
{
	unsigned version = (unsigned)get(&r, 1);
	const char *text = (const char *)r.p;
	const uint8_t *nul = memchr(r.p, 0, (size_t)(r.end - r.p));

	memset(c, 0, sizeof *c);
	if ((version != 1 && version != 3) || nul == NULL)
		return false;
	skip(&r, (uint64_t)(nul - r.p) + 1);
	c->code_align = uleb(&r);
	c->data_align = sleb(&r);
	c->ra = version == 1 ? get(&r, 1) : uleb(&r);
	if (!read_augmentation(&r, text, c))
		return false;
	c->code = r;
	return !r.bad && c->ra == REG_IP;
}

/* A record's body, after its length and id; *at moves on.  false: the end. */
static bool record(struct rd *at, struct rd *body, uint64_t *id, const uint8_t **id_at)
{
	uint64_t len = get(at, 4);

	if (len == 0xffffffff)
		len = get(at, 8);
	if (at->bad || len < 4 || len > (uint64_t)(at->end - at->p))
		return false;
	*body = *at;
	body->end = at->p + len;
	skip(at, len);
	*id_at = body->p;
	*id = get(body, 4);
	return true;
}

static bool read_fde(struct rd r, const uint8_t *table, uint64_t addr, uint64_t id,
	const uint8_t *id_at, struct fde *f)
{
	struct rd cie, at = { .p = id_at, .end = r.end };
	const uint8_t *cie_id_at;
	uint64_t cie_id;

	if (id > (uint64_t)(id_at - table))
		return false;
	at.p = id_at - id;
	at.addr = addr + (uint64_t)(at.p - table);
	if (!record(&at, &cie, &cie_id, &cie_id_at) || cie_id != 0 || !read_cie(cie, &f->cie))
		return false;
	f->start = pointer(&r, f->cie.enc);
	f->len = pointer(&r, f->cie.enc & ENC_FORM);
	if (f->cie.augmented)
		skip(&r, uleb(&r));
	f->code = r;
	return !r.bad;
}

static bool find_fde(const uint8_t *table, size_t n, uint64_t addr, uint64_t pc, struct fde *f)
{
	struct rd at = { .p = table, .end = table + n, .addr = addr }, body;
	const uint8_t *id_at;
	uint64_t id;

	while (record(&at, &body, &id, &id_at))
		if (id != 0 && read_fde(body, table, addr, id, id_at, f) && pc - f->start < f->len)
			return true;
	return false;
}

/* ---- rules ---- */

enum rule { SAME, UNDEFINED, OFFSET, VAL_OFFSET, REGISTER, EXPRESSION, VAL_EXPRESSION };

struct row {
	struct {
		enum rule rule;
		int64_t n;
		struct rd expr;
	} reg[REGS + 1]; /* the last: registers that nobody asks for */
	bool cfa_expr;
	uint64_t cfa_reg;
	int64_t cfa_offset;
	struct rd cfa;
};

struct machine {
	const struct fde *f;
	uint64_t loc, pc;
	struct row row, initial, saved[STATES_MAX];
	unsigned depth;
	bool bad;
};

static unsigned reg_index(uint64_t reg)
{
	return reg < REGS ? (unsigned)reg : REGS; /* CF2 */
}

static void set(struct machine *m, uint64_t reg, enum rule rule, int64_t n)
{
	m->row.reg[reg_index(reg)].rule = rule;
	m->row.reg[reg_index(reg)].n = n;
}

static void restore(struct machine *m, uint64_t reg)
{
	m->row.reg[reg_index(reg)] = m->initial.reg[reg_index(reg)];
}

static struct rd block(struct rd *r)
{
	uint64_t len = uleb(r);
	struct rd b = *r;

	skip(r, len);
	b.end = r->p;
	return b;
}

static void set_block(struct machine *m, struct rd *r, enum rule rule)
{
	unsigned reg = reg_index(uleb(r));

	m->row.reg[reg].rule = rule;
	m->row.reg[reg].expr = block(r);
}

static void define_cfa(struct machine *m, uint64_t reg, int64_t offset)
{
	m->row.cfa_expr = false;
	m->row.cfa_reg = reg;
	m->row.cfa_offset = offset;
}

static int64_t factored(const struct cie *c, uint64_t n)
{
	return (int64_t)(n * (uint64_t)c->data_align);
}

/* Instructions whose top two bits are zero. */
static void extended(struct machine *m, struct rd *r, unsigned op)
{
	const struct cie *c = &m->f->cie;
	uint64_t a;

	switch (op) {
	case DW_CFA_nop: break;
	case DW_CFA_set_loc: m->loc = pointer(r, c->enc); break;
	case DW_CFA_advance_loc1: m->loc += get(r, 1) * c->code_align; break;
	case DW_CFA_advance_loc2: m->loc += get(r, 2) * c->code_align; break;
	case DW_CFA_advance_loc4: m->loc += get(r, 4) * c->code_align; break;
	case DW_CFA_offset_extended:
		a = uleb(r); set(m, a, OFFSET, factored(c, uleb(r)));
		break;
	case DW_CFA_restore_extended: restore(m, uleb(r)); break;
	case DW_CFA_undefined: set(m, uleb(r), UNDEFINED, 0); break;
	case DW_CFA_same_value: set(m, uleb(r), SAME, 0); break;
	case DW_CFA_register: a = uleb(r); set(m, a, REGISTER, (int64_t)uleb(r)); break;
	case DW_CFA_remember_state:
		if (m->depth == STATES_MAX)
			m->bad = true;
		else
			m->saved[m->depth++] = m->row;
		break;
	case DW_CFA_restore_state:
		if (m->depth == 0)
			m->bad = true;
		else
			m->row = m->saved[--m->depth];
		break;
	case DW_CFA_def_cfa: a = uleb(r); define_cfa(m, a, (int64_t)uleb(r)); break;
	case DW_CFA_def_cfa_register: define_cfa(m, uleb(r), m->row.cfa_offset); break;
	case DW_CFA_def_cfa_offset: define_cfa(m, m->row.cfa_reg, (int64_t)uleb(r)); break;
	case DW_CFA_def_cfa_expression: m->row.cfa_expr = true; m->row.cfa = block(r); break;
	case DW_CFA_expression: set_block(m, r, EXPRESSION); break;
	case DW_CFA_offset_extended_sf:
		a = uleb(r); set(m, a, OFFSET, factored(c, (uint64_t)sleb(r)));
		break;
	case DW_CFA_def_cfa_sf:
		a = uleb(r); define_cfa(m, a, factored(c, (uint64_t)sleb(r)));
		break;
	case DW_CFA_def_cfa_offset_sf:
		define_cfa(m, m->row.cfa_reg, factored(c, (uint64_t)sleb(r)));
		break;
	case DW_CFA_val_offset:
		a = uleb(r); set(m, a, VAL_OFFSET, factored(c, uleb(r)));
		break;
	case DW_CFA_val_offset_sf:
		a = uleb(r); set(m, a, VAL_OFFSET, factored(c, (uint64_t)sleb(r)));
		break;
	case DW_CFA_val_expression: set_block(m, r, VAL_EXPRESSION); break;
	case DW_CFA_GNU_args_size: uleb(r); break;
	case DW_CFA_GNU_negative_offset_extended:
		a = uleb(r); set(m, a, OFFSET, -factored(c, uleb(r)));
		break;
	default: m->bad = true;
	}
}

/* Executes instructions as far as they are about pc. */
static void execute(struct machine *m, struct rd r)
{
	const struct cie *c = &m->f->cie;

	while (r.p < r.end && !r.bad && !m->bad && m->loc <= m->pc) {
		unsigned op = (unsigned)get(&r, 1), low = op & 0x3f;

		switch (op >> 6) {
		case DW_CFA_advance_loc >> 6: m->loc += low * c->code_align; break;
		case DW_CFA_offset >> 6:
			set(m, low, OFFSET, factored(c, uleb(&r)));
			break;
		case DW_CFA_restore >> 6: restore(m, low); break;
		default: extended(m, &r, op);
		}
	}
	m->bad |= r.bad;
}

/* ---- expressions ---- */

struct eval {
	const struct guest_regs *g;
	cfi_read_fn *read;
	void *ctx;
	uint64_t stack[STACK_MAX];
	unsigned n;
	bool bad;
};

static void push(struct eval *x, uint64_t v)
{
	if (x->n == STACK_MAX)
		x->bad = true;
	else
		x->stack[x->n++] = v;
}

static uint64_t pop(struct eval *x)
{
	if (x->n == 0) {
		x->bad = true;
		return 0;
	}
	return x->stack[--x->n];
}

static uint64_t reg_of(struct eval *x, uint64_t reg)
{
	if (reg >= REGS || !reg_known(x->g, (unsigned)reg)) {
		x->bad = true;
		return 0;
	}
	return x->g->r[reg];
}

static uint64_t two(unsigned op, uint64_t a, uint64_t b)
{
	int64_t sa = (int64_t)a, sb = (int64_t)b;

	switch (op) {
	case DW_OP_and: return a & b;
	case DW_OP_minus: return a - b;
	case DW_OP_mul: return a * b;
	case DW_OP_or: return a | b;
	case DW_OP_plus: return a + b;
	case DW_OP_shl: return b < 64 ? a << b : 0;
	case DW_OP_shr: return b < 64 ? a >> b : 0;
	case DW_OP_shra: return (uint64_t)(sa >> (b < 64 ? b : 63));
	case DW_OP_xor: return a ^ b;
	case DW_OP_eq: return a == b;
	case DW_OP_ge: return sa >= sb;
	case DW_OP_gt: return sa > sb;
	case DW_OP_le: return sa <= sb;
	case DW_OP_lt: return sa < sb;
	default: return a != b; /* DW_OP_ne */
	}
}

static bool takes_two(unsigned op)
{
	switch (op) {
	case DW_OP_and: case DW_OP_minus: case DW_OP_mul: case DW_OP_or: case DW_OP_plus:
	case DW_OP_shl: case DW_OP_shr: case DW_OP_shra: case DW_OP_xor: case DW_OP_eq:
	case DW_OP_ge: case DW_OP_gt: case DW_OP_le: case DW_OP_lt: case DW_OP_ne:
		return true;
	default:
		return false;
	}
}

static void operation(struct eval *x, struct rd *r, unsigned op)
{
	uint64_t a, b;

	if (op >= DW_OP_lit0 && op <= DW_OP_lit31) {
		push(x, op - DW_OP_lit0);
		return;
	}
	if (op >= DW_OP_breg0 && op <= DW_OP_breg31) {
		a = reg_of(x, op - DW_OP_breg0);
		push(x, a + (uint64_t)sleb(r));
		return;
	}
	if (takes_two(op)) {
		b = pop(x);
		a = pop(x);
		push(x, two(op, a, b));
		return;
	}
	switch (op) {
	case DW_OP_addr: push(x, get(r, 8)); break;
	case DW_OP_deref:
		if (!x->read(x->ctx, pop(x), &a))
			x->bad = true;
		else
			push(x, a);
		break;
	case DW_OP_const1u: push(x, get(r, 1)); break;
	case DW_OP_const1s: push(x, (uint64_t)(int64_t)(int8_t)get(r, 1)); break;
	case DW_OP_const2u: push(x, get(r, 2)); break;
	case DW_OP_const2s: push(x, (uint64_t)(int64_t)(int16_t)get(r, 2)); break;
	case DW_OP_const4u: push(x, get(r, 4)); break;
	case DW_OP_const4s: push(x, (uint64_t)(int64_t)(int32_t)get(r, 4)); break;
	case DW_OP_const8u: case DW_OP_const8s: push(x, get(r, 8)); break;
	case DW_OP_constu: push(x, uleb(r)); break;
	case DW_OP_consts: push(x, (uint64_t)sleb(r)); break;
	case DW_OP_dup: a = pop(x); push(x, a); push(x, a); break;
	case DW_OP_drop: pop(x); break;
	case DW_OP_swap: b = pop(x); a = pop(x); push(x, b); push(x, a); break;
	case DW_OP_abs: a = pop(x); push(x, (int64_t)a < 0 ? -a : a); break;
	case DW_OP_neg: push(x, -pop(x)); break;
	case DW_OP_not: push(x, ~pop(x)); break;
	case DW_OP_plus_uconst: a = pop(x); push(x, a + uleb(r)); break;
	case DW_OP_bregx: a = uleb(r); push(x, reg_of(x, a) + (uint64_t)sleb(r)); break;
	case DW_OP_nop: break;
	default: x->bad = true; /* jumps too: nobody needs them here */
	}
}

static bool evaluate(const struct guest_regs *g, struct rd expr, const uint64_t *cfa,
	cfi_read_fn *read, void *ctx, uint64_t *value)
{
	struct eval x = { .g = g, .read = read, .ctx = ctx };

	if (cfa != NULL)
		push(&x, *cfa);
	for (unsigned i = 0; expr.p < expr.end && !x.bad && !expr.bad; i++) {
		if (i == STEPS_MAX)
			return false;
		operation(&x, &expr, (unsigned)get(&expr, 1));
	}
	*value = pop(&x);
	return !x.bad && !expr.bad;
}

/* ---- one step ---- */

static bool recover(const struct row *row, unsigned i, const struct guest_regs *old, uint64_t cfa,
	cfi_read_fn *read, void *ctx, uint64_t *value)
{
	uint64_t n = (uint64_t)row->reg[i].n;

	switch (row->reg[i].rule) {
	case SAME: *value = old->r[i]; return reg_known(old, i);
	case UNDEFINED: return false;
	case OFFSET: return read(ctx, cfa + n, value);
	case VAL_OFFSET: *value = cfa + n; return true;
	case REGISTER:
		if (n >= REGS)
			return false;
		*value = old->r[n];
		return reg_known(old, (unsigned)n);
	case EXPRESSION:
		return evaluate(old, row->reg[i].expr, &cfa, read, ctx, &n) && read(ctx, n, value);
	case VAL_EXPRESSION:
		return evaluate(old, row->reg[i].expr, &cfa, read, ctx, value);
	}
	return false;
}

static bool cfa_of(const struct row *row, const struct guest_regs *g, cfi_read_fn *read, void *ctx,
	uint64_t *cfa)
{
	if (row->cfa_expr)
		return evaluate(g, row->cfa, NULL, read, ctx, cfa);
	if (row->cfa_reg >= REGS || !reg_known(g, (unsigned)row->cfa_reg))
		return false;
	*cfa = g->r[row->cfa_reg] + (uint64_t)row->cfa_offset;
	return true;
}

bool cfi_is_signal(const uint8_t *table, size_t n, uint64_t addr, uint64_t bias, uint64_t ip)
{
	struct fde f;

	memset(&f, 0, sizeof f);
	return find_fde(table, n, addr, ip - bias, &f) && f.cie.signal;
}

enum cfi_result cfi_step(const uint8_t *table, size_t n, uint64_t addr, uint64_t bias,
	struct guest_regs *g, cfi_read_fn *read, void *ctx)
{
	struct guest_regs old = *g, new = { .known = 0 };
	struct machine m = { .pc = old.r[REG_IP] - (old.exact ? 0 : 1) - bias };
	struct fde f;
	uint64_t cfa, value;

	memset(&f, 0, sizeof f);
	if (!find_fde(table, n, addr, m.pc, &f))
		return CFI_NONE;
	m.f = &f;
	m.row.cfa_reg = REGS;
	execute(&m, f.cie.code);
	m.initial = m.row;
	m.loc = f.start;
	execute(&m, f.code);
	if (m.bad || !cfa_of(&m.row, &old, read, ctx, &cfa))
		return CFI_NONE;
	if (m.row.reg[REG_IP].rule == UNDEFINED)
		return CFI_END;
	for (unsigned i = 0; i < REGS; i++)
		if (i != REG_SP && recover(&m.row, i, &old, cfa, read, ctx, &value))
			reg_set(&new, i, value);
	if (m.row.reg[REG_SP].rule == SAME)
		reg_set(&new, REG_SP, cfa);
	else if (recover(&m.row, REG_SP, &old, cfa, read, ctx, &value))
		reg_set(&new, REG_SP, value);
	if (!reg_known(&new, REG_IP) || !reg_known(&new, REG_SP) || m.row.reg[REG_IP].rule == SAME)
		return CFI_NONE;
	new.exact = f.cie.signal;
	*g = new;
	return CFI_OK;
}
