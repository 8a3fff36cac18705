/*
 * operand.c - the rule: every memory operand of emitted code is one of
 *	a field of the engine's, named by its address, and written only where code may,
 *	an entry of the TLB or the jump cache, by an index that cannot leave the table,
 *	r11 + n, where r11 is a host address that a check has just made,
 *	reg + n + r10, where r10 is the distance of a page that a check has found to hold it.
 */
#include "test/emit/emit.h"

static int reg_or(ZydisRegister r, int none)
{
	return r == ZYDIS_REGISTER_NONE ? none : gpr(r);
}

/* Homes, saved flags, and what blocks keep for themselves. */
static bool may_write(uint64_t f, unsigned size)
{
	static const struct {
		uint64_t from, size;
	} fields[] = {
		{ 8 * R10, 8 }, { 8 * R11, 8 }, { 8 * R15, 8 },
		{ offsetof(struct cpu, flags), 2 }, { offsetof(struct cpu, pcbase), 8 },
		{ offsetof(struct cpu, delta), sizeof subject.c->delta },
		{ offsetof(struct cpu, tmp), sizeof subject.c->tmp },
		{ offsetof(struct cpu, whole_fx), 1 },
		{ offsetof(struct cpu, high), 1 },
	};

	for (unsigned i = 0; i < sizeof fields / sizeof *fields; i++)
		if (f >= fields[i].from && f + size <= fields[i].from + fields[i].size)
			return true;
	return false;
}

static void absolute_operand(const struct host *h, uint64_t a, unsigned size, bool write)
{
	uint64_t cpu = (uint64_t)(uintptr_t)subject.c, meta = (uint64_t)(uintptr_t)subject.c->meta;
	uint64_t stack = (uint64_t)(uintptr_t)&guest_tlb()->stack;

	if (a >= cpu && a + size <= cpu + sizeof *subject.c) {
		if (write && !may_write(a - cpu, size))
			violation(h->at, "writes %u bytes at cpu + %#lx", size, (long)(a - cpu));
	} else if (a >= stack && a + size <= stack + sizeof guest_tlb()->stack) {
		if (write)
			violation(h->at, "writes the stack's entry");
	} else if (a < meta || a + size > (uint64_t)(uintptr_t)subject.c->meta_end ||
		h->i.mnemonic != ZYDIS_MNEMONIC_DEC) {
		violation(h->at, "absolute address %#lx", (long)a);
	}
}

static void jump_cache_operand(const struct state *s, const struct host *h, uint32_t disp, bool write)
{
	uint32_t jc = lo(subject.c->jc[subject.mode & BM_USER ? MEM_USER : MEM_KERNEL]);

	if (s->r10.kind != R10_JUMP || (disp != jc && disp != jc + 8) || write)
		violation(h->at, "not an entry of the jump cache");
}

static void tlb_operand(const struct state *s, const struct host *h, const ZydisDecodedOperand *x,
	bool write)
{
	if (entry_field(x) >= sizeof(struct tlb_entry) || write ||
		(!h->cold && s->r10.kind != R10_INDEX))
		violation(h->at, "not an entry of the TLB");
}

/* [r11 + off], also by its other name. */
static void host_operand(const struct state *s, const struct host *h, int64_t off, unsigned size,
	bool write)
{
	if (s->r11.kind != R11_HOST && s->r11.kind != R11_BOUNCE)
		violation(h->at, "r11 is no host address");
	if (off < 0 || off + size > s->r11.size)
		violation(h->at, "%u bytes at %ld of %u checked", size, (long)off, s->r11.size);
	if (write && !s->r11.write)
		violation(h->at, "writes what was checked for reading");
}

static void distance_operand(const struct state *s, const struct host *h, int base, int64_t disp,
	unsigned size, bool write)
{
	const struct fact *f = &s->r10.f;

	if (base == R10 || base == R11 || base == R15 || s->r10.kind != R10_DELTA)
		violation(h->at, "r10 is no distance, or of a scratch register");
	if (!covers(f, s->reg[base], disp, size, write))
		violation(h->at, "value %u%+ld%+ld, %u bytes%s; checked: value %u, %ld to %ld%s",
			s->reg[base].id, (long)s->reg[base].off, (long)disp, size, write ? ", written" : "",
			f->a.id, (long)f->lo, (long)f->hi, f->write ? ", for writing" : "");
}

/* What is touched, which is not always what the operand's size says. */
static unsigned touched(const struct host *h, const ZydisDecodedOperand *x)
{
	if (h->i.mnemonic == ZYDIS_MNEMONIC_CLFLUSH)
		return 1;
	if (h->i.mnemonic == ZYDIS_MNEMONIC_MOVSXD && h->i.operand_width == 16)
		return 2;
	return x->size / 8;
}

/* Is it of a form that names a place in the region by its distance from the begin? */
static bool in_region(const ZydisDecodedOperand *x)
{
	return x->mem.base == ZYDIS_REGISTER_NONE ||
		(x->mem.base == ZYDIS_REGISTER_R10 && x->mem.index == ZYDIS_REGISTER_NONE);
}

static void check_one(const struct state *s, const struct host *h, const ZydisDecodedOperand *x)
{
	unsigned size = touched(h, x);
	bool write = (x->actions & ZYDIS_OPERAND_ACTION_MASK_WRITE) != 0;
	int base = reg_or(x->mem.base, NO_REG), index = reg_or(x->mem.index, NO_REG);
	int64_t disp = x->mem.disp.value;
	uint64_t a;

	if (x->visibility != ZYDIS_OPERAND_VISIBILITY_EXPLICIT)
		violation(h->at, "implicit memory operand");
	if (x->mem.segment == ZYDIS_REGISTER_FS || (x->mem.segment == ZYDIS_REGISTER_GS) != in_region(x))
		violation(h->at, "relative to fs, or to gs and not in the region, or the other way round");
	if (h->i.address_width != 64)
		violation(h->at, "a narrow address");
	if (is_absolute(h, x, &a))
		absolute_operand(h, a, size, write);
	else if (base == NO_REG && index == R10 && x->mem.scale == 8)
		jump_cache_operand(s, h, (uint32_t)disp, write);
	else if (base == R10 && index == NO_REG)
		tlb_operand(s, h, x, write);
	else if (h->cold)
		violation(h->at, "guest memory in cold code");
	else if (index == NO_REG && base == (s->swapped ? RDI : R11))
		host_operand(s, h, disp, size, write);
	else if (!s->swapped && base != NO_REG && index == R10 && x->mem.scale == 1)
		distance_operand(s, h, base, disp, size, write);
	else
		violation(h->at, "a form of address that is never emitted");
}

void check_operands(const struct state *s, const struct host *h)
{
	for (int k = 0; k < h->i.operand_count; k++) {
		const ZydisDecodedOperand *x = &h->o[k];

		if (x->type != ZYDIS_OPERAND_TYPE_MEMORY || x->mem.type != ZYDIS_MEMOP_TYPE_MEM ||
			h->i.mnemonic == ZYDIS_MNEMONIC_NOP)
			continue;
		counts.accesses++;
		check_one(s, h, x);
	}
}
