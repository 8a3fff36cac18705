/*
 * trans.c - one block: decode ahead, decide about flags and stack groups, emit
 * the head, the instructions, the exits, and the cold code after them.
 *
 * A block is a run of instructions in one page, on through conditional
 * branches not taken, up to a branch or something only the dispatcher can do.
 */
#include <time.h>

#include "cpu/trans.h"
#include "util/clock.h"

typedef void emitter(struct tr *t, const struct insn *in);

/* Those that stay in the block. */
static emitter *const emitters[] = {
	[K_GENERIC] = op_generic, [K_LEA] = op_lea, [K_MOFFS] = op_moffs, [K_BT] = op_bt,
	[K_JCC] = op_jcc, [K_LOOP] = op_loop, [K_JMP] = op_jmp, [K_JMP_IND] = op_jmp_ind,
	[K_CALL] = op_call, [K_CALL_IND] = op_call_ind, [K_RET] = op_ret, [K_PUSH] = op_push,
	[K_FROM_SEG] = op_from_seg, [K_POP] = op_pop, [K_LEAVE] = op_leave_frame, [K_FXSAVE] = op_fxsave,
};

/* Sorts out what CR0.TS and the engine's tiers change. */
static void adjust_kind(struct tr *t, struct insn *in)
{
	if ((t->b->mode & BM_BASES) && in->has_mem && in->kind != K_LEA)
		in->mem.seg = in->mem.named;
	if (in->fp && (t->b->mode & BM_TS))
		in->kind = K_NM;
	if ((in->kind == K_STRING || in->kind == K_PUSHF) && t->careful)
		in->kind = K_SPECIAL;
	if (in->kind == K_IRET && t->temp)
		in->kind = K_SPECIAL;
	if ((!t->pass || t->count > 0) && (debug_stops_at(t->c, in->off) ||
	    points_stop_at(t->c, t->abs, t->page, in->off)))
		in->kind = K_SPECIAL; /* run.c looks for a breakpoint */
}

/*
 * Decodes up to `limit` instructions.  0; -1: the first one cannot be fetched.
 */
static int decode(struct tr *t, uint64_t va, mfn_t mfn, unsigned limit, struct mem_fault *f)
{
	const uint8_t *bytes = mem_frame(t->c->mem, mfn);
	bool code64 = !t->compat;
	unsigned off = va & (PAGE_SIZE - 1);

	while (t->count < (int)limit && off < PAGE_SIZE) {
		struct insn *in = &t->in[t->count];

		if (insn_decode(in, bytes + off, PAGE_SIZE - off, code64, t->c->isa) != 0) {
			uint8_t both[2 * INSN_MAX];
			unsigned head = PAGE_SIZE - off;

			if (t->count > 0) {
				t->next_straddles = true; /* a block of its own */
				return 0;
			}
			t->b->mfn2 = mmu_fetch(t->c->mmu, block_mem_mode(t->b),
				(va & PAGE_MASK) + PAGE_SIZE, f);
			if (t->b->mfn2 == MFN_NONE)
				return -1;
			memcpy(both, bytes + off, head);
			memcpy(both + head, mem_frame(t->c->mem, t->b->mfn2), INSN_MAX);
			if (insn_decode(in, both, head + INSN_MAX, code64, t->c->isa) != 0) {
				in->kind = K_UD;
				in->len = 1;
				in->looked = INSN_MAX;
			}
			limit = 1;
		}
		in->off = (uint16_t)off;
		adjust_kind(t, in);
		off += in->len;
		t->count++;
		if (insn_ends_block(in))
			break;
	}
	return 0;
}

static bool touches_memory(const struct insn *in)
{
	return in->kind != K_GENERIC && in->kind != K_NOP && in->kind != K_LEA ? true
		: in->has_mem && in->kind == K_GENERIC;
}

/* Is the first thing the block does about flags to overwrite them all? */
static bool overwrites_flags_first(const struct tr *t)
{
	for (int i = 0; i < t->count && i < LATE_CHECK - 1; i++) {
		const struct insn *in = &t->in[i];

		/* (Cold code cannot fault: see site_here().) */
		if (touches_memory(in) || op_may_trap(in) || insn_reads_flags(in))
			return false;
		if (in->fl_write)
			return true;
	}
	return false;
}

static void head(struct tr *t)
{
	struct out *o = &t->o;
	struct block *b = t->b;
	struct cold *k;
	uint8_t *skip = NULL;
	struct site *s;

	t->late = !t->temp && overwrites_flags_first(t);
	b->entry_host = lo(o->p);
	if (!t->late && !t->temp && b->rec.kind == REC_NONE) {
		t->fs = FL_HOST;
		flags_saved(t);
		if (!t->abs) {
			e8(o, B_JMP8);
			skip = o->p;
			e8(o, 0);
		}
	}
	b->entry_far = lo(o->p);
	if (!t->abs && !t->temp) {
		e_and_imm(o, 1, R11, 0xfffff000);
		e_store(o, field(&t->c->pcbase), R11);
	}
	if (!t->late)
		e_fit(o, BUDGET_CHECK); /* not in the way of links */
	if (skip != NULL)
		*skip = (uint8_t)(o->p - (skip + 1));
	b->entry_saved = lo(o->p);
	if (t->late || b->rec.kind != REC_NONE) /* not through entry_far */
		b->entry_host = b->entry_saved;
	t->rec = b->rec;
	t->fs = t->late ? FL_NONE : b->rec.kind != REC_NONE ? FL_RECIPE : FL_SAVED;
	if (t->temp) {
		e_rr(o, 1, X_ARITH, EXT_SUB, R15); /* the budget is exact: no check */
		piece_cost(t, o->p);
		e32(o, 0);
	} else if (!t->late) {
		s = site_here(t, &t->in[0], 0);
		k = cold_new(t, COLD_GLUE, budget_check(t));
		k->site = s;
		k->glue = t->c->glue.stop;
	}
}

static void leave_block(struct tr *t, const struct insn *in)
{
	switch (in->kind) {
	case K_SYSCALL:
		op_leave(t, in, t->c->glue.syscall, 0);
		break;
	case K_IRET:
		flags_saved(t);
		op_leave(t, in, t->c->glue.iret, 0);
		break;
	case K_TO_SEG:
		op_leave(t, in, t->c->glue.to_seg, TO_SEG(in->modrm >> 3 & 7u,
			(in->modrm & 7u) | (in->rex & 1u) << 3));
		break;
	case K_UD:
		op_leave(t, in, t->c->glue.fault, 6);
		break;
	case K_GP:
		op_leave(t, in, t->c->glue.fault, 13);
		break;
	case K_NM:
		op_leave(t, in, t->c->glue.fault, 7);
		break;
	default:
		op_leave(t, in, t->c->glue.special, 0);
	}
}

/* cmp and jcc fuse: keep them in one 32-byte line (e_fit()). */
static void fit_with_branch(struct tr *t, const struct insn *in)
{
	if (in->kind == K_JCC)
		e_fit(&t->o, 6);
	else if (in->kind == K_GENERIC && !in->has_mem && in->fl_write && t->i + 1 < t->count &&
	    in[1].kind == K_JCC && !homed(in->reg) && !homed(in->rm))
		e_fit(&t->o, in->len + 6u);
}

/* glue.c has to know. */
static void note_x87(struct tr *t)
{
	if (t->x87)
		return;
	t->x87 = true;
	e_rm(&t->o, 0, X_MOV8_IMM, 0, field(&t->c->whole_fx));
	e8(&t->o, 1);
}

/* Upper halves of ymm registers are about to be used, or have just been cleared. */
static void note_high(struct tr *t, bool used)
{
	if (t->high == used && used)
		return;
	t->high = used;
	e_rm(&t->o, 0, X_MOV8_IMM, 0, field(&t->c->high));
	e8(&t->o, used);
}

static bool clears_high(const struct insn *in)
{
	return in->has_vex && in->map == 1 && in->opcode == B_VZERO;
}

static void emit_one(struct tr *t, const struct insn *in)
{
	if (!stack_may_lag(t, in))
		stack_sync(t);
	if (in->x87)
		note_x87(t);
	if (in->ymm && in->kind == K_GENERIC && !clears_high(in))
		note_high(t, true);
	group_begin(t, in);
	if (!regs_suit(t, in))
		regs_forget(t);
	else if (t->i + 1 < t->count && in[1].kind == K_JCC)
		regs_home(t); /* not between what fuses */
	fit_with_branch(t, in);
	if (in->kind < sizeof emitters / sizeof *emitters && emitters[in->kind] != NULL)
		emitters[in->kind](t, in);
	else if (in->kind == K_STRING)
		op_helper(t, in, t->c->glue.string, string_desc(in, !t->compat));
	else if (in->kind == K_PUSHF)
		op_helper(t, in, t->c->glue.pushf, 0);
	else if (in->kind == K_RDTSC)
		op_helper(t, in, t->c->glue.rdtsc, in->has_modrm && in->modrm == 0xf9);
	else if (in->kind != K_NOP)
		leave_block(t, in);
	if (clears_high(in) && in->kind == K_GENERIC)
		note_high(t, false);
}

void piece_cost(struct tr *t, uint8_t *imm)
{
	t->piece.cost = imm;
}

static void piece_begin(struct tr *t)
{
	t->piece.cost = NULL;
	t->piece.n = t->n;
	t->piece.br = t->br;
	t->piece.site = t->c->site_p;
	t->piece.cold = t->ncold;
}

static void piece_end(struct tr *t)
{
	uint32_t cost = (t->n - t->piece.n) << COUNT_SHIFT | (t->br - t->piece.br);

	if (t->piece.n == 0) {
		t->b->first = (uint8_t)t->n;
		put32(t->piece.cost, cost);  /* of a sub */
	} else {
		put32(t->piece.cost, -cost); /* of next_piece()'s lea */
	}
	for (struct site *s = t->piece.site; s < t->c->site_p; s++) {
		s->n = (uint8_t)(t->n - s->n);
		s->b = (uint8_t)(t->br - s->b);
	}
	for (int i = t->piece.cold; i < t->ncold; i++) {
		t->cold[i].paid_n = (uint8_t)t->n;
		t->cold[i].paid_b = (uint8_t)t->br;
	}
}

/* Behind a branch not taken.  (Leaves the flags alone.) */
static void next_piece(struct tr *t)
{
	piece_end(t);
	piece_begin(t);
	e_lea(&t->o, R15, EA_BASE(R15, -(1 << COUNT_SHIFT)));
	piece_cost(t, t->o.p - 4);
}

static void insns(struct tr *t)
{
	const struct insn *in = NULL;

	for (t->i = 0; t->i < t->count; t->i++) {
		in = &t->in[t->i];
		emit_one(t, in);
		if (insn_ends_block(in))
			return;
		if (in->kind != K_JCC)
			t->n++;
		else if (t->i + 1 < t->count)
			next_piece(t);
	}
	stack_sync(t);
	regs_forget(t);
	if (t->next_straddles && !t->abs)
		exit_far(t, in->off + in->len); /* C5: never linked to */
	else
		exit_to(t, in->off + in->len);
}

static void body(struct tr *t)
{
	insns(t);
	piece_end(t);
	t->b->n = (uint16_t)t->n;
}

static void note_frames(struct tr *t)
{
	struct block *b = t->b;
	const struct insn *last = &t->in[t->count - 1];
	unsigned from = t->in[0].off, to = last->off + last->looked;

	mem_code_mark(t->c->mem, b->phys >> PAGE_SHIFT, from, to < PAGE_SIZE ? to : PAGE_SIZE);
	if (b->mfn2 != MFN_NONE)
		mem_code_mark(t->c->mem, b->mfn2, 0, to - PAGE_SIZE);
}

/* What has been written is after *end now. */
static void take_code(const struct tr *t, uint8_t **end)
{
	uint8_t *p = t->o.p - t->c->code_write;

	t->c->stats.host_bytes += (uint64_t)(p - *end);
	*end = p;
}

/* NULL: the first instruction cannot be fetched, *f says why. */
struct block *translate(struct cpu *c, uint64_t va, unsigned mode, unsigned limit,
	unsigned flags, const struct recipe *rec, struct mem_fault *f)
{
	mfn_t mfn = mmu_fetch(c->mmu, mode & BM_USER ? MEM_USER : MEM_KERNEL, va, f);
	uint64_t start = clock_ns(CLOCK_MONOTONIC);
	struct tr t;
	struct block *b;

	if (mfn == MFN_NONE)
		return NULL;
	cache_ahead(c);
	b = meta_alloc(c, sizeof *b);
	t.c = c;
	t.b = b;
	t.o.p = c->code_p + c->code_write;
	t.page = va & PAGE_MASK;
	t.abs = mode_is_placed(mode);
	t.compat = (mode & BM_COMPAT) != 0;
	t.careful = (flags & TR_CAREFUL) != 0;
	t.native = (mode & BM_SPACE) && !t.careful;
	t.temp = (flags & TR_TEMP) != 0;
	t.pass = (flags & (TR_CAREFUL | TR_PASS)) != 0 || (mode & BM_PASS) != 0;
	t.count = t.i = t.ncold = t.nrecs = 0;
	t.rec = (struct recipe){ .kind = REC_NONE };
	t.n = t.br = 0;
	t.delta_reg = NO_REG;
	regs_clear(&t);
	t.lag = 0;
	t.x87 = t.high = false;
	t.in_cold = NULL;
	t.next_straddles = false;
	b->phys = mfn << PAGE_SHIFT | (va & (PAGE_SIZE - 1));
	b->page = t.abs ? t.page : 0;
	b->mfn2 = MFN_NONE;
	b->mode = (uint16_t)mode;
	if (rec != NULL)
		b->rec = *rec;
	if (c->tier == CPU_REFERENCE)
		limit = 1;
	if (decode(&t, va, mfn, limit < MAX_BLOCK ? limit : MAX_BLOCK, f) != 0)
		return NULL;
	plan_groups(&t);
	piece_begin(&t);
	head(&t);
	body(&t);
	take_code(&t, &c->code_p);
	t.o.p = c->cold_p + c->code_write;
	cold_emit(&t);
	take_code(&t, &c->cold_p);
	b->recs = meta_alloc(c, (size_t)t.nrecs * sizeof *b->recs);
	memcpy(b->recs, t.recs, (size_t)t.nrecs * sizeof *b->recs);
	note_frames(&t);
	c->stats.blocks++;
	c->stats.guest_insns += (uint64_t)t.count;
	c->stats.guest_bytes += (uint64_t)t.in[t.count - 1].off + t.in[t.count - 1].len - t.in[0].off;
	c->stats.translate_ns += clock_ns(CLOCK_MONOTONIC) - start;
	return b;
}
