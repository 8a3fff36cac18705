/*
 * quick_hot.c - exits that the hypervisor completes while the guest's vector registers stay
 * where they are: half of what an exit costs is to leave and to come back.
 *
 *  QE1. What may go on after an exit is a run of whole blocks that any number of instructions
 *      may follow (run.c), and of its budget more than the exit's own instruction is left: then
 *      it does not end where cpu_run() has to, and the next block checks the budget itself.
 *  QE2. Whoever kicked the CPU gets an exit.
 *  QE3. The reference engine knows nothing of this, so that the two can be compared.
 *
 * See slow_hot.c for what may be done here.
 */
#include "cpu/internal.h"

void cpu_settle(struct cpu *c)
{
	int64_t left = (int64_t)c->count >> COUNT_SHIFT;

	c->s.icount += c->budget - (uint64_t)left;
	c->s.brctr += COUNT_BRANCHES - (c->count & COUNT_BRANCHES);
	c->budget = (uint64_t)left;
	c->count |= COUNT_BRANCHES;
	c->s.rflags = flags_unpack(c->s.rflags, (uint16_t)c->flags);
	c->s.rflags = (c->s.rflags & ~(uint64_t)FLAG_DF) | (c->hostflags & FLAG_DF);
}

/* On at state.rip, in another mode than the code came from, or to the dispatcher. */
static uint64_t go_on(struct cpu *c)
{
	enum mem_mode mode = (enum mem_mode)c->s.mode;
	uint64_t va = c->s.rip;
	const struct jc_entry *e = &c->jc[mode][va & (JC_SIZE - 1)];
	struct block *to;

	c->flags = flags_pack(c->s.rflags);
	c->hostflags = c->s.rflags & FLAG_DF;
	c->pcbase = va & PAGE_MASK;
	c->leave = LEAVE_STOP;
	cache_drain(c);
	jc_check(c);
	if (c->kick)
		return 0;
	if (e->va == va) {
		c->ret = va;
		c->resume = e->host;
		return 1;
	}
	to = hot_find(c, va);
	if (to == NULL)
		return 0;
	jc_insert(c, mode, va, to);
	c->resume = region_addr(to->entry_saved);
	return 1;
}

/* The exit at a site that was just left, or on after it. */
static uint64_t exit_at(struct cpu *c, const struct cpu_quick_exit *x, enum cpu_exit_reason reason)
{
	if (!c->quick || c->kick || (int64_t)c->count >> COUNT_SHIFT <= 1)
		return 0;
	cpu_settle(c);
	if (!c->quick_fn(c->quick_ctx, &c->s, x))
		return 0;
	c->budget--;
	c->count -= (uint64_t)1 << COUNT_SHIFT;
	c->stats.exits[reason]++;
	return go_on(c);
}

uint64_t hot_syscall(struct cpu *c, uint64_t site, uint64_t unused)
{
	const struct site *s = region_at((uint32_t)site);
	const struct cpu_quick_exit x = { .len = s->len };

	(void)unused;
	site_leave(c, s, LEAVE_SYSCALL);
	return exit_at(c, &x, CPU_EXIT_SYSCALL);
}

/* mov sreg, reg; what: TO_SEG(). */
uint64_t hot_to_seg(struct cpu *c, uint64_t site, uint64_t what)
{
	const struct site *s = region_at((uint32_t)site);
	const struct cpu_quick_exit x = { .len = s->len, .load_seg = true,
		.seg = (uint8_t)(what & 7), .sel = (uint16_t)c->s.gpr[what >> 3 & 15] };

	site_leave(c, s, LEAVE_SPECIAL);
	return exit_at(c, &x, CPU_EXIT_PRIV);
}

void cpu_outside(struct cpu *c, void (*fn)(void *ctx), void *ctx)
{
	((void (*)(void (*)(void *), void *))(uintptr_t)region_addr(c->glue.outside))(fn, ctx);
}
