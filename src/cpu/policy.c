/*
 * policy.c - which address space is mapped (mem/space.h), and when it does not pay.
 *
 * A space costs the host a fault for each few pages, and a system call for each that goes.  So
 * only what computes gets it: a user root that has run for a while; and whoever makes
 * more of these calls than its instructions are worth loses it for a time, each time a
 * longer one.  Nothing of this can be seen by the guest: it may depend on anything.
 */
#include "cpu/internal.h"

enum {
	LOOK = 1 << 20,       /* instructions between two looks */
	AFTER = 20000000,
	COST = 20000,         /* instructions that pay for one fault or call */
	FORGET_SHIFT = 28,    /* each 2^28 instructions, what a root has run counts half */
};
#define HOLD UINT64_C(100000000)
#define HOLD_MAX (UINT64_C(1) << 36)

void policy_init(struct cpu *c)
{
	c->policy.after = AFTER;
	c->policy.hold = HOLD;
	for (unsigned i = 0; i < POLICY_ROOTS; i++)
		c->policy.of[i].root = MFN_NONE;
}

void cpu_space_after(struct cpu *c, uint64_t n) { c->policy.after = n; }

/* The number of a root; it takes the place of the one that ran least. */
static unsigned number_of(struct space_policy *p, mfn_t root)
{
	unsigned least = 0;

	for (unsigned i = 0; i < POLICY_ROOTS; i++) {
		if (p->of[i].root == root)
			return i;
		if (p->of[i].ran < p->of[least].ran)
			least = i;
	}
	p->of[least].root = root;
	p->of[least].ran = p->of[least].not_before = 0;
	return least;
}

static bool pays(const struct cpu *c)
{
	const struct space_policy *p = &c->policy;

	return mem_space_cost(c->mem) * COST <= c->s.icount - p->begun + p->after;
}

/* Has the space that is mapped, if one is, not run for as long as makes another worth it? */
static bool is_idle(const struct space_policy *p, mfn_t mapped, uint64_t now)
{
	for (unsigned i = 0; mapped != MFN_NONE && i < POLICY_ROOTS; i++)
		if (p->of[i].root == mapped)
			return now - p->of[i].last > p->after;
	return true; /* none is, or others have taken its place */
}

static void look(struct cpu *c, uint64_t ran)
{
	struct space_policy *p = &c->policy;
	mfn_t root = mmu_root(c->mmu, MEM_USER), mapped = mem_space_root(c->mem);
	uint64_t now = c->s.icount;
	unsigned k;

	if (root == MFN_NONE)
		return;
	k = number_of(p, root);
	p->of[k].ran += ran;
	p->of[k].last = now;
	if ((now >> FORGET_SHIFT) != ((now - ran) >> FORGET_SHIFT))
		for (unsigned i = 0; i < POLICY_ROOTS; i++)
			p->of[i].ran /= 2;
	if (mapped != MFN_NONE && !pays(c)) {
		unsigned bad = number_of(p, mapped);

		mem_space_end(c->mem);
		p->of[bad].not_before = now + p->hold;
		p->hold = p->hold < HOLD_MAX ? 2 * p->hold : p->hold;
	} else if (p->of[k].ran >= p->after && now >= p->of[k].not_before && is_idle(p, mapped, now)) {
		mem_space_begin(c->mmu);
		p->begun = now;
		p->of[k].not_before = now + p->hold; /* if it did not come to be */
	}
}

void policy_look(struct cpu *c)
{
	uint64_t ran = c->s.icount - c->policy.looked;

	if (ran < LOOK && ran < c->policy.after)
		return;
	c->policy.looked = c->s.icount;
	if (mem_space_enabled(c->mem) && c->tier == CPU_OPTIMISED && ran < UINT64_MAX / 2)
		look(c, ran);
}
