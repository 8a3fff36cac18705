/*
 * slow_hot.c - the C that translated code calls when an inline path fails:
 * TLB misses, exits not linked yet, unknown jump targets, and every way of
 * leaving.
 *
 * The guest's vector and FP registers are live: general registers only, and
 * nothing from libc.  A function returns nonzero to go on at cpu.resume, zero
 * to give control to the dispatcher with cpu.leave saying why.
 */
#include "cpu/internal.h"

/* ---- blocks and links ---- */

struct block *cache_find(struct cpu *c, uint64_t va, unsigned mode, mfn_t mfn,
	const struct recipe *rec)
{
	uint64_t phys = mfn << PAGE_SHIFT | (va & (PAGE_SIZE - 1));
	uint64_t page = mode_is_placed(mode) ? va & PAGE_MASK : 0;
	struct block *b;

	for (b = c->hash[block_hash(phys, page, mode)]; b != NULL; b = b->hash_next) {
		if (b->phys != phys || b->mode != mode || b->page != page ||
		    (rec == NULL ? b->rec.kind != REC_NONE : !recipe_equal(&b->rec, rec)))
			continue;
		if (b->mfn2 != MFN_NONE && mmu_fetch(c->mmu, block_mem_mode(b),
		    (va & PAGE_MASK) + PAGE_SIZE, NULL) != b->mfn2)
			continue;
		return b;
	}
	return NULL;
}

/* C4, C5: may user code go there without a look at where it runs? */
static bool may_link(const struct cpu *c, const struct link *l, const struct block *to)
{
	return to->mfn2 == MFN_NONE && (!l->far ||
		(mmu_fetched_once(c->mmu, l->from->phys >> PAGE_SHIFT) &&
		mmu_fetched_once(c->mmu, to->phys >> PAGE_SHIFT)));
}

void cache_link(struct cpu *c, struct link *l, struct block *to)
{
	enum mem_mode mode = block_mem_mode(to);

	if (!mode_is_placed(to->mode) && !may_link(c, l, to)) {
		l->left = LINK_USES;
		return;
	}
	link_set(c, l, l->fl == FL_HOST ? to->entry_host : to->entry_saved);
	l->to = to;
	l->next = to->in_links;
	to->in_links = l;
	if (to->mfn2 != MFN_NONE)
		l->far = true;
	if (l->far && !l->listed) {
		l->listed = true;
		l->far_next = c->far_links[mode];
		c->far_links[mode] = l;
	}
}

/* ---- jump caches ---- */

void jc_insert(struct cpu *c, enum mem_mode mode, uint64_t va, const struct block *b)
{
	unsigned i = va & (JC_SIZE - 1);
	struct jc_entry *e = &c->jc[mode][i];

	if (e->va == ~(uint64_t)i)
		c->jc_used[mode][c->jc_nused[mode]++] = (uint16_t)i;
	e->va = va;
	e->host = region_addr(b->entry_far);
}

void jc_flush(struct cpu *c, enum mem_mode mode)
{
	for (uint32_t k = 0; k < c->jc_nused[mode]; k++) {
		unsigned i = c->jc_used[mode][k];

		c->jc[mode][i].va = ~(uint64_t)i;
	}
	c->jc_nused[mode] = 0;
}

unsigned cpu_block_mode(const struct cpu *c)
{
	unsigned mode = (c->s.mode == MEM_USER ? BM_USER : 0u) | (c->s.code64 ? 0u : BM_COMPAT) |
		(c->s.ts ? BM_TS : 0u) | (c->s.rflags & FLAG_AC ? BM_AC : 0u) |
		(has_bases(c) ? BM_BASES : 0u);

	return *c->space_here && (mode & ~(unsigned)BM_TS) == BM_USER && !c->watching
		? mode | BM_SPACE : mode;
}

/* The jump caches know addresses only: they hold blocks of one block mode. */
void jc_check(struct cpu *c)
{
	uint16_t mode = (uint16_t)cpu_block_mode(c), *held = &c->jc_mode[c->s.mode];

	if (*held != mode)
		jc_flush(c, (enum mem_mode)c->s.mode);
	*held = mode;
}

static struct block *find(struct cpu *c, uint64_t va, unsigned mode)
{
	mfn_t mfn = mmu_fetch(c->mmu, (enum mem_mode)c->s.mode, va, NULL);
	struct block *b;

	c->stats.block_lookups++;
	b = mfn == MFN_NONE ? NULL : cache_find(c, va, mode, mfn, NULL);
	/* The walk's A bits may have been instructions, or watched: for the dispatcher. */
	return mem_code_dirty(c->mem) || mem_watch_hit(c->mem) != NULL ? NULL : b;
}

struct block *hot_find(struct cpu *c, uint64_t va)
{
	return find(c, va, cpu_block_mode(c));
}

/* ---- leaving ---- */

/*
 * The exact state at a site (C1): gives back what the block had prepaid, and
 * brings the flags to where the dispatcher looks for them.
 */
void site_leave(struct cpu *c, const struct site *s, enum leave why)
{
	const struct block *b = site_block(s);

	c->count += ((uint64_t)s->n << COUNT_SHIFT) + s->b;
	if ((s->fl & FL_MASK) == FL_HOST)
		c->flags = flags_pack(c->hostflags);
	else if ((s->fl & FL_MASK) == FL_RECIPE)
		c->flags = recipe_eval(&b->recs[s->fl >> 2], c->s.gpr);
	c->s.rip = site_rip(c, s);
	c->site = s;
	c->leave = why;
}

static const struct site *site_at(uint64_t addr)
{
	return region_at((uint32_t)addr);
}

uint64_t hot_stop(struct cpu *c, uint64_t site, uint64_t unused)
{
	(void)unused;
	site_leave(c, site_at(site), LEAVE_STOP);
	return 0;
}

uint64_t hot_special(struct cpu *c, uint64_t site, uint64_t unused)
{
	(void)unused;
	site_leave(c, site_at(site), LEAVE_SPECIAL);
	return 0;
}

uint64_t hot_fault(struct cpu *c, uint64_t site, uint64_t vector)
{
	site_leave(c, site_at(site), LEAVE_FAULT);
	c->x.reason = CPU_EXIT_EXCEPTION;
	c->x.vector = (uint8_t)vector;
	c->x.has_error = vector == VEC_GP || vector == VEC_AC || vector == VEC_SS;
	c->x.error = 0;
	c->noncanon = false;
	return 0;
}

/* #AC, but a non-canonical address comes first. */
uint64_t hot_misaligned(struct cpu *c, uint64_t site, uint64_t va)
{
	const struct site *s = site_at(site);
	const struct mem_fault f = { .va = va, .noncanon = true };

	c->access_va = va;
	if (mem_canonical(va))
		return hot_fault(c, site, VEC_AC);
	leave_fault(c, s, &f);
	return 0;
}

/*
 * A branch to a non-canonical address faults itself: what it did to rsp is taken
 * back.  (What a call pushed stays in memory, as on hardware.)
 */
static uint64_t leave_noncanonical(struct cpu *c, const struct site *s)
{
	c->s.gpr[RSP] -= s->size == SITE_CALL ? -(uint64_t)8 : s->size;
	return hot_fault(c, lo(s), VEC_GP);
}

uint64_t hot_end(struct cpu *c, uint64_t site, uint64_t va)
{
	const struct site *s = site_at(site);

	if (s->size != 0 && !mem_canonical(va))
		return leave_noncanonical(c, s - 1);
	site_leave(c, s, LEAVE_END);
	c->s.rip = va;
	return 0;
}

void set_fault(struct cpu *c, const struct mem_fault *f)
{
	c->x.reason = CPU_EXIT_EXCEPTION;
	c->x.vector = f->noncanon ? VEC_GP : VEC_PF;
	c->x.has_error = true;
	c->x.error = f->noncanon ? 0 : f->error;
	c->x.cr2 = f->va;
	c->noncanon = f->noncanon;
}

void leave_fault(struct cpu *c, const struct site *s, const struct mem_fault *f)
{
	site_leave(c, s, LEAVE_FAULT);
	set_fault(c, f);
}

/* ---- memory ---- */

static uint64_t slow_access(struct cpu *c, const struct site *s, uint64_t va,
	enum mem_access access)
{
	struct mem_fault f;
	int r;

	c->stats.tlb_slow++;
	c->access_va = va;
	if ((va & (PAGE_SIZE - 1)) + s->size > PAGE_SIZE) {
		site_leave(c, s, LEAVE_CAREFUL);
		return 0;
	}
	r = debug_fill(c, block_mem_mode(site_block(s)), va, access, &f);
	if (r == 0) {
		c->resume = region_addr(s->host);
		return 1;
	}
	if (r > 0)
		site_leave(c, s, LEAVE_CAREFUL);
	else
		leave_fault(c, s, &f);
	return 0;
}

uint64_t hot_slow_read(struct cpu *c, uint64_t site, uint64_t va)
{
	return slow_access(c, site_at(site), va, MEM_READ);
}

uint64_t hot_slow_write(struct cpu *c, uint64_t site, uint64_t va)
{
	return slow_access(c, site_at(site), va, MEM_WRITE);
}

/* An access of the mapped space has failed: fault.c has asked why. */
uint64_t hot_space(struct cpu *c, uint64_t site, uint64_t va)
{
	const struct site *s = site_at(site);

	c->stats.tlb_slow++;
	c->access_va = va;
	if (c->space_careful)
		site_leave(c, s, LEAVE_CAREFUL);
	else
		leave_fault(c, s, &c->space_fault);
	return 0;
}

/* One that cannot be translated with the guest's own operand. */
uint64_t hot_space_careful(struct cpu *c, uint64_t site, uint64_t unused)
{
	(void)unused;
	site_leave(c, site_at(site), LEAVE_CAREFUL);
	return 0;
}

/* Goes on in the plain translation of the instruction at the site, if there is one. */
static uint64_t go_on_plain(struct cpu *c)
{
	struct block *to = find(c, c->s.rip, cpu_block_mode(c) | BM_PLAIN);

	if (to == NULL)
		return 0;
	c->resume = region_addr(to->entry_saved);
	return 1;
}

/*
 * A run of accesses may be checked as one only where the check has no effect the
 * guest could see: the page is there, and its A and D bits are set already.
 */
static bool fill_group(struct cpu *c, const struct site *s, uint64_t va)
{
	enum mem_mode mode = block_mem_mode(site_block(s));
	enum mem_access access = s->size & SITE_WRITE ? MEM_WRITE : MEM_READ;
	unsigned size = s->size & (SITE_WRITE - 1u);

	c->stats.tlb_slow++;
	return (va & (PAGE_SIZE - 1)) + size <= PAGE_SIZE &&
		mmu_no_effect(c->mmu, mode, va, access) &&
		debug_fill(c, mode, va, access, NULL) == 0;
}

static uint64_t group_fails(struct cpu *c, const struct site *s)
{
	site_leave(c, s, LEAVE_PLAIN);
	return go_on_plain(c);
}

uint64_t hot_slow_group(struct cpu *c, uint64_t site, uint64_t va)
{
	const struct site *s = site_at(site);

	if (!fill_group(c, s, va))
		return group_fails(c, s);
	c->resume = region_addr(s->host);
	return 1;
}

/* The same of a group around rsp; va is its page.  glue.c has looked into the table. */
uint64_t hot_stack(struct cpu *c, uint64_t site, uint64_t va)
{
	const struct site *s = site_at(site);

	if (!fill_group(c, s, va))
		return group_fails(c, s);
	tlb_take_stack(mmu_tlb(c->mmu, block_mem_mode(site_block(s))), va);
	c->resume = region_addr(s[1].host);
	return 1;
}

/* ---- jumps ---- */

uint64_t hot_link(struct cpu *c, uint64_t addr, uint64_t fl)
{
	struct link *l = region_at((uint32_t)addr);
	uint64_t va = (mode_is_placed(l->from->mode) ? 0 : c->pcbase) + l->target;
	struct block *to = l->rec.kind != REC_NONE ? NULL
		: find(c, va, cpu_block_mode(c) | (l->plain ? BM_PLAIN : 0u));

	if (fl == FL_HOST)
		c->flags = flags_pack(c->hostflags);
	c->s.rip = va;
	c->link = l;
	if (to == NULL) {
		c->leave = LEAVE_LINK;
		return 0;
	}
	cache_link(c, l, to);
	c->resume = region_addr(to->entry_saved);
	return 1;
}

uint64_t hot_indirect(struct cpu *c, uint64_t site, uint64_t va)
{
	struct block *to;

	if (!mem_canonical(va) && site != 0)
		return leave_noncanonical(c, site_at(site));
	to = hot_find(c, va);
	if (to == NULL) {
		c->s.rip = va;
		c->leave = LEAVE_JUMP;
		return 0;
	}
	jc_insert(c, (enum mem_mode)c->s.mode, va, to);
	c->pcbase = va & PAGE_MASK;
	c->resume = region_addr(to->entry_saved);
	return 1;
}

uint64_t hot_rdtsc(struct cpu *c, uint64_t site, uint64_t with_aux)
{
	const struct site *s = site_at(site);
	uint64_t left = (uint64_t)((int64_t)c->count >> COUNT_SHIFT) + s->n;
	uint64_t tsc = tsc_at(&c->s, c->s.icount + c->budget - left);

	if (__builtin_expect(c->s.tsd, 0) && c->s.mode == MEM_USER)
		return hot_fault(c, site, VEC_GP);
	c->s.gpr[RAX] = (uint32_t)tsc;
	c->s.gpr[RDX] = tsc >> 32;
	if (with_aux)
		c->s.gpr[RCX] = c->s.tsc_aux;
	c->resume = region_addr(s->host);
	return 1;
}

/* ---- what Linux does often: pushfq, and iretq to where it is (sync_core) ---- */

/* Host address of n bytes, NULL when they are not all at hand in one page. */
static uint8_t *stack_bytes(struct cpu *c, uint64_t va, unsigned n, enum mem_access access)
{
	enum mem_mode mode = (enum mem_mode)c->s.mode;
	struct tlb *t = mmu_tlb(c->mmu, mode);
	unsigned i = TLB_INDEX(va);
	uint64_t tag = access == MEM_WRITE ? t->e[i].wtag : t->e[i].rtag;

	if ((va & (PAGE_SIZE - 1)) + n > PAGE_SIZE)
		return NULL;
	if (tag != (va & PAGE_MASK) && debug_fill(c, mode, va, access, NULL) != 0)
		return NULL;
	return (uint8_t *)(uintptr_t)(t->e[i].host + (va & (PAGE_SIZE - 1)));
}

uint64_t hot_pushf(struct cpu *c, uint64_t site, uint64_t unused)
{
	uint64_t *slot = (uint64_t *)(void *)stack_bytes(c, c->s.gpr[RSP] - 8, 8, MEM_WRITE);
	uint64_t v = flags_unpack(c->s.rflags, (uint16_t)c->flags);

	if (slot == NULL || (c->s.rflags & FLAG_AC))
		return hot_special(c, site, unused);
	*slot = (v & ~(uint64_t)(FLAG_DF | FLAG_RF | FLAG_VM)) | (c->hostflags & FLAG_DF);
	c->s.gpr[RSP] -= 8;
	c->resume = region_addr(site_at(site)->host);
	return 1;
}

/*
 * The iretq that changes nothing but rip, rsp and the flags a program may
 * change; any other is the hypervisor's.  It ends its block unpaid for.
 */
uint64_t hot_iret(struct cpu *c, uint64_t site, uint64_t unused)
{
	const uint64_t plain = STATUS_FLAGS | FLAG_DF | FLAG_IF | FLAG_IOPL;
	const uint64_t *f = (const uint64_t *)(const void *)
		stack_bytes(c, c->s.gpr[RSP], 40, MEM_READ);
	struct block *to;

	if (f == NULL || (uint16_t)f[1] != c->s.seg[SEG_CS] || (uint16_t)f[4] != c->s.seg[SEG_SS] ||
	    ((f[2] ^ c->s.rflags) & 0x3fffff & ~plain) != 0 || !mem_canonical(f[0]))
		return hot_special(c, site, unused);
	to = hot_find(c, f[0]);
	if (to == NULL)
		return hot_special(c, site, unused);
	c->s.rip = f[0];
	c->s.gpr[RSP] = f[3];
	c->flags = flags_pack(f[2]);
	c->hostflags = f[2] & FLAG_DF;
	c->count -= (uint64_t)1 << COUNT_SHIFT;
	c->pcbase = c->s.rip & PAGE_MASK;
	c->resume = region_addr(to->entry_saved);
	return 1;
}
