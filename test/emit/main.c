/*
 * main.c - emit-test [--blocks N] [--seed N]: translates random blocks in every mode and
 * verifies each.  A violation prints the block's seed, the guest's bytes and the code.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "cpu/internal.h"
#include "mem/internal.h"
#include "test/emit/emit.h"

enum { CODE_FRAME = 20, FRAMES = 64, BLOCKS = 7000 };
#define KERNEL UINT64_C(0xffffffff81000000)
#define USER UINT64_C(0x400000)

struct subject subject;
struct counts counts;
static uint64_t emitted, first_seed;

static void dump(uint64_t from, uint64_t to)
{
	ZydisFormatter f;
	struct host h;
	char text[200];

	ZydisFormatterInit(&f, ZYDIS_FORMATTER_STYLE_INTEL);
	for (; from < to && decode_host(&h, from); from += h.i.length) {
		ZydisFormatterFormatInstruction(&f, &h.i, h.o, h.i.operand_count_visible, text,
			sizeof text, from, NULL);
		printf("  %08lx %s\n", (long)from, text);
	}
}

void violation(uint64_t at, const char *fmt, ...)
{
	va_list ap;

	printf("emit-test: --seed %#lx --blocks 1: at %#lx of the block at %#lx, mode %#x: ",
		(long)first_seed, (long)at, (long)subject.va, subject.mode);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	printf("\nguest:");
	for (unsigned i = 0; i < 64 && (subject.va & (PAGE_SIZE - 1)) + i < PAGE_SIZE; i++)
		printf(" %02x", subject.page[(subject.va & (PAGE_SIZE - 1)) + i]);
	printf("\nhost:\n");
	dump(emitted, at + 16);
	exit(1);
}

static uint64_t *table(mfn_t mfn)
{
	return (uint64_t *)(void *)mem_frame(subject.m, mfn);
}

static void map_code(enum mem_mode mode, uint64_t va)
{
	const uint64_t flags = PTE_P | PTE_RW | PTE_US | PTE_A;
	mfn_t t = MEM_FIRST_MFN + (mfn_t)mode * 8;

	mmu_set_root(mem_mmu(subject.m, 0), mode, t);
	for (int shift = 39; shift > 12; shift -= 9, t++)
		table(t)[va >> shift & 511] = (t + 1) << PAGE_SHIFT | flags;
	for (unsigned i = 0; i < 2; i++)
		table(t)[(va >> 12 & 511) + i] =
			(MEM_FIRST_MFN + CODE_FRAME + i) << PAGE_SHIFT | flags | PTE_D;
}

static void set_up(void)
{
	struct ttd_error e;

	subject.m = mem_create(FRAMES, 0, &e);
	subject.c = subject.m != NULL ? cpu_create(mem_mmu(subject.m, 0), CPU_OPTIMISED, &e) : NULL;
	if (subject.c == NULL) {
		printf("emit-test: %s\n", e.text);
		exit(1);
	}
	if (isa_missing(isa_max()) == 0) {
		cpu_show(subject.c, isa_max(), (const uint8_t[CPU_SEED]){ 0 });
		cpu_set_xcr0(subject.c, XCR0_X87 | XCR0_SSE | XCR0_AVX);
		cpu_set_fsgsbase(subject.c, true);
	}
	map_code(MEM_KERNEL, KERNEL);
	map_code(MEM_USER, USER);
	subject.page = mem_frame(subject.m, MEM_FIRST_MFN + CODE_FRAME);
	subject.page2 = mem_frame(subject.m, MEM_FIRST_MFN + CODE_FRAME + 1);
}

static unsigned random_mode(void)
{
	static const unsigned modes[] = {
		0, BM_USER, BM_PLAIN, BM_USER | BM_PLAIN, BM_AC, BM_USER | BM_COMPAT,
		BM_USER | BM_COMPAT | BM_BASES, BM_TS, BM_PLAIN | BM_CAREFUL,
		BM_USER | BM_PLAIN | BM_CAREFUL, BM_USER | BM_COMPAT | BM_PLAIN | BM_CAREFUL,
		BM_USER | BM_AC, BM_USER | BM_COMPAT | BM_AC,
	};

	return modes[below(3) ? below(2) : below(sizeof modes / sizeof *modes)];
}

/* false: its first instruction cannot be fetched. */
static bool one_block(void)
{
	struct cpu *c = subject.c;
	uint64_t code = (uint64_t)(uintptr_t)c->code_p, cold = (uint64_t)(uintptr_t)c->cold_p;
	bool careful = (subject.mode & BM_CAREFUL) != 0;
	unsigned flags = careful ? TR_TEMP | TR_CAREFUL : below(10) == 0 ? TR_TEMP : 0;
	struct mem_fault f;

	if (translate(c, subject.va, subject.mode, careful ? 1 : MAX_BLOCK, flags, NULL, &f) == NULL)
		return false;
	counts.blocks++;
	emitted = code;
	verify(code, (uint64_t)(uintptr_t)c->code_p, false);
	emitted = cold;
	verify(cold, (uint64_t)(uintptr_t)c->cold_p, true);
	return true;
}

/* Some code, and up to three blocks of it. */
static void one_round(void)
{
	struct cpu *c = subject.c;
	unsigned off = below(4) ? 0 : below(4090);
	bool code64;

	first_seed = subject.seed;
	subject.mode = random_mode();
	code64 = !(subject.mode & BM_COMPAT);
	subject.va = (subject.mode & BM_USER ? USER : KERNEL) + off;
	generate(code64, off);
	if (below(50) == 0 || !cache_room(c))
		cache_flush(c);
	c->s.mode = subject.mode & BM_USER ? MEM_USER : MEM_KERNEL;
	c->s.code64 = code64;
	for (unsigned k = 1 + below(3); k > 0 && (subject.va & (PAGE_SIZE - 1)) <= 4090 && one_block(); k--)
		subject.va += below(8);
	while (mem_next_dirty_code(subject.m) != MFN_NONE)
		;
	mem_frame_clear(subject.m, MEM_FIRST_MFN + CODE_FRAME, FRAME_CODE);
}

int main(int argc, char **argv)
{
	uint64_t rounds = BLOCKS;

	subject.seed = (uint64_t)time(NULL);
	for (int i = 1; i + 1 < argc; i += 2) {
		if (strcmp(argv[i], "--blocks") == 0)
			rounds = strtoull(argv[i + 1], NULL, 0);
		else if (strcmp(argv[i], "--seed") == 0)
			subject.seed = strtoull(argv[i + 1], NULL, 0);
	}
	printf("emit-test: seed %#lx\n", (long)subject.seed);
	set_up();
	for (uint64_t i = 0; i < rounds; i++)
		one_round();
	printf("emit-test: %lu blocks, %lu host instructions, %lu memory operands, %lu checks\n",
		counts.blocks, counts.insns, counts.accesses, counts.checks);
	return counts.checks == 0;
}
