/*
 * string_hot.c - movs, stos, lods, scas, cmps with all their prefixes.
 *
 * Runs of elements inside one page on each side go through the TLB at host
 * speed.  Whatever else comes up (an element across pages, a frame that must
 * not be written without our knowing) leaves for the dispatcher, which does one
 * element by string_slow() and comes back.  A fault commits rcx, rsi and rdi,
 * so the instruction goes on where it stopped; it counts when it completes, and
 * only then changes flags (SDM vol. 2, REP).
 *
 * A guest can make one instruction last for hours.  After the first REP_RUNS
 * pages of it a kick is obeyed in the middle, which cpu_exit.unfinished tells.
 */
#include "cpu/internal.h"

#include <Zydis/Mnemonic.h>

enum {
	REP_RUNS = 1024,
	WORDS = 16,     /* moved or stored one by one */
};

struct str {
	unsigned op, size;
	bool rep, until_eq; /* until_eq: repne */
	int seg;
	uint64_t mask;      /* of addresses and counts */
	bool compat;        /* linear addresses have 32 bits */
	bool ac;            /* operands must be aligned */
	int64_t step;       /* +size or -size */
	enum mem_mode mode;
};

static struct str unpack(const struct cpu *c, uint32_t desc)
{
	struct str s;

	s.op = desc & 15;
	s.size = desc >> 4 & 15;
	s.rep = (desc >> 8 & 3) != 0;
	s.until_eq = (desc >> 8 & 3) == 2;
	s.seg = (int)(desc >> 12 & 15) - 1;
	s.mask = ~(uint64_t)0 >> (desc >> 16 == 2 ? 48 : desc >> 16 == 1 ? 32 : 0);
	s.compat = !c->s.code64;
	s.ac = (c->s.rflags & FLAG_AC) != 0;
	s.step = c->hostflags & FLAG_DF ? -(int64_t)s.size : (int64_t)s.size;
	s.mode = (enum mem_mode)c->s.mode;
	return s;
}

uint32_t string_desc(const struct insn *in, bool code64)
{
	static const uint8_t of[16] = { [4] = STR_MOVS, [5] = STR_MOVS, [6] = STR_CMPS,
		[7] = STR_CMPS, [10] = STR_STOS, [11] = STR_STOS, [12] = STR_LODS,
		[13] = STR_LODS, [14] = STR_SCAS, [15] = STR_SCAS };
	unsigned rep = 0, size = in->opcode & 1 ? (in->rex & 8 ? 8 : in->opsize ? 2 : 4) : 1;
	unsigned width = code64 ? 0 : 1;
	int seg = code64 ? -1 : SEG_DS;

	for (unsigned i = 0; i < in->len; i++) {
		switch (in->bytes[i]) {
		case 0xf3: rep = 1; continue;
		case 0xf2: rep = 2; continue;
		case 0x67: width = code64 ? 1 : 2; continue;
		case 0x64: seg = SEG_FS; continue;
		case 0x65: seg = SEG_GS; continue;
		case 0x26: case 0x2e: case 0x36: case 0x3e:
			if (!code64)
				seg = in->bytes[i] >> 3 & 3; /* es, cs, ss, ds */
			continue;
		case 0x66: continue;
		default: break;
		}
		break;
	}
	return STR_DESC(of[in->opcode & 15], size, rep, seg, width);
}

static uint64_t linear_src(const struct cpu *c, const struct str *s)
{
	uint64_t va = c->s.gpr[RSI] & s->mask;

	if (s->seg >= 0)
		va += c->s.seg_base[s->seg];
	return s->compat ? (uint32_t)va : va;
}

static uint64_t linear_dst(const struct cpu *c, const struct str *s)
{
	uint64_t va = c->s.gpr[RDI] & s->mask;

	return s->compat ? (uint32_t)(va + c->s.seg_base[SEG_ES]) : va;
}

static bool from_src(const struct str *s)
{
	return s->op == STR_MOVS || s->op == STR_LODS || s->op == STR_CMPS;
}

/* Will some access be #AC?  All elements are as far from alignment as the first. */
static bool misaligned(const struct cpu *c, const struct str *s)
{
	return s->ac && (((from_src(s) ? linear_src(c, s) : 0) |
		(s->op != STR_LODS ? linear_dst(c, s) : 0)) & (s->size - 1)) != 0;
}

static void set_reg(struct cpu *c, const struct str *s, int reg, uint64_t v)
{
	uint64_t keep = s->mask == 0xffff ? ~s->mask : 0;

	c->s.gpr[reg] = (c->s.gpr[reg] & keep) | (v & s->mask);
}

static void advance(struct cpu *c, const struct str *s, uint64_t n)
{
	if (from_src(s))
		set_reg(c, s, RSI, c->s.gpr[RSI] + n * (uint64_t)s->step);
	if (s->op != STR_LODS)
		set_reg(c, s, RDI, c->s.gpr[RDI] + n * (uint64_t)s->step);
	if (s->rep)
		set_reg(c, s, RCX, c->s.gpr[RCX] - n);
}

/* Elements from va that lie in its page, going by step; 0: the first crosses. */
static uint64_t in_page(uint64_t va, const struct str *s)
{
	unsigned off = va & (PAGE_SIZE - 1);

	if (off + s->size > PAGE_SIZE)
		return 0;
	return s->step > 0 ? (PAGE_SIZE - off) / s->size : off / s->size + 1;
}

/* Elements from an offset on before offsets of 32 or 16 bits wrap. */
static uint64_t before_wrap(uint64_t off, const struct str *s)
{
	off &= s->mask;
	if (s->mask == ~(uint64_t)0)
		return s->mask;
	return (s->step > 0 ? s->mask - off : off) / s->size + 1;
}

/* Host address for an access, or NULL with *r: 1 careful, -1 fault. */
static uint8_t *reach(struct cpu *c, const struct str *s, uint64_t va, enum mem_access access,
	struct mem_fault *f, int *r)
{
	struct tlb *t = mmu_tlb(c->mmu, s->mode);
	unsigned i = TLB_INDEX(va);
	uint64_t tag = access == MEM_WRITE ? t->e[i].wtag : t->e[i].rtag;

	if (tag != (va & PAGE_MASK)) {
		*r = debug_fill(c, s->mode, va, access, f);
		if (*r != 0)
			return NULL;
	}
	return (uint8_t *)(uintptr_t)(t->e[i].host + (va & (PAGE_SIZE - 1)));
}

static uint64_t load(const uint8_t *p, unsigned size)
{
	switch (size) {
	case 1: return *p;
	case 2: return *(const uint16_t *)(const void *)p;
	case 4: return *(const uint32_t *)(const void *)p;
	default: return *(const uint64_t *)(const void *)p;
	}
}

static void store(uint8_t *p, unsigned size, uint64_t v)
{
	switch (size) {
	case 1: *p = (uint8_t)v; break;
	case 2: *(uint16_t *)(void *)p = (uint16_t)v; break;
	case 4: *(uint32_t *)(void *)p = (uint32_t)v; break;
	default: *(uint64_t *)(void *)p = v;
	}
}

static void set_acc(struct cpu *c, unsigned size, uint64_t v)
{
	uint64_t keep = size == 1 ? ~(uint64_t)0xff : size == 2 ? ~(uint64_t)0xffff : 0;

	c->s.gpr[RAX] = (c->s.gpr[RAX] & keep) | v;
}

/* The status flags of a - b, packed. */
static uint16_t compare(unsigned size, uint64_t a, uint64_t b)
{
	uint64_t fl;

	switch (size) {
#define CMP(T, suffix) \
	__asm__("cmp" suffix " %2, %1\n\tpushfq\n\tpop %0" : "=r"(fl) : "r"((T)a), "r"((T)b) : "cc")
	case 1: CMP(uint8_t, "b"); break;
	case 2: CMP(uint16_t, "w"); break;
	case 4: CMP(uint32_t, "l"); break;
	default: CMP(uint64_t, "q");
#undef CMP
	}
	return flags_pack(fl);
}

/* Whether the byte ranges of n elements share bytes so that order matters. */
static bool overlap(const uint8_t *d, const uint8_t *s, uint64_t bytes, const struct str *st)
{
	if (st->step < 0)
		return true;
	return d > s && (uint64_t)(d - s) < bytes;
}

static void move_run(uint8_t *d, const uint8_t *s, uint64_t n, const struct str *st)
{
	if (overlap(d, s, n * st->size, st)) {
		for (; n > 0; n--, d += st->step, s += st->step)
			store(d, st->size, load(s, st->size));
		return;
	}
	n *= st->size;
	__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
}

static void fill_run(uint8_t *d, uint64_t v, uint64_t n, const struct str *st)
{
	if (st->step < 0) {
		for (; n > 0; n--, d += st->step)
			store(d, st->size, v);
		return;
	}
	switch (st->size) {
	case 1: __asm__ volatile("rep stosb" : "+D"(d), "+c"(n) : "a"(v) : "memory"); break;
	case 2: __asm__ volatile("rep stosw" : "+D"(d), "+c"(n) : "a"(v) : "memory"); break;
	case 4: __asm__ volatile("rep stosl" : "+D"(d), "+c"(n) : "a"(v) : "memory"); break;
	default: __asm__ volatile("rep stosq" : "+D"(d), "+c"(n) : "a"(v) : "memory");
	}
}

static uint64_t size_mask(unsigned size)
{
	return size == 8 ? ~(uint64_t)0 : ((uint64_t)1 << size * 8) - 1;
}

/* Compares up to n elements; *stop when the rep condition ended it.  Elements done. */
static uint64_t compare_run(struct cpu *c, const uint8_t *s, const uint8_t *d, uint64_t n,
	const struct str *st, bool *stop)
{
	uint64_t a = c->s.gpr[RAX] & size_mask(st->size), b = 0, k = 0;

	while (k < n) {
		if (st->op == STR_CMPS)
			a = load(s + (int64_t)k * st->step, st->size);
		b = load(d + (int64_t)k * st->step, st->size);
		k++;
		if (st->rep && (a == b) == st->until_eq) {
			*stop = true;
			break;
		}
	}
	c->string_flags = compare(st->size, a, b);
	return k;
}

/* One run of elements.  0 go on, 1 finished by condition, 2 careful, -1 fault. */
static int one_run(struct cpu *c, const struct str *s, struct mem_fault *f)
{
	uint64_t src = linear_src(c, s), dst = linear_dst(c, s);
	uint64_t n = s->rep ? c->s.gpr[RCX] & s->mask : 1, k;
	bool uses_src = from_src(s), uses_dst = s->op != STR_LODS, stop = false;
	uint8_t *ps = NULL, *pd = NULL;
	int r = 0;

	if (uses_src && (k = in_page(src, s)) < n)
		n = k;
	if (uses_src && (k = before_wrap(c->s.gpr[RSI], s)) < n)
		n = k;
	if (uses_dst && (k = in_page(dst, s)) < n)
		n = k;
	if (uses_dst && (k = before_wrap(c->s.gpr[RDI], s)) < n)
		n = k;
	if (n == 0 || misaligned(c, s))
		return 2;
	if (s->op == STR_CMPS && (pd = reach(c, s, dst, MEM_READ, f, &r)) == NULL)
		return r > 0 ? 2 : r;
	if (uses_src && (ps = reach(c, s, src, MEM_READ, f, &r)) == NULL)
		return r > 0 ? 2 : r;
	if (uses_dst && pd == NULL && (pd = reach(c, s, dst, s->op == STR_MOVS || s->op == STR_STOS
	    ? MEM_WRITE : MEM_READ, f, &r)) == NULL)
		return r > 0 ? 2 : r;
	switch (s->op) {
	case STR_MOVS:
		move_run(pd, ps, n, s);
		break;
	case STR_STOS:
		fill_run(pd, c->s.gpr[RAX], n, s);
		break;
	case STR_LODS:
		set_acc(c, s->size, load(ps + (int64_t)(n - 1) * s->step, s->size));
		break;
	default:
		n = compare_run(c, ps, pd, n, s, &stop);
	}
	advance(c, s, n);
	return stop;
}

/* As the host's rep instructions, which take 30 cycles to start. */
static void copy_bytes(uint8_t *d, const uint8_t *s, uint64_t n)
{
	if (n > WORDS * 8) {
		__asm__ volatile("rep movsb" : "+D"(d), "+S"(s), "+c"(n) : : "memory");
		return;
	}
	for (; n >= 8; n -= 8, d += 8, s += 8)
		store(d, 8, load(s, 8));
	if (n & 4) {
		store(d, 4, load(s, 4));
		d += 4, s += 4;
	}
	if (n & 2) {
		store(d, 2, load(s, 2));
		d += 2, s += 2;
	}
	if (n & 1)
		*d = *s;
}

static void fill_bytes(uint8_t *d, uint64_t v, uint64_t n)
{
	if (n > WORDS * 8) {
		uint64_t k = n / 8;

		__asm__ volatile("rep stosq" : "+D"(d), "+c"(k) : "a"(v) : "memory");
		n &= 7;
	}
	for (; n >= 8; n -= 8, d += 8)
		store(d, 8, v);
	if (n & 4) {
		store(d, 4, v);
		d += 4;
	}
	if (n & 2) {
		store(d, 2, v);
		d += 2;
	}
	if (n & 1)
		*d = (uint8_t)v;
}

/*
 * The short way, for what nearly all string instructions are: forwards copies
 * and fills with no prefix but rep, in pages that the TLB holds.  false: nothing
 * was done.
 */
static bool quick(struct cpu *c, uint32_t desc)
{
	static const uint64_t repeated[] = { 0x0101010101010101, 0x0001000100010001,
		0x0000000100000001, 1 };
	unsigned op = desc & 15, shift = (unsigned)__builtin_ctz(desc >> 4 & 15);
	uint64_t rdi = c->s.gpr[RDI], rsi = c->s.gpr[RSI];
	uint64_t n = (desc >> 8 & 3) != 0 ? c->s.gpr[RCX] : 1;
	struct tlb *t = mmu_tlb(c->mmu, (enum mem_mode)c->s.mode);
	const struct tlb_entry *to = &t->e[TLB_INDEX(rdi)], *from = &t->e[TLB_INDEX(rsi)];
	uint8_t *d, *s;

	if (op > STR_STOS || desc >> 12 != 0 || !c->s.code64 || n > PAGE_SIZE ||
	    (c->s.rflags & FLAG_AC) != 0 || (c->hostflags & FLAG_DF) != 0)
		return false;
	n <<= shift;
	if ((rdi & (PAGE_SIZE - 1)) + n > PAGE_SIZE || to->wtag != (rdi & PAGE_MASK))
		return false;
	d = (uint8_t *)(uintptr_t)(to->host + (rdi & (PAGE_SIZE - 1)));
	if (op == STR_STOS) {
		fill_bytes(d, (c->s.gpr[RAX] & size_mask(1u << shift)) * repeated[shift], n);
	} else {
		if ((rsi & (PAGE_SIZE - 1)) + n > PAGE_SIZE || from->rtag != (rsi & PAGE_MASK))
			return false;
		s = (uint8_t *)(uintptr_t)(from->host + (rsi & (PAGE_SIZE - 1)));
		if ((uint64_t)(d - s) < n || (uint64_t)(s - d) < n)
			return false;
		copy_bytes(d, s, n);
		c->s.gpr[RSI] = rsi + n;
	}
	c->s.gpr[RDI] = rdi + n;
	if ((desc >> 8 & 3) != 0)
		c->s.gpr[RCX] = 0;
	return true;
}

uint64_t hot_string(struct cpu *c, uint64_t site, uint64_t desc)
{
	const struct site *at = region_at((uint32_t)site);
	struct str s;
	struct mem_fault f;
	unsigned runs = 0;
	int r;

	c->stats.string_helpers++;
	if (quick(c, (uint32_t)desc)) {
		c->resume = region_addr(at->host);
		return 1;
	}
	s = unpack(c, (uint32_t)desc);
	if (s.rep)
		set_reg(c, &s, RCX, c->s.gpr[RCX]);
	if (s.rep && c->s.gpr[RCX] == 0) {
		c->resume = region_addr(at->host);
		return 1;
	}
	while (!s.rep || (c->s.gpr[RCX] & s.mask) != 0) {
		r = one_run(c, &s, &f);
		if (r < 0) {
			leave_fault(c, at, &f);
			return 0;
		}
		if (r == 2 || (r == 0 && ++runs > REP_RUNS && c->kick)) {
			site_leave(c, at, r == 2 ? LEAVE_SPECIAL : LEAVE_STOP);
			c->rep_cut = true;
			return 0;
		}
		if (r == 1 || !s.rep)
			break;
	}
	if (s.op == STR_SCAS || s.op == STR_CMPS)
		c->flags = c->string_flags;
	c->resume = region_addr(at->host);
	return 1;
}

/* One element between memory and *v: 0, or which fault. */
static int copy_element(struct cpu *c, const struct str *s, uint64_t va, uint64_t *v,
	enum mem_access access, struct mem_fault *f)
{
	if (s->ac && mem_canonical(va) && (va & (s->size - 1)) != 0)
		return STR_MISALIGNED;
	if (!mem_canonical(va) || !mem_canonical(va + s->size - 1)) {
		f->va = va;
		f->noncanon = true;
		return STR_FAULT;
	}
	debug_access(c, va, s->size, access == MEM_WRITE);
	if (access == MEM_WRITE)
		return mmu_copy_out(c->mmu, s->mode, va, v, s->size, f) != 0 ? STR_FAULT : 0;
	*v = 0;
	return mmu_copy_in(c->mmu, s->mode, v, va, s->size, f) != 0 ? STR_FAULT : 0;
}

/*
 * The element at hand by copies that may cross pages and write any frame.
 * Called by the dispatcher, so hostflags and flags are as translated code left
 * them.
 */
int string_slow(struct cpu *c, uint32_t desc, struct mem_fault *f)
{
	struct str s = unpack(c, desc);
	uint64_t src = linear_src(c, &s), dst = linear_dst(c, &s);
	uint64_t a = c->s.gpr[RAX] & size_mask(s.size), b = 0;
	bool compares = s.op == STR_SCAS || s.op == STR_CMPS;
	int r = 0;

	if (s.rep && (c->s.gpr[RCX] & s.mask) == 0)
		return STR_DONE;
	if (compares)
		r = copy_element(c, &s, dst, &b, MEM_READ, f);
	if (r == 0 && from_src(&s))
		r = copy_element(c, &s, src, &a, MEM_READ, f);
	if (r == 0 && (s.op == STR_MOVS || s.op == STR_STOS))
		r = copy_element(c, &s, dst, &a, MEM_WRITE, f);
	if (r != 0)
		return r;
	if (s.op == STR_LODS)
		set_acc(c, s.size, a);
	advance(c, &s, 1);
	if (compares) {
		c->string_flags = compare(s.size, a, b);
		if (!s.rep || (a == b) == s.until_eq || (c->s.gpr[RCX] & s.mask) == 0) {
			c->flags = c->string_flags;
			return STR_DONE;
		}
	}
	return s.rep && (c->s.gpr[RCX] & s.mask) != 0 ? STR_MORE : STR_DONE;
}
