/*
 * run.c - the dispatcher: hands out budgets, enters translated code, and acts
 * on why it came back.
 *
 * Exactness of the stop: blocks check the budget at their heads, so a run
 * comes back at the head of a block of which nothing more fits, having overrun its
 * budget by less than the block before it and a late check: OVERRUN is held back
 * for that.  Of the rest of the way as much as can be is run block by block, each with
 * a budget for its head alone, so that the next one stops; the last few instructions are
 * a temporary block cut to their very number.
 */
#include <string.h>

#include "cpu/internal.h"
#include "util/zero.h"

uint64_t cpu_tsc(const struct cpu_state *s)
{
	return tsc_at(s, s->icount);
}

/* Is the x87 state in cpu.s.fx as after reset?  (FOP, FIP and FDP are not shown.) */
bool x87_plain(const struct cpu *c)
{
	static const uint8_t control[FX_FOP] = { FX_FCW_RESET & 0xff, FX_FCW_RESET >> 8 };
	static const uint8_t registers[FX_XMM - FX_ST];

	return memcmp(c->s.fx, control, sizeof control) == 0 &&
		memcmp(c->s.fx + FX_ST, registers, sizeof registers) == 0;
}

/* Runs on at the entry `host`; afterwards all of the guest's state is in c->s. */
static void enter_at(struct cpu *c, uint64_t host, uint64_t budget)
{
	bool had_high = c->high != 0;

	c->budget = budget;
	c->count = budget << COUNT_SHIFT | COUNT_BRANCHES;
	c->flags = flags_pack(c->s.rflags);
	c->hostflags = c->s.rflags & FLAG_DF;
	c->pcbase = c->s.rip & PAGE_MASK;
	c->resume = host;
	c->ret = c->s.rip;
	((void (*)(void))region_at(c->glue.enter))();
	if (c->whole_fx)
		c->whole_fx = !x87_plain(c);
	if (c->high)
		c->high = !is_zero(c->s.ymmh, sizeof c->s.ymmh);
	else if (had_high)
		memset(c->s.ymmh, 0, sizeof c->s.ymmh);
	cpu_settle(c);
}

/* The same, and on after exits that are completed at once (QE1). */
static void enter_quick(struct cpu *c, uint64_t host, uint64_t budget)
{
	c->quick = c->quick_fn != NULL && !c->watching;
	enter_at(c, host, budget);
	c->quick = false;
}

void cpu_enter(struct cpu *c, const struct block *b, uint64_t budget)
{
	jc_check(c);
	enter_at(c, region_addr(b->entry_saved), budget);
}

/*
 * Goes on at rip if the jump cache knows it.  A block checks the budget itself,
 * so all that is asked of it here is that no temporary block will be needed.
 */
static bool enter_known(struct cpu *c, uint64_t left)
{
	const struct jc_entry *e = &c->jc[c->s.mode][c->s.rip & (JC_SIZE - 1)];

	if (left < MAX_BLOCK + OVERRUN)
		return false;
	jc_check(c);
	if (e->va != c->s.rip)
		return false;
	left -= OVERRUN;
	enter_quick(c, e->host, left < MAX_QUANTUM ? left : MAX_QUANTUM);
	return true;
}

/*
 * The block at rip, translated if need be; rec: entered with that recipe for the
 * flags (NULL: none).  NULL: c->x is the fetch fault.
 */
struct block *block_at(struct cpu *c, unsigned mode, const struct recipe *rec)
{
	struct mem_fault f;
	struct block *b = NULL;
	mfn_t mfn;

	if (!cache_room(c))
		cache_flush(c);
	mfn = mmu_fetch(c->mmu, (enum mem_mode)c->s.mode, c->s.rip, &f);
	if (mfn != MFN_NONE)
		b = cache_find(c, c->s.rip, mode, mfn, rec);
	if (mfn != MFN_NONE && b == NULL) {
		bool careful = (mode & BM_CAREFUL) != 0;

		b = translate(c, c->s.rip, mode, careful ? 1 : MAX_BLOCK,
			careful ? TR_TEMP | TR_CAREFUL : 0, rec, &f);
		if (b != NULL)
			cache_insert(c, b);
	}
	if (b == NULL)
		set_fault(c, &f);
	return b;
}

/* A block of at most `limit` instructions that is used once, from rip. */
static bool run_temp(struct cpu *c, unsigned limit, unsigned flags)
{
	struct mem_fault f;
	struct block *b;
	uint8_t *code_p, *cold_p, *meta_p;
	struct site *site_p;

	if (!cache_room(c))
		cache_flush(c);
	code_p = c->code_p;
	cold_p = c->cold_p;
	meta_p = c->meta_p;
	site_p = c->site_p;
	b = translate(c, c->s.rip, cpu_block_mode(c) | BM_PLAIN, limit, TR_TEMP | flags,
		NULL, &f);
	if (b == NULL) {
		set_fault(c, &f);
		return false;
	}
	c->stats.truncated_blocks++;
	cpu_enter(c, b, b->n);
	c->code_p = code_p;
	c->cold_p = cold_p;
	c->meta_p = meta_p;
	c->site_p = site_p;
	return true;
}

/*
 * Finds the target of c->link and joins the two.  At the back edge of a loop
 * that is the translation of the loop's head that goes on with the recipe,
 * unless the head overwrites the flags anyway.
 */
static bool resolve_link(struct cpu *c)
{
	struct link *l = c->link;
	uint64_t flushes = c->stats.cache_flushes;
	unsigned mode = cpu_block_mode(c) | (l->plain ? BM_PLAIN : 0u);
	struct block *b = block_at(c, mode, NULL), *to = b;

	if (b == NULL)
		return true;
	if (l->rec.kind != REC_NONE && b->entry_host != b->entry_saved)
		to = block_at(c, mode, &l->rec);
	if (to != NULL && flushes == c->stats.cache_flushes && !l->from->dead)
		cache_link(c, l, to);
	return false;
}

static bool handle(struct cpu *c);

/* One instruction, breakpoints on it having been looked at.  true: exit. */
static bool step_one(struct cpu *c)
{
	return !run_temp(c, 1, TR_PASS) || handle(c);
}

/* An instruction for special.c, or one where a breakpoint may be. */
static bool special(struct cpu *c)
{
	unsigned off = c->s.rip & (PAGE_SIZE - 1);
	struct insn in;

	if (!debug_stops_at(c, off) &&
	    !points_stop_at(c, c->s.mode == MEM_KERNEL, c->s.rip - off, off))
		return special_execute(c);
	if (points_break(c) || debug_break(c))
		return true;
	if (!insn_at(c, &in) || special_knows(&in))
		return special_execute(c);
	c->plain_next = block_at(c, cpu_block_mode(c) | BM_PLAIN | BM_PASS, NULL);
	return c->plain_next == NULL;
}

/* Acts on c->leave.  true: c->x is an exit for the caller of cpu_run(). */
static bool handle(struct cpu *c)
{
	struct block *b;

	/* A walk changed code: nothing of the instruction is done, and it is fetched anew. */
	if (mem_code_dirty(c->mem) && (c->leave == LEAVE_CAREFUL || c->leave == LEAVE_PLAIN ||
	    c->leave == LEAVE_SPECIAL))
		return false;
	switch (c->leave) {
	case LEAVE_STOP:
	case LEAVE_END:
		return false;
	case LEAVE_FAULT:
		return refine_fault(c);
	case LEAVE_CAREFUL:
		return step_careful(c);
	case LEAVE_PLAIN:
		b = block_at(c, cpu_block_mode(c) | BM_PLAIN, NULL);
		if (b == NULL)
			return true;
		/* One block's worth; a fitting budget keeps the stop exact. */
		c->plain_next = b;
		return false;
	case LEAVE_SPECIAL:
		return special(c);
	case LEAVE_SYSCALL:
		c->x.reason = CPU_EXIT_SYSCALL;
		c->x.len = c->site->len;
		return true;
	case LEAVE_LINK:
		return resolve_link(c);
	case LEAVE_JUMP:
		b = block_at(c, cpu_block_mode(c), NULL);
		if (b == NULL)
			return true;
		jc_insert(c, (enum mem_mode)c->s.mode, c->s.rip, b);
		return false;
	}
	return false;
}

/*
 * Executes one instruction with the trap flag set; the trap follows it.  Of a
 * string instruction one element is done, and only the last one retires it.
 */
static bool step_traced(struct cpu *c)
{
	uint64_t before = c->s.icount;
	struct insn in;
	bool repeats = insn_at(c, &in) && in.kind == K_STRING;

	if (debug_break(c))
		return true;
	if (repeats ? special_execute(c) : step_one(c))
		return true;
	if (c->s.icount == before && !repeats)
		return false;
	debug_exit(c, CPU_DR6_BS);
	return true;
}

/*
 * What was touched by the instruction just completed may be watched.  One that
 * did not complete will be executed again.
 */
static bool trap_hits(struct cpu *c, bool exit)
{
	unsigned hits = c->hits;

	c->hits = 0;
	if (!exit)
		debug_exit(c, hits);
	else if (c->x.reason == CPU_EXIT_PRIV)
		c->after |= (uint16_t)hits;
	else if (c->x.reason == CPU_EXIT_EXCEPTION && c->x.vector == VEC_DB)
		c->x.error |= hits;
	return true;
}

/*
 * Does the block, an iretq that ends it unpaid, and what may run before the next one stops?
 * (If it was cut, its plain translation, begun somewhere in it, goes further than it.)
 */
static bool fits(const struct block *b, uint64_t left)
{
	return b->n < MAX_BLOCK && (unsigned)b->n + 1 + LATE_CHECK <= left;
}

/* Runs some of the `left` instructions by whole blocks.  true: exit. */
static bool run_blocks(struct cpu *c, uint64_t left)
{
	struct block *b = c->plain_next;
	bool watched = mem_watch_hit(c->mem) != NULL;
	uint64_t budget;

	c->plain_next = NULL;
	if (b == NULL || b->dead) {
		if (enter_known(c, left))
			return handle(c);
		b = block_at(c, cpu_block_mode(c), NULL);
		if (b == NULL)
			return true;
		if (mem_code_dirty(c->mem) || (!watched && mem_watch_hit(c->mem) != NULL))
			return false; /* the walk for it set bits that are instructions, or watched */
		jc_check(c);
		jc_insert(c, (enum mem_mode)c->s.mode, c->s.rip, b);
	}
	budget = left > OVERRUN ? left - OVERRUN : 0;
	if (budget > MAX_QUANTUM)
		budget = MAX_QUANTUM;
	/* (One of no instructions, which begins with what leaves it, needs a budget as well.) */
	if (b->n >= budget && fits(b, left)) {
		cpu_enter(c, b, b->first);
	} else if (b->n >= budget) {
		if (!run_temp(c, left < MAX_BLOCK ? (unsigned)left : MAX_BLOCK,
		    b->mode & BM_PASS ? TR_PASS : 0))
			return true;
	} else {
		jc_check(c);
		enter_quick(c, region_addr(b->entry_saved), budget);
	}
	return handle(c);
}

/* mov and pop; lss does not need it. */
static bool loads_ss(const struct cpu_exit *x)
{
	return x->priv.op == PRIV_LOAD_SEG && x->priv.index == SEG_SS && !x->priv.after_reg;
}

/* What is to be reported when the hypervisor has completed the instruction, beside hits. */
static void note_priv(struct cpu *c, bool traced)
{
	if (c->x.reason != CPU_EXIT_PRIV)
		return;
	c->after_shadow = loads_ss(&c->x) && !c->shadow;
	if (traced && !loads_ss(&c->x))
		c->after |= CPU_DR6_BS;
}

/* RF lasts for one instruction, and matters only where there are breakpoints. */
static bool run_some(struct cpu *c, uint64_t left)
{
	uint64_t before = c->s.icount;
	bool traced = (c->s.rflags & FLAG_TF) != 0;
	bool exit, watched = mem_watch_hit(c->mem) != NULL;

	if (c->points.nbreaks != 0 && points_break(c))
		return true;
	if (!c->breaking)
		c->s.rflags &= ~(uint64_t)FLAG_RF;
	exit = traced ? step_traced(c)
		: (c->s.rflags & FLAG_RF) || c->held ? step_one(c) : run_blocks(c, left);
	if (c->s.icount != before)
		c->s.rflags &= ~(uint64_t)FLAG_RF;
	if (exit && !watched && c->s.icount == before && c->x.reason == CPU_EXIT_EXCEPTION)
		mem_watch_undo(c->mem);
	if (c->held != 0 && (exit || c->s.icount != before)) {
		c->hits |= (uint8_t)c->held;
		c->held = 0;
	}
	if (exit)
		note_priv(c, traced);
	c->shadow = c->held != 0;
	return c->hits != 0 ? trap_hits(c, exit) : exit;
}

const struct cpu_exit *cpu_run(struct cpu *c, uint64_t target)
{
	/* A string instruction that was left in the middle goes on before a kick counts. */
	bool done = false, resumed = c->rep_at == c->s.icount;

	fault_enter(c);
	policy_look(c);
	mem_watch_by_insn(c->mem, true);
	c->plain_next = NULL;
	c->after = 0;
	c->after_shadow = false;
	memset(&c->x, 0, offsetof(struct cpu_exit, priv)); /* the rest goes with a reason */
	while (!done) {
		if (c->rep_cut) {
			c->rep_cut = false;
			c->rep_at = c->s.icount;
			c->points.rep_rip = c->s.rip;
		}
		if (points_watch(c))
			break;
		if (c->s.icount >= target || (c->kick && !resumed)) {
			c->x.unfinished = c->rep_at == c->s.icount;
			c->x.reason = c->s.icount >= target ? CPU_EXIT_TARGET : CPU_EXIT_KICK;
			c->kick = 0;
			break;
		}
		resumed = false;
		if (c->held != 0 && !c->shadow) {
			debug_exit(c, c->held);
			c->held = 0;
			break;
		}
		cache_drain(c);
		done = run_some(c, target - c->s.icount);
	}
	mem_watch_by_insn(c->mem, false);
	c->stats.exits[c->x.reason]++;
	return &c->x;
}
