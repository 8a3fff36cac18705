/*
 * code.c - attacks on the translator: code that changes under it, code in
 * page tables, more code than its cache holds, floating point that traps.
 */
#include "kern.h"

typedef uint64_t code_fn(void);

static code_fn *fn_at(const void *p)
{
	return (code_fn *)addr(p);
}

/* mov $imm, %eax; ret */
static void put_const(uint8_t *p, uint32_t v)
{
	p[0] = 0xb8;
	memcpy(p + 1, &v, 4);
	p[5] = 0xc3;
}

static void smc_loop(void)
{
	uint8_t *page = new_page(), *alias = (uint8_t *)ROOM;

	map(ROOM, mfn_of(page) << 12 | P | RW | US | A | D);
	for (uint32_t i = 0; i < 100000; i++) {
		uint8_t *at = page + i % 7 * 512;

		put_const(i & 1 ? alias + (at - page) : at, i);
		check(fn_at(i & 2 ? alias + (at - page) : at)() == i, "stale code ran");
	}
}

/* An instruction that overwrites the one after it, in its own block. */
static void smc_self(void)
{
	uint8_t *p = new_page();

	for (uint32_t i = 0; i < 20000; i++) {
		/* movl $i, 1f+1(%rip); 1: mov $0, %eax; ret */
		memcpy(p, "\xc7\x05\x01\x00\x00\x00", 6);
		memcpy(p + 6, &i, 4);
		put_const(p + 10, 0);
		check(fn_at(p)() == i, "an instruction did not see its predecessor's store");
	}
}

/* The same over a page's end, each side changed in turn. */
static void smc_straddle(void)
{
	uint8_t *two = new_page(), *at;

	check(new_page() == two + PAGE, "pages are not neighbours");
	for (uint32_t i = 0; i < 30000; i++) {
		at = two + PAGE - 1 - i % 5;
		put_const(at, i);
		check(fn_at(at)() == i, "stale code ran");
		two[PAGE - (i & 1)]++;
		put_const(at, ~i);
		check(fn_at(at)() == (uint32_t)~i, "stale code ran");
	}
}

static void run_at(uint64_t at)
{
	fn_at((const void *)at)();
}

/* n prefixes and then 0f 04, which is nothing, or 0f 90 c0, seto %al; ret. */
static void undefined_then(uint8_t *at, unsigned n, uint64_t from)
{
	enum { UNDEFINED = 7 };

	memset(at, 0x66, n);
	memcpy(at + n, "\x0f\x04\xc0\xc3", 4);
	check(guarded(run_at, from) == UNDEFINED, "what is no instruction ran");
	at[n + 1] = 0x90;
	check(guarded(run_at, from) == 0, "stale bytes that were no instruction");
	at[n + 1] = 0x04;
	check(guarded(run_at, from) == UNDEFINED, "stale code ran");
}

/* 15 prefixes are too many; 14 and a nop are not; ret. */
static void too_long_then(uint8_t *at, uint64_t from)
{
	enum { PROTECTION = 14 };

	memset(at, 0x66, 15);
	at[15] = 0xc3;
	check(guarded(run_at, from) == PROTECTION, "16 bytes ran");
	at[14] = 0x90;
	check(guarded(run_at, from) == 0, "stale bytes that were too many");
}

/*
 * Bytes that are no instruction become one by the last of them, which lies in another
 * line of 64 bytes, or another page, than the first.
 */
static void undecodable(void)
{
	static const unsigned ends[] = { 64, PAGE - 64, PAGE };
	uint8_t *two = new_page();

	check(new_page() == two + PAGE, "pages are not neighbours");
	for (unsigned i = 0; i < 3 * 16; i++) {
		uint8_t *at = two + ends[i / 16] - i % 16;

		at[-1] = 0x90;
		for (unsigned n = 0; n <= 12; n++)
			undefined_then(at, n, addr(at) - n % 2);
		too_long_then(at, addr(at));
		too_long_then(at, addr(at) - 1);
	}
}

/* Page-table entries that are instructions: walks set their A and D bits. */
static void table_code(void)
{
	uint64_t *l1, maddr, va = ROOM + 511 * PAGE;
	uint8_t *data = new_page();

	map(ROOM, mfn_of(data) << 12 | P | RW | US);
	read_pte(ROOM, 1, &maddr);
	l1 = (uint64_t *)(VIRT_BASE + (M2P[maddr >> 12] << 12));
	for (uint32_t i = 0; i < 20000; i++) {
		/* and $imm, %al of a PTE's low byte: 0x27|0x47|0x67 change with A and D */
		uint64_t pte = mfn_of(data) << 12 | P | RW | US | (uint64_t)(i & 0x7ff) << 52;

		write_pte(maddr + 511 * 8, pte & ~(UINT64_C(1) << 63));
		if (i & 1)
			(void)*(volatile uint64_t *)va;
		else
			*(volatile uint64_t *)va = i;
		attempt((void (*)(uint64_t))addr(&l1[511]), 0);
		attempt((void (*)(uint64_t))addr(&l1[rnd_below(512)]), 0);
	}
}

static uint32_t call_with(uint32_t eax, const void *fn)
{
	__asm__ volatile ("call *%1" : "+a"(eax) : "r"(fn) : "memory", "cc");
	return eax;
}

/*
 * An entry that is: add $imm, %eax; add %al, %al; ret.  With its A bit set the
 * add has become an and.  What is run must be what is there, whoever set it.
 */
static void accessed_code(void)
{
	uint8_t *data = new_page();
	uint64_t maddr, pte = mfn_of(data) << 12 | P | US | UINT64_C(0xc3c) << 52;
	const uint8_t *l1;

	map(ROOM, 0);
	read_pte(ROOM, 1, &maddr);
	l1 = (const uint8_t *)(VIRT_BASE + (M2P[maddr >> 12] << 12));
	for (uint32_t i = 0; i < 3000; i++) {
		uint32_t imm = (uint32_t)(pte >> 8), k = i % 512, want;

		write_pte(maddr + k * 8, pte);
		want = 0x12345678 + imm;
		want = (want & 0xffffff00) | (want * 2 & 0xff);
		check(call_with(0x12345678, l1 + k * 8) == want, "not the code as written");
		if (i & 1)
			(void)*(volatile uint8_t *)(ROOM + k * PAGE);
		else
			hc(__HYPERVISOR_console_io, CONSOLEIO_write, 1, ROOM + k * PAGE, 0, 0);
		if (!(l1[k * 8] & A))
			continue;
		want = 0x12345678 & imm;
		want = (want & 0xffffff00) | (want * 2 & 0xff);
		check(call_with(0x12345678, l1 + k * 8) == want, "not the code as accessed");
	}
}

/* Megabytes of distinct code, over and over. */
static void code_flood(void)
{
	unsigned pages = 500, rounds = param ? (unsigned)param : 2;
	uint64_t want = 0;

	for (unsigned i = 0; i < pages; i++) {
		uint8_t *p = pool[i], *end = p + PAGE - 16;
		uint32_t n = 0;

		want = 0;
		/* Blocks of: add $imm, %eax; jmp +0 */
		for (p += 2; p < end; p += 7, n++) {
			p[0] = 0x05;
			want += n;
			memcpy(p + 1, &n, 4);
			p[5] = 0xeb;
			p[6] = 0;
		}
		memcpy(pool[i], "\x31\xc0", 2);
		*p = 0xc3;
	}
	for (unsigned r = 0; r < rounds; r++)
		for (unsigned i = 0; i < pages; i++)
			check((uint32_t)fn_at(pool[i])() == want, "wrong sum");
}

/* One page of code seen at very many addresses: translations keyed by address. */
static void code_aliases(void)
{
	uint8_t *page = new_page();

	put_const(page, 42);
	alias_room(mfn_of(page), P | RW | US | A | D);
	for (uint64_t i = 0; i < (param ? param : 40000); i++)
		check(fn_at((void *)(ROOM + i * 513 * PAGE % ((uint64_t)1 << 39)))() == 42,
			"wrong code");
}

/* ---- floating point ---- */

static uint8_t fx[512] __attribute__((aligned(16)));

static void fp_divide(uint64_t how)
{
	static const double one = 1, zero;
	uint32_t csr = 0;
	uint16_t cw = 0;

	switch (how) {
	case 0: /* x87, unmasked: #MF at the next waiting instruction */
		__asm__ volatile ("fldcw %0; fld1; fldz; fdivrp; fwait" : : "m"(cw));
		break;
	case 1:
		__asm__ volatile ("ldmxcsr %0; movsd %1, %%xmm0; divsd %2, %%xmm0"
			: : "m"(csr), "m"(one), "m"(zero));
		break;
	case 2: /* reserved bits */
		csr = 0xffffffff;
		__asm__ volatile ("ldmxcsr %0" : : "m"(csr));
		break;
	case 3:
		rnd_fill(fx, sizeof(fx));
		__asm__ volatile ("fxrstor %0" : : "m"(fx));
		break;
	case 4:
		__asm__ volatile ("fldenv %0; fwait; fld1" : : "m"(fx));
		break;
	case 5:
		__asm__ volatile ("frstor %0; fld1; fsin; fwait" : : "m"(fx));
		break;
	case 6:
		__asm__ volatile ("movaps %0, %%xmm1" : : "m"(fx[8]));
		break;
	case 7: /* a pending exception and then everything else */
		__asm__ volatile ("fldcw %0; fld1; fldz; fdivrp" : : "m"(cw));
		hc(__HYPERVISOR_xen_version, 0, 0, 0, 0, 0);
		__asm__ volatile ("paddb %mm0, %mm1; fst %st(3); emms");
		break;
	case 8:
		hc(__HYPERVISOR_fpu_taskswitch, 1, 0, 0, 0, 0);
		__asm__ volatile ("fwait; fld1");
		break;
	case 9:
		__asm__ volatile ("xor %%eax, %%eax; xor %%edx, %%edx; xor %%ecx, %%ecx; div %%rcx"
			: : : "rax", "rdx", "rcx");
		break;
	default:
		__asm__ volatile ("mov $0x8000000000000000, %%rax; cqto; mov $-1, %%rcx; idiv %%rcx"
			: : : "rax", "rdx", "rcx");
		break;
	}
}

static void fpu(void)
{
	const uint32_t csr = 0x1f80;

	for (unsigned i = 0; i < 4000; i++) {
		guarded(fp_divide, rnd_below(11));
		if (rnd_below(3) == 0) {
			hc(__HYPERVISOR_fpu_taskswitch, 0, 0, 0, 0, 0);
			__asm__ volatile ("fninit; ldmxcsr %0" : : "m"(csr));
		}
	}
}

/* Alignment checks, set by popf: the hypervisor's own accesses must not mind. */
static void align_check(uint64_t how)
{
	uint8_t *p = pool[3] + 1;
	uint64_t n = 5;

	__asm__ volatile ("pushf; orl $0x40000, (%rsp); popf");
	switch (how) {
	case 0:
		*(volatile uint64_t *)(void *)p = 1;
		break;
	case 1:
		hc(__HYPERVISOR_xen_version, 1, addr(p), 0, 0, 0);
		break;
	case 2:
		__asm__ volatile ("rep movsq" : "+c"(n) : "S"(p), "D"(p + 99) : "memory");
		break;
	case 3:
		*(volatile uint64_t *)(void *)(pool[4] - 3) = 1;
		break;
	case 4:
		__asm__ volatile ("ud2");
		break;
	case 5:
		(void)*(volatile uint64_t *)(void *)(pool[5 + rnd_below(900)] + 3);
		break;
	default:
		__asm__ volatile ("mov %%rsp, %%r12; lea 1(%%rsp), %%rsp; push %%rax; pushf; pop %%rax;"
			"pop %%rax; mov %%r12, %%rsp" : : : "rax", "r12", "memory");
		break;
	}
}

static void alignment(void)
{
	for (unsigned i = 0; i < 2000; i++) {
		guarded(align_check, i % 7);
		__asm__ volatile ("pushf; andl $~0x40000, (%rsp); popf");
	}
}

const struct attack code_attacks[] = {
	{ "smc-loop", smc_loop },
	{ "smc-self", smc_self },
	{ "smc-straddle", smc_straddle },
	{ "undecodable", undecodable },
	{ "table-code", table_code },
	{ "accessed-code", accessed_code },
	{ "code-flood", code_flood },
	{ "code-aliases", code_aliases },
	{ "fpu", fpu },
	{ "alignment", alignment },
	{ NULL, NULL },
};
