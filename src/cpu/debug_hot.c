/*
 * debug_hot.c - the debug registers: four breakpoints on data or instructions.
 *
 * Nothing in translated code looks at them.  Pages with a watched datum are
 * kept out of the soft TLB, so that each access to them takes a slow path and
 * then the careful one, which tells debug_access() what was touched; the trap
 * follows when the instruction is complete (run.c).  An instruction breakpoint
 * is a place where translation stops: by its offset in the page, because one
 * translation serves many addresses.  Such offsets are remembered when the
 * breakpoint goes, so that a debugged process can be switched away from and
 * back to without translating anything anew.
 */
#include "cpu/internal.h"

static void forget_page(struct cpu *c, uint64_t va)
{
	unsigned i = TLB_INDEX(va);

	for (unsigned mode = 0; mode < 2; mode++)
		tlb_drop(mmu_tlb(c->mmu, (enum mem_mode)mode), i);
}

/* Does a translation stop to look at this offset of a page? */
bool debug_stops_at(const struct cpu *c, unsigned off)
{
	for (unsigned i = 0; i < c->nbreaks; i++)
		if (c->breaks[i] == off)
			return true;
	return false;
}

static void stop_at(struct cpu *c, unsigned off)
{
	if (debug_stops_at(c, off))
		return;
	if (c->nbreaks == BREAKS)
		c->nbreaks = 0;
	c->breaks[c->nbreaks++] = (uint16_t)off;
	cache_flush(c);
}

void cpu_set_debug(struct cpu *c, const uint64_t dr[4], uint64_t dr7)
{
	static const uint8_t sizes[] = { 1, 2, 8, 4 };

	c->watching = c->breaking = false;
	for (unsigned i = 0; i < 4; i++) {
		unsigned kind = dr7 >> (16 + 4 * i) & 3;
		struct watch *w = &c->watch[i];

		w->size = sizes[dr7 >> (18 + 4 * i) & 3];
		w->va = dr[i] & ~(uint64_t)(w->size - 1u);
		w->exec = kind == 0;
		w->reads = kind == 3;
		w->on = (dr7 >> (2 * i) & 3) != 0 && kind != 2; /* 2: ports */
		if (!w->on)
			continue;
		if (w->exec) {
			c->breaking = true;
			stop_at(c, w->va & (PAGE_SIZE - 1));
		} else {
			c->watching = true;
			forget_page(c, w->va);
		}
	}
}

/* mmu_fill(), but 1 (take the careful path) for a page that is watched. */
int debug_fill(struct cpu *c, enum mem_mode mode, uint64_t va, enum mem_access access,
	struct mem_fault *f)
{
	for (unsigned i = 0; c->watching && i < 4; i++)
		if (c->watch[i].on && !c->watch[i].exec &&
		    ((c->watch[i].va ^ va) & PAGE_MASK) == 0)
			return 1;
	return mmu_fill(c->mmu, mode, va, access, f);
}

void debug_access(struct cpu *c, uint64_t va, unsigned size, bool write)
{
	for (unsigned i = 0; c->watching && i < 4; i++) {
		const struct watch *w = &c->watch[i];

		if (w->on && !w->exec && (write || w->reads) &&
		    va - w->va + size - 1 < (uint64_t)w->size + size - 1)
			c->hits |= (uint8_t)(1u << i);
	}
	if (!write) /* mem tells of writes */
		mmu_watch_access(c->mmu, (enum mem_mode)c->s.mode, va, size, false);
}

/* true: a breakpoint on the instruction at rip; cpu.x is the exit. */
bool debug_break(struct cpu *c)
{
	unsigned hits = 0;

	if (!c->breaking || (c->s.rflags & FLAG_RF))
		return false;
	for (unsigned i = 0; i < 4; i++)
		if (c->watch[i].on && c->watch[i].exec && c->watch[i].va == c->s.rip)
			hits |= 1u << i;
	if (hits == 0)
		return false;
	debug_exit(c, hits);
	return true;
}

void debug_exit(struct cpu *c, unsigned bits)
{
	c->x.reason = CPU_EXIT_EXCEPTION;
	c->x.vector = VEC_DB;
	c->x.has_error = false;
	c->x.error = bits;
}
