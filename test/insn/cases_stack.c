/*
 * cases_stack.c - the page of the stack, which has an entry of its own in the
 * soft TLB: whatever takes a page away must take it from there too.
 */
#include "cases_ctx.h"

#define TOP (STACK_VA + PAGE) /* rsp of every case */

/* push rax; pop rcx; push rax: two checks, and something is left below TOP. */
static const uint8_t push_pop[] = { 0x50, 0x59, 0x50 };
/* pop rcx */
static const uint8_t pop[] = { 0x59 };

static mfn_t stack_frame(struct ctx *c)
{
	return PTE_MFN(read_pte(c, STACK_VA, 0));
}

static uint64_t below_top(struct ctx *c, mfn_t mfn)
{
	return get64(mem_frame(c->m, mfn) + PAGE - 8);
}

/* The code again, with other things in rax. */
static void again(struct ctx *c, uint64_t rsp, uint64_t rax)
{
	c->s->rip = CODE_VA + 0x100;
	c->s->gpr[RSP] = rsp;
	c->s->gpr[RAX] = rax;
	run(c);
}

/* Twice: the first time D is set, the second time the page is the stack's. */
static bool warm(struct ctx *c, struct engine *e, char *why, size_t size)
{
	open_ctx(c, e, why, size);
	load(c, push_pop, sizeof push_pop);
	again(c, TOP, 1);
	again(c, TOP, 2);
	WANT(c, "what was pushed", below_top(c, stack_frame(c)), 2);
	WANT(c, "what was popped", c->s->gpr[RCX], 2);
	return ended(c);
}

static bool remapped(struct engine *e, char *why, size_t size)
{
	mfn_t old, other = MEM_FIRST_MFN + 3;
	struct ctx c;

	if (!warm(&c, e, why, size))
		return false;
	old = stack_frame(&c);
	write_pte(&c, STACK_VA, with_frame(read_pte(&c, STACK_VA, 0), other));
	again(&c, TOP, 3);
	WANT(&c, "pushed to the other frame", below_top(&c, other), 3);
	WANT(&c, "the old one", below_top(&c, old), 2);
	write_pte(&c, STACK_VA, 0);
	again(&c, TOP, 4);
	WANT(&c, "vector", c.x.vector, 14);
	WANT(&c, "address", c.x.cr2, TOP - 8);
	WANT(&c, "the other one", below_top(&c, other), 3);
	return true;
}

/* Popping from a page that cannot be written, then pushing to it. */
static bool read_only(struct engine *e, char *why, size_t size)
{
	struct ctx c;

	if (!warm(&c, e, why, size))
		return false;
	load(&c, pop, sizeof pop);
	write_pte(&c, STACK_VA, read_pte(&c, STACK_VA, 0) & ~(uint64_t)PTE_RW);
	for (int i = 0; i < 3; i++) {
		again(&c, TOP - 8, 5);
		if (!ended(&c))
			return false;
		WANT(&c, "popped", c.s->gpr[RCX], below_top(&c, stack_frame(&c)));
	}
	load(&c, push_pop, sizeof push_pop);
	write_pte(&c, STACK_VA, read_pte(&c, STACK_VA, 0) & ~(uint64_t)PTE_RW);
	again(&c, TOP, 6);
	WANT(&c, "vector", c.x.vector, 14);
	WANT(&c, "error code", c.x.error & ~PF_U, PF_P | PF_W);
	return true;
}

/* A new epoch of writes hears of the next push. */
static bool epoch(struct engine *e, char *why, size_t size)
{
	struct ctx c;
	const mfn_t *dirty;
	size_t n, found = 0;

	if (!warm(&c, e, why, size))
		return false;
	WANT(&c, "an epoch begins", mem_epoch_begin(c.m, MEM_FOR_CHECKPOINT), 0);
	again(&c, TOP, 3);
	dirty = mem_epoch_dirty(c.m, MEM_FOR_CHECKPOINT, &n);
	for (size_t i = 0; i < n; i++)
		found += dirty[i] == stack_frame(&c);
	WANT(&c, "the stack's frame was written", found, 1);
	return true;
}

/* The page becomes a page table: what is pushed there changes a mapping at once. */
static bool page_table(struct engine *e, char *why, size_t size)
{
	struct ctx c;
	mfn_t table;
	unsigned off;

	if (!warm(&c, e, why, size))
		return false;
	find_pte(&c, (enum mem_mode)c.s->mode, DATA_VA, 0, &table, &off);
	/* rsp into the table that maps DATA, through the stack's own page. */
	write_pte(&c, STACK_VA, with_frame(read_pte(&c, STACK_VA, 0), table) | AD);
	for (int i = 0; i < 2; i++) {
		uint64_t pte = with_frame(read_pte(&c, DATA_VA, 0), MEM_FIRST_MFN + 3 + (unsigned)i);
		uint64_t v;

		again(&c, STACK_VA + off + 8, pte);
		WANT(&c, "the entry", get64(mem_frame(c.m, table) + off), pte);
		mmu_copy_in(mem_mmu(c.m, 0), (enum mem_mode)c.s->mode, &v, DATA_VA, 8, NULL);
		WANT(&c, "what is mapped now", v, get64(mem_frame(c.m, PTE_MFN(pte))));
	}
	return true;
}

/* rsp anywhere, also where there can be no page: a fault, never a stray access. */
static bool wild(struct engine *e, char *why, size_t size)
{
	static const uint64_t places[] = { 8, 0x1000, HOLE_VA + 8, 0x8000000000000000, 0x7ffffffffff8,
		0x800000000008, 0xffff7ffffffffff8, 0xffff800000000010, ~(uint64_t)7 };
	struct ctx c;

	if (!warm(&c, e, why, size))
		return false;
	for (unsigned i = 0; i < sizeof places / sizeof *places; i++) {
		bool canonical = places[i] - 8 + 0x800000000000 < 0x1000000000000;

		again(&c, places[i], 7);
		WANT(&c, "exit reason", c.x.reason, CPU_EXIT_EXCEPTION);
		WANT(&c, "vector", c.x.vector, canonical ? 14 : 12);
		WANT(&c, "what stands in the stack", below_top(&c, stack_frame(&c)), 2);
	}
	return true;
}

/* An iretq that changes little is not left for, and no budget is exceeded by it. */
static bool iret_stops(struct engine *e, char *why, size_t size)
{
	static const uint8_t code[] = {
		0x8c, 0xd0, 0x50, 0x54,                   /* 1: mov eax, ss; push rax; push rsp */
		0x48, 0x83, 0x04, 0x24, 8,                /* add qword ptr [rsp], 8 */
		0x9c, 0x8c, 0xc8, 0x50,                   /* pushf; mov eax, cs; push rax */
		0x68, 0x14, 0x01, 0x00, CODE_VA >> 24,    /* push 2f */
		0x48, 0xcf,                               /* iretq */
		0x41, 0xf7, 0xc5, 0, 2, 0, 0, 0xeb, 0xe3, /* 2: test r13d, 0x200; jmp 1b */
	};
	unsigned left_for = 0;
	struct ctx c;

	_Static_assert((CODE_VA & 0xffffff) == 0 && CODE_VA >> 31 == 0, "2f");
	open_ctx(&c, e, why, size);
	load(&c, code, sizeof code);
	for (unsigned k = 1; k < 400; k++) {
		uint64_t target = c.s->icount + k % 100 + 1;

		while (c.s->icount < target) {
			c.x = *cpu_run(c.c, target);
			if (c.x.reason != CPU_EXIT_PRIV)
				continue;
			/* Its target is not known yet, or it is the last: as the hypervisor does it. */
			c.s->rip = CODE_VA + 0x114;
			c.s->gpr[RSP] += 40;
			c.s->icount++;
			left_for++;
		}
		WANT(&c, "icount", c.s->icount, target);
	}
	if (left_for > 1000)
		return fail(&c, "times that it was left for", left_for, 1000);
	return true;
}

const struct engine_case stack_cases[] = {
	{ "stack-remapped", remapped }, { "stack-read-only", read_only }, { "stack-epoch", epoch },
	{ "stack-page-table", page_table }, { "stack-wild", wild },
	{ "stack-iret-stops", iret_stops }, { NULL, NULL },
};
