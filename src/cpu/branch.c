/*
 * branch.c - the ways out of a block.
 *
 * A direct exit is a jump that is linked to the target block once that exists (C4);
 * in user mode one to another page, once it has been used for a while.  Other exits
 * look the target's address up in the mode's jump cache, inline.  A temporary block
 * never goes on to another one: it reports where it would.
 */
#include "cpu/trans.h"

struct cold *cold_new(struct tr *t, enum cold_kind kind, uint8_t *from)
{
	struct cold *k = &t->cold[t->ncold++];

	memset(k, 0, sizeof *k);
	k->kind = kind;
	k->from = from;
	k->n = (uint8_t)t->n;
	k->b = (uint8_t)t->br;
	k->fl = (uint8_t)t->fs;
	k->rec = t->rec;
	memcpy(k->kept, t->kept, sizeof k->kept);
	return k;
}

/* The branch has retired: what follows is after it. */
static void retire_branch(struct tr *t)
{
	t->n++;
	t->br++;
}

static void glue_call(struct tr *t, const struct site *s, uint32_t glue)
{
	e_imm(&t->o, R10, lo(s));
	e_jmp(&t->o, glue);
}

/*
 * End of a temporary block; r11 = where to.  behind: the site before this one is a branch
 * whose target can be non-canonical (hot_end()).
 */
static void report(struct tr *t, bool behind)
{
	struct insn none = { 0 };
	struct site *s = site_here(t, &none, behind);

	glue_call(t, s, t->c->glue.end);
}

/* r11 = target, flags saved; s: the branch, if its target can be non-canonical. */
static void jump_indirect(struct tr *t, const struct site *s)
{
	struct jc_entry *jc = t->c->jc[block_mem_mode(t->b)];
	struct out *o = &t->o;
	struct cold *k;
	uint8_t *from;

	if (t->temp) {
		report(t, s != NULL);
		return;
	}
	e_rr(o, 0, X_MOVZX16, R10, R11);
	from = o->p;
	e_rr(o, 0, X_ADD, R10, R10);
	e_fit_after(o, from, 0, 14);
	e_rm(o, 1, X_CMP_R, R11, EA_TABLE(R10, &jc->va));
	k = cold_new(t, COLD_GLUE, e_jcc(o, CC_NE));
	k->glue = t->c->glue.indirect;
	k->site = s;
	e_fit(o, 8);
	e_jmp_mem(o, EA_TABLE(R10, &jc->host));
}

static bool linkable(const struct tr *t, int64_t off)
{
	return !t->temp && (t->abs || (off & ~(int64_t)0xfff) == 0);
}

/* The jump with its rel32 at `patch` is a direct exit. */
static struct link *link_new(struct tr *t, enum cold_kind kind, uint8_t *patch)
{
	struct link *l = meta_alloc(t->c, sizeof *l);

	l->from = t->b;
	l->fl = (uint8_t)t->fs;
	l->patch = lo(patch);
	l->left = LINK_USES;
	cold_new(t, kind, patch)->link = l;
	return l;
}

static void link_near(struct tr *t, uint8_t *patch, int64_t off, bool plain)
{
	struct link *l = link_new(t, COLD_LINK, patch);

	if (t->fs == FL_HOST && off <= t->in[0].off && !plain)
		l->rec = t->rec; /* backward: likely a loop */
	l->plain = plain;
	l->target = t->abs ? t->page + (uint64_t)off : (uint64_t)off;
	l->far = (off & ~(int64_t)0xfff) != 0;
}

static uint8_t *jump(struct out *o)
{
	e_fit(o, 5);
	e8(o, B_JMP);
	e32(o, 0);
	return o->p - 4;
}

/* From user code to another page. */
static void exit_far_link(struct tr *t, int64_t off)
{
	struct link *l;

	if (t->fs == FL_RECIPE)
		flags_host(t);
	code_addr(t, off & ~(int64_t)0xfff);
	e_store(&t->o, field(&t->c->pcbase), R11);
	l = link_new(t, COLD_FAR, jump(&t->o));
	l->target = off & 0xfff;
	l->far = true;
}

static void exit_link(struct tr *t, int64_t off, bool plain)
{
	if (t->fs == FL_RECIPE)
		flags_host(t);
	link_near(t, jump(&t->o), off, plain);
}

/* Leaves the block, which is paid for up to here, for `off` bytes into its page. */
void exit_to(struct tr *t, uint64_t uoff)
{
	int64_t off = (int64_t)uoff;

	if (t->temp) {
		code_addr(t, off);
		report(t, false);
	} else if (linkable(t, off)) {
		exit_link(t, off, false);
	} else {
		exit_far_link(t, off);
	}
}

void exit_far(struct tr *t, uint64_t off)
{
	flags_saved(t);
	code_addr(t, (int64_t)off);
	jump_indirect(t, NULL);
}

static uint64_t branch_target(const struct insn *in)
{
	return (uint64_t)(in->off + in->len + in->imm);
}

/* The jump with its rel32 at `from` is the branch when it is taken. */
static void taken_exit(struct tr *t, const struct insn *in, uint8_t *from)
{
	int64_t off = (int64_t)branch_target(in);

	if (linkable(t, off))
		link_near(t, from, off, false);
	else
		cold_new(t, COLD_EXIT, from)->target = (uint64_t)off;
}

void op_jcc(struct tr *t, const struct insn *in)
{
	flags_host(t);
	regs_home(t);
	retire_branch(t);
	taken_exit(t, in, e_jcc(&t->o, in->opcode & 15));
}

/* loop, jrcxz: only the short form exists; jump around jumps. */
void op_loop(struct tr *t, const struct insn *in)
{
	struct out *o = &t->o;
	bool ecx = in->mem.addr32;
	uint8_t *around;

	if (insn_reads_flags(in) || t->fs == FL_RECIPE) /* no recipe goes along a link */
		flags_host(t);
	flags_before(t, in);
	if (ecx)
		e8(o, B_ADDRSIZE);
	e8(o, in->opcode);
	e8(o, 5);
	e8(o, B_JMP);
	around = o->p;
	e32(o, 0);
	e8(o, B_JMP);
	e32(o, 0);
	retire_branch(t);
	taken_exit(t, in, o->p - 4);
	e_patch(around, o->p);
	exit_to(t, in->off + in->len);
}

void op_jmp(struct tr *t, const struct insn *in)
{
	retire_branch(t);
	exit_to(t, branch_target(in));
}

static void load_target(struct tr *t, const struct insn *in)
{
	if (in->has_mem) {
		access_mem(t, in, t->compat ? 4 : 8, false);
		e_rm(&t->o, !t->compat, X_MOV_R, R11, EA_BASE(R11, 0));
	} else if (homed(in->rm)) {
		e_load(&t->o, R11, home(t, in->rm));
	} else {
		e_rr(&t->o, !t->compat, X_MOV, in->rm, R11);
	}
}

void op_jmp_ind(struct tr *t, const struct insn *in)
{
	const struct site *s;

	flags_saved(t);
	load_target(t, in);
	s = site_here(t, in, 0);
	retire_branch(t);
	jump_indirect(t, s);
}

void op_call(struct tr *t, const struct insn *in)
{
	push_return(t, in);
	retire_branch(t);
	exit_to(t, branch_target(in));
}

void op_call_ind(struct tr *t, const struct insn *in)
{
	const struct site *s;

	flags_saved(t);
	load_target(t, in);
	e_store(&t->o, field(&t->c->tmp[2]), R11);
	push_return(t, in);
	e_load(&t->o, R11, field(&t->c->tmp[2]));
	s = site_here(t, in, SITE_CALL);
	retire_branch(t);
	jump_indirect(t, s);
}

void op_ret(struct tr *t, const struct insn *in)
{
	const struct site *s;

	pop_return(t, in);
	s = site_here(t, in, 8 + (in->imm_len ? (uint16_t)in->imm : 0u));
	retire_branch(t);
	jump_indirect(t, s);
}

/* ---- what stands after the block ---- */

static void cold_slow(struct tr *t, const struct cold *k)
{
	access_entry(t, X_XOR_R, R11, k->tag);
	glue_call(t, k->site, k->glue);
}

/* Back to the state of an exit in mid-block, and to the count. */
static void cold_state(struct tr *t, const struct cold *k)
{
	uint32_t back = (uint32_t)(k->paid_n - k->n) << COUNT_SHIFT | (uint32_t)(k->paid_b - k->b);

	t->fs = (enum fstate)k->fl;
	t->rec = k->rec;
	if (back != 0)
		e_lea(&t->o, R15, EA_BASE(R15, (int32_t)back));
}

static void cold_exit(struct tr *t, const struct cold *k)
{
	cold_state(t, k);
	exit_to(t, k->target);
}

static void cold_link(struct tr *t, const struct cold *k)
{
	k->link->stub = lo(t->o.p);
	e_imm(&t->o, R10, lo(k->link));
	e_jmp(&t->o, k->link->fl == FL_HOST ? t->c->glue.link_host : t->c->glue.link_saved);
}

/* Not linked, or no more: by the jump cache, and each LINK_USES times a try. */
static void cold_far(struct tr *t, const struct cold *k)
{
	struct out *o = &t->o;
	struct link *l = k->link;
	uint8_t *not_yet;

	l->stub = lo(o->p);
	t->fs = (enum fstate)k->fl;
	t->rec = k->rec;
	flags_saved(t);
	e_rm(o, 0, X_BRANCH, EXT_DEC, field(&l->left));
	not_yet = e_jcc(o, CC_NE);
	e_imm(o, R10, lo(l));
	e_jmp(o, t->c->glue.link_saved);
	e_patch(not_yet, o->p);
	code_addr(t, (int64_t)l->target);
	jump_indirect(t, NULL);
}

/*
 * A group's check failed.  When its range lies across two pages, on in the plain
 * translation, linked directly: a hot function's frame may lie there for long.
 */
static void cold_group(struct tr *t, const struct cold *k)
{
	struct out *o = &t->o;
	uint8_t *across;

	if (k->stack)
		e_rm(o, 1, X_XOR_R, R11, field(&access_tlb(t)->stack.tag));
	else
		access_entry(t, X_XOR_R, R11, k->tag);
	e_rr(o, 0, X_MOV, R11, R10);
	e_and_imm(o, 0, R10, PAGE_SIZE - 1);
	e_cmp_imm(o, 0, R10, PAGE_SIZE - (k->site->size & (SITE_WRITE - 1u)));
	across = e_jcc(o, CC_A);
	glue_call(t, k->site, k->stack ? t->c->glue.stack[block_mem_mode(t->b)]
		: t->c->glue.slow_group);
	e_patch(across, o->p);
	cold_state(t, k);
	exit_link(t, (int64_t)k->target, true);
}

/* The one instruction before which the budget ran out, then stop. */
static void cold_late(struct tr *t, const struct cold *k)
{
	struct insn next = *k->in;

	memcpy(t->kept, k->kept, sizeof t->kept);
	op_generic(t, k->in);
	regs_forget(t);
	t->n++;
	next.off = (uint16_t)(k->in->off + k->in->len);
	glue_call(t, site_here(t, &next, 0), t->c->glue.stop);
}

void cold_emit(struct tr *t)
{
	/* Emitting a cold piece may add more of them. */
	for (int i = 0; i < t->ncold; i++) {
		struct cold k = t->cold[i];

		t->delta_reg = NO_REG;
		regs_clear(t);
		t->n = k.n;
		t->br = k.b;
		t->in_cold = &k;
		e_patch(k.from, t->o.p);
		switch (k.kind) {
		case COLD_SLOW:
			cold_slow(t, &k);
			break;
		case COLD_GLUE:
			glue_call(t, k.site, k.glue);
			break;
		case COLD_AC:
			glue_call(t, k.site, t->c->glue.misaligned);
			break;
		case COLD_GROUP:
			cold_group(t, &k);
			break;
		case COLD_EXIT:
			cold_exit(t, &k);
			break;
		case COLD_LATE:
			cold_late(t, &k);
			break;
		case COLD_LINK:
			cold_link(t, &k);
			break;
		case COLD_FAR:
			cold_far(t, &k);
			break;
		}
	}
}
