/*
 * special_vector.c - AVX instructions of whose operand only some lanes are touched: gathers,
 * and vmaskmov.
 *
 * A lane that is not asked for cannot fault.  A gather takes its lanes from the lowest on;
 * where one faults, those before it have arrived and their masks are clear, so that the
 * instruction goes on from there.  A vmaskmov is done as a whole or not at all.
 * Then what 32-bit code does with its half of the registers.
 */
#include <Zydis/Mnemonic.h>
#include <string.h>

#include "cpu/special.h"

enum { YMM = 32, XMM = 16 };

static void get_ymm(const struct cpu *c, unsigned r, uint8_t v[YMM])
{
	memcpy(v, c->s.fx + FX_XMM + FX_STEP * r, XMM);
	memcpy(v + XMM, c->s.ymmh[r], XMM);
}

static void set_ymm(struct cpu *c, unsigned r, const uint8_t v[YMM])
{
	memcpy(c->s.fx + FX_XMM + FX_STEP * r, v, XMM);
	memcpy(c->s.ymmh[r], v + XMM, XMM);
	fx_written(c);
}

static unsigned reg_field(const struct insn *in) { return (in->modrm >> 3 & 7) | (in->rex & 4) << 1; }
static unsigned vvvv_field(const struct insn *in) { return ~(unsigned)in->vex >> 3 & 15; }
static bool is_256(const struct insn *in) { return (in->vex & 4) != 0; }

static int load_lane(struct cpu *c, uint64_t va, void *p, unsigned n)
{
	struct mem_fault f;

	if (special_reach(c, va, n, MEM_READ) != 0)
		return -1;
	debug_access(c, va, n, false);
	if (mmu_copy_in(c->mmu, (enum mem_mode)c->s.mode, p, va, n, &f) == 0)
		return 0;
	special_fault(c, &f);
	return -1;
}

static bool mask_of(const uint8_t *mask, unsigned lane, unsigned size)
{
	return (mask[lane * size + size - 1] & 0x80) != 0;
}

/* Where a lane of 32-bit code would wrap, as its address does. */
static uint64_t lane_va(const struct cpu *c, uint64_t va)
{
	return c->s.code64 ? va : (uint32_t)va;
}

static bool masked_load(struct cpu *c, const struct insn *in, unsigned size)
{
	uint64_t va = special_ea(c, in);
	uint8_t mask[YMM], v[YMM] = { 0 };

	get_ymm(c, vvvv_field(in), mask);
	for (unsigned i = 0; i < in->mem.size / size; i++)
		if (mask_of(mask, i, size) &&
		    load_lane(c, lane_va(c, va + i * size), v + i * size, size) != 0)
			return true;
	set_ymm(c, reg_field(in), v);
	return special_done(c, in);
}

static bool masked_store(struct cpu *c, const struct insn *in, unsigned size)
{
	uint64_t va = special_ea(c, in);
	uint8_t mask[YMM], v[YMM];
	struct mem_fault f;

	get_ymm(c, vvvv_field(in), mask);
	get_ymm(c, reg_field(in), v);
	for (unsigned i = 0; i < in->mem.size / size; i++)
		if (mask_of(mask, i, size) &&
		    special_reach(c, lane_va(c, va + i * size), size, MEM_WRITE) != 0)
			return true;
	for (unsigned i = 0; i < in->mem.size / size; i++) {
		uint64_t at = lane_va(c, va + i * size);

		if (!mask_of(mask, i, size))
			continue;
		debug_access(c, at, size, true);
		if (mmu_copy_out(c->mmu, (enum mem_mode)c->s.mode, at, v + i * size, size, &f) != 0)
			return special_fault(c, &f);
	}
	return special_done(c, in);
}

/* vmaskmovps, vmaskmovpd, vpmaskmovd, vpmaskmovq */
bool special_vmaskmov(struct cpu *c, const struct insn *in, int lane)
{
	return (in->mem.write ? masked_store : masked_load)(c, in, (unsigned)lane);
}

/* vzeroupper and vzeroall of 32-bit code, which has eight registers. */
bool special_vzero(struct cpu *c, const struct insn *in, int all)
{
	memset(c->s.ymmh, 0, sizeof c->s.ymmh / 2);
	if (all)
		memset(c->s.fx + FX_XMM, 0, 8 * FX_STEP);
	fx_written(c);
	return special_done(c, in);
}

/* ---- gathers ---- */

struct gather {
	unsigned size, index_size, lanes;
	uint8_t to[YMM], mask[YMM], index[YMM];
};

static uint64_t gather_va(const struct cpu *c, const struct insn *in, const struct gather *g,
	unsigned lane)
{
	const uint8_t *p = g->index + lane * g->index_size;
	int64_t index = g->index_size == 4 ? (int32_t)get32(p) : (int64_t)get64(p);
	const struct insn_mem *m = &in->mem;
	uint64_t va = (uint64_t)m->disp + (uint64_t)index * m->scale;

	if (m->base != NO_REG)
		va += c->s.gpr[m->base];
	if (m->addr32 || !c->s.code64)
		va = (uint32_t)va;
	if (m->seg >= 0 || has_bases(c))
		va += c->s.seg_base[m->named];
	return lane_va(c, va);
}

static bool gather_lanes(struct cpu *c, const struct insn *in, struct gather *g)
{
	for (unsigned i = 0; i < g->lanes; i++) {
		if (mask_of(g->mask, i, g->size) && load_lane(c, gather_va(c, in, g, i),
		    g->to + i * g->size, g->size) != 0)
			return true;
		memset(g->mask + i * g->size, 0, g->size);
	}
	return false;
}

/* index: bytes of one. */
bool special_gather(struct cpu *c, const struct insn *in, int index)
{
	struct gather g = { .size = in->vex & 0x80 ? 8 : 4, .index_size = (unsigned)index };
	unsigned widest = g.size > g.index_size ? g.size : g.index_size;
	bool faults;

	g.lanes = (is_256(in) ? YMM : XMM) / widest;
	get_ymm(c, reg_field(in), g.to);
	get_ymm(c, vvvv_field(in), g.mask);
	get_ymm(c, in->mem.index == NO_REG ? 4 : (unsigned)in->mem.index, g.index); /* no "none" */
	faults = gather_lanes(c, in, &g);
	if (!faults) {
		memset(g.to + g.lanes * g.size, 0, YMM - g.lanes * g.size);
		memset(g.mask, 0, sizeof g.mask);
	}
	set_ymm(c, reg_field(in), g.to);
	set_ymm(c, vvvv_field(in), g.mask);
	return faults || special_done(c, in);
}
