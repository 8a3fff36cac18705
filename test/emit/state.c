/*
 * state.c - what each host instruction does to what is known: values of registers as
 * distances from values that do not change, and which checks have been passed.
 *
 * Whatever is not recognised makes what it writes unknown, so that a new way to emit a
 * check has to be told here before its accesses are believed.
 */
#include <string.h>

#include "test/emit/emit.h"

static unsigned nsym;

struct sym unknown(void)
{
	return (struct sym){ ++nsym, 0 };
}

void state_init(struct state *s)
{
	memset(s, 0, sizeof *s);
	for (int r = 0; r < 16; r++)
		s->reg[r] = unknown();
}

bool covers(const struct fact *f, struct sym a, int64_t off, unsigned size, bool write)
{
	return f->on && f->a.id == a.id && a.off + off >= f->lo && a.off + off + size <= f->hi &&
		(!write || f->write);
}

int gpr(ZydisRegister r)
{
	int i;

	switch (ZydisRegisterGetClass(r)) {
	case ZYDIS_REGCLASS_GPR64:
	case ZYDIS_REGCLASS_GPR32:
	case ZYDIS_REGCLASS_GPR16:
		return ZydisRegisterGetId(r);
	case ZYDIS_REGCLASS_GPR8:
		if (r >= ZYDIS_REGISTER_AH && r <= ZYDIS_REGISTER_BH)
			return r - ZYDIS_REGISTER_AH;
		i = ZydisRegisterGetId(r);
		return i < 4 ? i : i - 4;
	default:
		return NO_REG;
	}
}

bool decode_host(struct host *h, uint64_t at)
{
	ZydisDecoder d;

	ZydisDecoderInit(&d, ZYDIS_MACHINE_MODE_LONG_64, ZYDIS_STACK_WIDTH_64);
	h->at = at;
	return ZYAN_SUCCESS(ZydisDecoderDecodeFull(&d, (const void *)(uintptr_t)at, 15, &h->i, h->o));
}

bool is_absolute(const struct host *h, const ZydisDecodedOperand *x, uint64_t *addr)
{
	bool rip = x->mem.base == ZYDIS_REGISTER_RIP;

	if (x->type != ZYDIS_OPERAND_TYPE_MEMORY || x->mem.index != ZYDIS_REGISTER_NONE ||
		(!rip && x->mem.base != ZYDIS_REGISTER_NONE))
		return false;
	*addr = (uint64_t)x->mem.disp.value + (rip ? h->at + h->i.length : REGION_BASE);
	return true;
}

struct tlb *guest_tlb(void)
{
	return mmu_tlb(mem_mmu(subject.m, 0), subject.mode & BM_USER ? MEM_USER : MEM_KERNEL);
}

uint32_t entry_field(const ZydisDecodedOperand *x)
{
	return (uint32_t)x->mem.disp.value - lo(guest_tlb()->e);
}

/* ---- forms of instructions ---- */

static int reg_operand(const struct host *h, unsigned k)
{
	return k < h->i.operand_count && h->o[k].type == ZYDIS_OPERAND_TYPE_REGISTER
		? gpr(h->o[k].reg.value) : NO_REG;
}

static bool is(const struct host *h, ZydisMnemonic m) { return h->i.mnemonic == m; }
static bool is_mem(const struct host *h, unsigned k)
{
	return h->o[k].type == ZYDIS_OPERAND_TYPE_MEMORY;
}
static bool is_imm(const struct host *h, unsigned k)
{
	return h->o[k].type == ZYDIS_OPERAND_TYPE_IMMEDIATE;
}
static bool whole(const struct host *h)
{
	return h->i.operand_width == 64 && h->o[0].size == 64;
}
static bool of_r10(const struct host *h, unsigned k)
{
	return is_mem(h, k) && h->o[k].mem.base == ZYDIS_REGISTER_R10 &&
		h->o[k].mem.index == ZYDIS_REGISTER_NONE;
}

static struct sym value(const struct state *s, int r)
{
	return r == R10 ? unknown() : r != R11 ? s->reg[r]
		: s->r11.kind == R11_ADDR ? s->r11.a : unknown();
}

static void set_r11(struct state *s, struct sym a)
{
	s->r11.kind = R11_ADDR;
	s->r11.a = a;
}

static void set(struct state *s, int r, struct sym a)
{
	if (r == R11)
		set_r11(s, a);
	else if (r == R10)
		s->r10.kind = R10_OTHER;
	else
		s->reg[r] = a;
}

/* ---- one function for each; true: that is what it was ---- */

static bool exchange(struct state *s, struct host *h)
{
	int a = reg_operand(h, 0), b = reg_operand(h, 1);

	if (!is(h, ZYDIS_MNEMONIC_XCHG) || !whole(h) ||
		!((a == RDI && b == R11) || (a == R11 && b == RDI)))
		return false;
	s->swapped = !s->swapped;
	return true;
}

static bool lea(struct state *s, struct host *h)
{
	const ZydisDecodedOperandMem *m = &h->o[1].mem;
	int dst = reg_operand(h, 0), base;
	struct sym v;

	if (!is(h, ZYDIS_MNEMONIC_LEA) || !whole(h) || h->i.address_width != 64 ||
		m->index != ZYDIS_REGISTER_NONE || (base = gpr(m->base)) == NO_REG)
		return false;
	if (dst == R15) {
		if (base != R15)
			violation(h->at, "r15 from another register");
		return true;
	}
	v = value(s, base);
	v.off += m->disp.value;
	set(s, dst, v);
	return true;
}

static bool move(struct state *s, struct host *h)
{
	int dst = reg_operand(h, 0), src = reg_operand(h, 1);

	if (!is(h, ZYDIS_MNEMONIC_MOV) || !whole(h) || dst == NO_REG || src == NO_REG || dst == R15)
		return false;
	if (src == R10 && s->r10.kind == R10_COPY) {
		set(s, dst, s->r10.a);
	} else if (dst == R10 && src != R11) {
		s->r10.kind = R10_COPY;
		s->r10.a = value(s, src);
	} else {
		set(s, dst, value(s, src));
	}
	return true;
}

static bool add_constant(struct state *s, struct host *h)
{
	bool sub = is(h, ZYDIS_MNEMONIC_SUB);
	int dst = reg_operand(h, 0);

	if (!(sub || is(h, ZYDIS_MNEMONIC_ADD)) || !whole(h) || dst == NO_REG || dst == R10 ||
		dst == R11 || !is_imm(h, 1))
		return false;
	if (dst != R15)
		s->reg[dst].off += sub ? -h->o[1].imm.value.s : h->o[1].imm.value.s;
	return true;
}

/* rorx r11, r10; and r10: the index of the address in r11. */
static bool make_index(struct state *s, struct host *h)
{
	if (reg_operand(h, 0) != R10)
		return false;
	if (is(h, ZYDIS_MNEMONIC_RORX) && reg_operand(h, 1) == R11) {
		if (s->r11.kind != R11_ADDR)
			set_r11(s, unknown());
		s->r10.kind = R10_ROTATED;
		s->r10.a = s->r11.a;
		return true;
	}
	if (is(h, ZYDIS_MNEMONIC_AND) && s->r10.kind == R10_ROTATED && h->i.operand_width == 32 &&
		is_imm(h, 1) && h->o[1].imm.value.u == (TLB_SIZE - 1) << TLB_ENTRY_SHIFT) {
		s->r10.kind = R10_INDEX;
		return true;
	}
	return false;
}

/* movzx r10d, r11w; add r10d, r10d */
static bool jump_index(struct state *s, struct host *h)
{
	if (reg_operand(h, 0) != R10)
		return false;
	if (is(h, ZYDIS_MNEMONIC_MOVZX) && h->o[1].type == ZYDIS_OPERAND_TYPE_REGISTER &&
		h->o[1].reg.value == ZYDIS_REGISTER_R11W) {
		s->r10.kind = R10_JUMP;
		return true;
	}
	return is(h, ZYDIS_MNEMONIC_ADD) && s->r10.kind == R10_JUMP && reg_operand(h, 1) == R10 &&
		h->i.operand_width == 32;
}

static bool compare_tag(struct state *s, struct host *h)
{
	uint64_t a;

	if (h->cold || !is(h, ZYDIS_MNEMONIC_XOR) || reg_operand(h, 0) != R11 || !whole(h) || !is_mem(h, 1))
		return false;
	if (of_r10(h, 1)) {
		uint32_t f = entry_field(&h->o[1]);

		if (s->r10.kind != R10_INDEX || s->r11.kind != R11_ADDR || s->r10.a.id != s->r11.a.id ||
			s->r10.a.off != s->r11.a.off)
			violation(h->at, "an index of another address");
		if (f != TLB_RTAG && f != TLB_WTAG)
			violation(h->at, "no tag");
		s->r11.write = f == TLB_WTAG;
		s->r11.stack = false;
	} else if (is_absolute(h, &h->o[1], &a) && a == (uint64_t)(uintptr_t)&guest_tlb()->stack.tag) {
		if (s->r11.kind != R11_ADDR)
			violation(h->at, "the stack's tag, and no address");
		s->r11.write = s->r11.stack = true;
	} else {
		return false;
	}
	s->r11.kind = R11_XOR;
	s->r11.checked = false;
	return true;
}

/* What is left of the tag and the offset in the page, against how much fits. */
static bool compare_limit(struct state *s, struct host *h)
{
	uint64_t a, limits = (uint64_t)(uintptr_t)guest_tlb()->stack.limit;
	struct host next;

	if (!is(h, ZYDIS_MNEMONIC_CMP) || reg_operand(h, 0) != R11 || s->r11.kind != R11_XOR || !whole(h))
		return false;
	if (is_imm(h, 1) && !s->r11.stack) {
		if (h->o[1].imm.value.s > PAGE_SIZE || h->o[1].imm.value.s < 0)
			violation(h->at, "a limit beyond the page");
		s->r11.size = PAGE_SIZE - (unsigned)h->o[1].imm.value.s;
	} else if (is_absolute(h, &h->o[1], &a) && s->r11.stack && a >= limits &&
		(a - limits) / 8 < STACK_LIMITS) {
		s->r11.size = 1u << (STACK_BITS_MIN + (a - limits) / 8);
	} else {
		violation(h->at, "compared with no limit");
	}
	s->r11.checked = true;
	counts.checks++;
	if (!decode_host(&next, h->at + h->i.length) ||
		next.i.mnemonic != (s->r11.stack ? ZYDIS_MNEMONIC_JNB : ZYDIS_MNEMONIC_JNBE))
		violation(h->at, "no branch after the comparison");
	return true;
}

static bool pass_check(struct state *s, struct host *h)
{
	if (!(is(h, ZYDIS_MNEMONIC_JNBE) || is(h, ZYDIS_MNEMONIC_JNB)) ||
		s->r11.kind != R11_XOR || !s->r11.checked)
		return false;
	s->passed = (struct fact){ true, s->r11.write, s->r11.a, s->r11.a.off,
		s->r11.a.off + s->r11.size };
	if (s->r11.stack)
		s->stack = s->passed;
	return true;
}

static bool host_address(struct state *s, struct host *h)
{
	if (!is(h, ZYDIS_MNEMONIC_ADD) || reg_operand(h, 0) != R11 || !whole(h) || !of_r10(h, 1))
		return false;
	if (entry_field(&h->o[1]) != TLB_HOST || !s->passed.on || s->r11.kind != R11_XOR ||
		!s->r11.checked || s->r10.kind != R10_INDEX)
		violation(h->at, "the page of what is not checked");
	s->r11.kind = R11_HOST;
	return true;
}

static void load_distance(struct state *s, const struct fact *f)
{
	s->r10.kind = f->on ? R10_DELTA : R10_OTHER;
	s->r10.f = *f;
}

static bool load_r10(struct state *s, struct host *h)
{
	static const struct fact none;
	uint64_t a, delta = (uint64_t)(uintptr_t)subject.c->delta;

	if (!is(h, ZYDIS_MNEMONIC_MOV) || reg_operand(h, 0) != R10 || !is_mem(h, 1))
		return false;
	if (of_r10(h, 1)) {
		if (entry_field(&h->o[1]) != TLB_DELTA || !s->passed.on || s->r10.kind != R10_INDEX ||
			s->r10.a.id != s->passed.a.id || s->r10.a.off != s->passed.lo)
			violation(h->at, "the distance of what is not checked");
		load_distance(s, &s->passed);
	} else if (!is_absolute(h, &h->o[1], &a)) {
		return false;
	} else if (a >= delta && a < delta + sizeof subject.c->delta) {
		load_distance(s, &s->delta[(a - delta) / 8]);
	} else {
		load_distance(s, a == (uint64_t)(uintptr_t)&guest_tlb()->stack.delta ? &s->stack : &none);
	}
	return true;
}

static bool store_r10(struct state *s, struct host *h)
{
	uint64_t a, delta = (uint64_t)(uintptr_t)subject.c->delta;

	if (!is(h, ZYDIS_MNEMONIC_MOV) || !is_mem(h, 0) || reg_operand(h, 1) != R10)
		return false;
	if (is_absolute(h, &h->o[0], &a) && a >= delta && a < delta + sizeof subject.c->delta) {
		if (s->r10.kind != R10_DELTA || h->o[1].size != 64)
			violation(h->at, "what is stored as a distance is none");
		s->delta[(a - delta) / 8] = s->r10.f;
	}
	return true;
}

static void clobber(struct state *s, struct host *h)
{
	for (unsigned k = 0; k < h->i.operand_count; k++) {
		int r = reg_operand(h, k);

		if (r == NO_REG || !(h->o[k].actions & ZYDIS_OPERAND_ACTION_MASK_WRITE))
			continue;
		if (r == R15)
			violation(h->at, "writes r15");
		set(s, r, unknown());
	}
}

void transfer(struct state *s, struct host *h)
{
	static bool (*const forms[])(struct state *, struct host *) = {
		exchange, lea, move, add_constant, make_index, jump_index, compare_tag, compare_limit,
		pass_check, host_address, load_r10, store_r10,
	};

	for (unsigned i = 0; i < sizeof forms / sizeof *forms; i++)
		if (forms[i](s, h))
			return;
	clobber(s, h);
}
