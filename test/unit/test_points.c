/*
 * test_points.c - breakpoints and watches from outside: they report exactly
 * what they should, and the guest runs as if they were not there.
 *
 * The guest is a few pages: kernel code at KCODE, the same frame for user mode at
 * UCODE, data at DATA, and again by another address at ALIAS.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "mem/mem.h"
#include "mem/watch.h"
#include "util/err.h"

#define KCODE UINT64_C(0xffffffff81000000)
#define UCODE UINT64_C(0x400000)
#define DATA UINT64_C(0x600000)   /* two pages */
#define ALIAS UINT64_C(0x700000)  /* the first of them */
#define HOLE UINT64_C(0x800000)   /* a page, and nothing after it */
#define STACK UINT64_C(0x900000)
enum { RAM = 64, CODE_FRAME = 0, DATA_FRAME = 1, STACK_FRAME = 3, HOLE_FRAME = 4, FIRST_TABLE = 8 };

struct guest {
	struct mem *m;
	struct cpu *c;
	unsigned tables;
	struct cpu_exit x;
};

static uint64_t *entry(struct guest *g, mfn_t table, unsigned i)
{
	return (uint64_t *)(void *)mem_frame(g->m, table) + i;
}

static void map(struct guest *g, mfn_t root, uint64_t va, unsigned frame)
{
	mfn_t t = root;

	for (int shift = 39; shift > 12; shift -= 9) {
		uint64_t *pte = entry(g, t, (va >> shift) & 511);

		if (!(*pte & PTE_P))
			*pte = (MEM_FIRST_MFN + g->tables++) << PAGE_SHIFT | PTE_P | PTE_RW | PTE_US;
		t = PTE_MFN(*pte);
	}
	*entry(g, t, (va >> 12) & 511) =
		(MEM_FIRST_MFN + frame) << PAGE_SHIFT | PTE_P | PTE_US | PTE_RW;
}

/* Machine address of the entry that maps va. */
static uint64_t pte_of(struct guest *g, uint64_t va)
{
	mfn_t t = MEM_FIRST_MFN + FIRST_TABLE;

	for (int shift = 39; shift > 12; shift -= 9)
		t = PTE_MFN(*entry(g, t, (va >> shift) & 511));
	return t << PAGE_SHIFT | (va >> 12 & 511) * 8;
}

static void start(struct guest *g, enum cpu_tier tier, const void *code, size_t n)
{
	mfn_t root = MEM_FIRST_MFN + FIRST_TABLE;
	struct ttd_error e;

	memset(g, 0, sizeof *g);
	g->m = mem_create(RAM, 0, &e);
	assert_non_null(g->m);
	g->c = cpu_create(mem_mmu(g->m, 0), tier, &e);
	assert_non_null(g->c);
	g->tables = FIRST_TABLE + 1;
	map(g, root, KCODE, CODE_FRAME);
	map(g, root, UCODE, CODE_FRAME);
	map(g, root, DATA, DATA_FRAME);
	map(g, root, DATA + PAGE_SIZE, DATA_FRAME + 1);
	map(g, root, ALIAS, DATA_FRAME);
	map(g, root, HOLE, HOLE_FRAME);
	map(g, root, STACK, STACK_FRAME);
	memcpy(mem_frame(g->m, MEM_FIRST_MFN + CODE_FRAME), code, n);
	mmu_set_root(mem_mmu(g->m, 0), MEM_KERNEL, root);
	mmu_set_root(mem_mmu(g->m, 0), MEM_USER, root);
	cpu_state(g->c)->rip = KCODE;
	cpu_state(g->c)->gpr[RSP] = STACK + PAGE_SIZE;
	cpu_state(g->c)->gpr[RDI] = DATA;
}

static void end(struct guest *g)
{
	cpu_destroy(g->c);
	mem_destroy(g->m);
}

static struct cpu_state *run(struct guest *g, uint64_t target)
{
	g->x = *cpu_run(g->c, target);
	return cpu_state(g->c);
}

/* Everything that the guest could see. */
static uint64_t seen(struct guest *g)
{
	struct wbuf w = {0};
	uint64_t h = mem_digest(g->m);

	cpu_save(g->c, &w);
	for (size_t i = 0; i < w.len; i++)
		h = (h ^ w.p[i]) * UINT64_C(0x100000001b3);
	free(w.p);
	return h;
}

/*
 * mov $1000, %ecx
 * 5: add %rcx, (%rdi)          a: push %rcx
 * ... see the offsets in the tests
 */
static const uint8_t loop[] = {
	0xb9, 0xe8, 0x03, 0x00, 0x00,       /*  0 mov $1000, %ecx */
	0x48, 0x01, 0x0f,                   /*  5 add %rcx, (%rdi) */
	0x51,                               /*  8 push %rcx */
	0x48, 0x8b, 0x57, 0x08,             /*  9 mov 8(%rdi), %rdx */
	0x5a,                               /*  d pop %rdx */
	0x48, 0x89, 0x97, 0x00, 0x08, 0x00, 0x00, /*  e mov %rdx, 0x800(%rdi) */
	0xff, 0xc9,                         /* 15 dec %ecx */
	0x75, 0xec,                         /* 17 jnz 5 */
	0xeb, 0xe5,                         /* 19 jmp 0 */
};
enum { PER_LOOP = 7, SOME = 20000 };

static uint64_t plain_run(enum cpu_tier tier)
{
	struct guest g;
	uint64_t h;

	start(&g, tier, loop, sizeof loop);
	run(&g, SOME);
	assert_int_equal(g.x.reason, CPU_EXIT_TARGET);
	h = seen(&g);
	end(&g);
	return h;
}

static void breaks_in_a_loop(void **state)
{
	const struct cpu_break b[] = {
		{ .va = KCODE + 0x9, .root = MFN_NONE }, { .va = KCODE + 0x15, .root = MFN_NONE },
		{ .va = KCODE + 0x16, .root = MFN_NONE }, /* inside of an instruction */
		{ .va = UCODE + 0x9, .root = MFN_NONE },
		{ .va = KCODE + 0xd, .modes = 1 << MEM_USER, .root = MFN_NONE },
		{ .va = KCODE + 0xd, .root = MEM_FIRST_MFN },
		{ .va = KCODE + 0x17, .root = MEM_FIRST_MFN + FIRST_TABLE },
	};
	static const unsigned at[] = { 0x9, 0x15, 0x17 }, index[] = { 0, 1, 6 }, after[] = { 3, 6, 7 };

	(void)state;
	for (int tier = 0; tier < 2; tier++) {
		struct guest g;

		start(&g, (enum cpu_tier)tier, loop, sizeof loop);
		assert_int_equal(cpu_set_breaks(g.c, b, sizeof b / sizeof *b), 0);
		for (unsigned i = 0; i < 1000; i++) {
			for (unsigned k = 0; k < 3; k++) {
				struct cpu_state *s = run(&g, SOME);

				assert_int_equal(g.x.reason, CPU_EXIT_DEBUG);
				assert_false(g.x.debug.watch);
				assert_int_equal(g.x.debug.index, index[k]);
				assert_int_equal(s->rip, KCODE + at[k]);
				assert_int_equal(s->icount, i * PER_LOOP + after[k]);
				/* Stopping at the very place changes nothing. */
				if (i == 5)
					run(&g, s->icount + 1);
			}
		}
		cpu_set_breaks(g.c, NULL, 0);
		run(&g, SOME);
		assert_int_equal(g.x.reason, CPU_EXIT_TARGET);
		assert_int_equal(seen(&g), plain_run((enum cpu_tier)tier));
		end(&g);
	}
}

static void pass_and_set_again(void **state)
{
	const struct cpu_break b = { .va = KCODE + 5, .root = MFN_NONE };
	struct guest g;

	(void)state;
	start(&g, CPU_OPTIMISED, loop, sizeof loop);
	run(&g, 1 + 10 * PER_LOOP);
	assert_int_equal(cpu_state(g.c)->rip, KCODE + 5);
	assert_int_equal(cpu_set_breaks(g.c, &b, 1), 0);
	assert_int_equal(run(&g, SOME)->icount, 1 + 10 * PER_LOOP);
	assert_int_equal(g.x.reason, CPU_EXIT_DEBUG);
	assert_int_equal(cpu_set_breaks(g.c, &b, 1), 0); /* told again */
	assert_int_equal(run(&g, SOME)->icount, 1 + 10 * PER_LOOP);
	assert_int_equal(cpu_set_breaks(g.c, &b, 1), 0);
	cpu_pass_break(g.c);
	assert_int_equal(run(&g, SOME)->icount, 1 + 11 * PER_LOOP);
	assert_int_equal(run(&g, SOME)->icount, 1 + 12 * PER_LOOP);
	end(&g);
}

static void user_code_at_another_address(void **state)
{
	const struct cpu_break b = { .va = UCODE + 0x15, .root = MFN_NONE };
	struct guest g;

	(void)state;
	start(&g, CPU_OPTIMISED, loop, sizeof loop);
	cpu_set_breaks(g.c, &b, 1);
	assert_int_equal(run(&g, 100)->icount, 100);
	cpu_state(g.c)->mode = MEM_USER;
	cpu_state(g.c)->rip = UCODE;
	assert_int_equal(run(&g, SOME)->rip, UCODE + 0x15);
	assert_int_equal(run(&g, SOME)->icount, 106 + PER_LOOP);
	end(&g);
}

static void watch_one(struct guest *g, struct mem_watch w)
{
	w.len = w.len ? w.len : 8;
	assert_int_equal(mem_set_watches(g->m, &w, 1), 0);
}

static void expect(struct guest *g, uint64_t icount, uint64_t rip, bool write)
{
	struct cpu_state *s = run(g, SOME);

	assert_int_equal(g->x.reason, CPU_EXIT_DEBUG);
	assert_true(g->x.debug.watch);
	assert_int_equal(s->icount, icount);
	assert_int_equal(g->x.debug.rip, rip);
	assert_int_equal(g->x.debug.hit.write, write);
	assert_int_equal(g->x.debug.hit.by, WATCH_BY_INSN);
}

static void watches(void **state)
{
	static const struct mem_watch none[] = {
		{ .addr = DATA + 0x10, .len = 0x7f0, .access = WATCH_READ | WATCH_WRITE, .root = MFN_NONE },
		{ .addr = DATA + 8, .len = 8, .access = WATCH_WRITE, .root = MFN_NONE },
		{ .addr = DATA, .len = 8, .access = WATCH_READ | WATCH_WRITE, .modes = 1 << MEM_USER,
			.root = MFN_NONE },
		{ .addr = ALIAS, .len = 8, .access = WATCH_READ | WATCH_WRITE, .root = MFN_NONE },
		{ .addr = DATA, .len = 8, .access = WATCH_WRITE, .root = MEM_FIRST_MFN },
	};

	(void)state;
	for (int tier = 0; tier < 2; tier++) {
		for (unsigned machine = 0; machine < 2; machine++) {
			uint64_t base = machine ? (MEM_FIRST_MFN + DATA_FRAME) << PAGE_SHIFT : DATA;
			struct guest g;

			start(&g, (enum cpu_tier)tier, loop, sizeof loop);
			watch_one(&g, (struct mem_watch){ .addr = base + 7, .len = 1,
				.access = WATCH_WRITE, .machine = machine, .root = MFN_NONE });
			for (unsigned i = 0; i < 50; i++)
				expect(&g, 2 + i * PER_LOOP, KCODE + 5, true);
			watch_one(&g, (struct mem_watch){ .addr = base + 0x807,
				.access = WATCH_WRITE, .machine = machine, .root = MFN_NONE });
			for (unsigned i = 49; i < 100; i++)
				expect(&g, 6 + i * PER_LOOP, KCODE + 0xe, true);
			watch_one(&g, (struct mem_watch){ .addr = base + 12, .len = 2,
				.access = WATCH_READ, .machine = machine, .root = MFN_NONE });
			for (unsigned i = 100; i < 150; i++)
				expect(&g, 4 + i * PER_LOOP, KCODE + 9, false);
			if (!machine) {
				assert_int_equal(mem_set_watches(g.m, none, 5), 0);
			}
			run(&g, SOME - 1000);
			assert_int_equal(g.x.reason, machine ? CPU_EXIT_DEBUG : CPU_EXIT_TARGET);
			mem_set_watches(g.m, NULL, 0);
			run(&g, SOME);
			assert_int_equal(seen(&g), plain_run((enum cpu_tier)tier));
			end(&g);
		}
	}
}

static void stack_and_target(void **state)
{
	struct guest g;

	(void)state;
	start(&g, CPU_OPTIMISED, loop, sizeof loop);
	watch_one(&g, (struct mem_watch){ .addr = STACK + PAGE_SIZE - 8, .access = WATCH_READ | WATCH_WRITE,
		.root = MFN_NONE });
	expect(&g, 3, KCODE + 8, true);
	g.x = *cpu_run(g.c, 5); /* the watch is told before the target */
	assert_int_equal(g.x.reason, CPU_EXIT_DEBUG);
	assert_int_equal(cpu_state(g.c)->icount, 5);
	assert_int_equal(g.x.debug.rip, KCODE + 0xd);
	expect(&g, 3 + PER_LOOP, KCODE + 8, true);
	end(&g);
}

static void straddling(void **state)
{
	struct guest g;

	(void)state;
	start(&g, CPU_OPTIMISED, loop, sizeof loop);
	cpu_state(g.c)->gpr[RDI] = DATA + PAGE_SIZE - 4;
	watch_one(&g, (struct mem_watch){ .addr = DATA + PAGE_SIZE + 3, .len = 1, .access = WATCH_WRITE,
		.root = MFN_NONE });
	expect(&g, 2, KCODE + 5, true);
	watch_one(&g, (struct mem_watch){ .addr = (MEM_FIRST_MFN + DATA_FRAME + 1) << PAGE_SHIFT,
		.access = WATCH_WRITE, .machine = true, .root = MFN_NONE });
	expect(&g, 2 + PER_LOOP, KCODE + 5, true);
	end(&g);
}

static void rep_is_one(void **state)
{
	static const uint8_t code[] = {
		0xb9, 0x00, 0x02, 0x00, 0x00, /* mov $512, %ecx */
		0xf3, 0x48, 0xab,             /* rep stosq */
		0x90, 0x90,
		0xeb, 0xfe,
	};
	struct guest g, h;

	(void)state;
	start(&g, CPU_OPTIMISED, code, sizeof code);
	start(&h, CPU_OPTIMISED, code, sizeof code);
	watch_one(&g, (struct mem_watch){ .addr = DATA + 0x100, .access = WATCH_WRITE, .root = MFN_NONE });
	expect(&g, 2, KCODE + 5, true);
	assert_int_equal(cpu_state(g.c)->gpr[RCX], 0);
	assert_int_equal(cpu_state(g.c)->rip, KCODE + 8);
	run(&g, 10);
	assert_int_equal(g.x.reason, CPU_EXIT_TARGET);
	run(&h, 10);
	assert_int_equal(seen(&g), seen(&h));
	/* A fault in the middle: told once it has been seen to. */
	for (struct guest *k = &g;; k = &h) {
		cpu_state(k->c)->rip = KCODE;
		cpu_state(k->c)->gpr[RDI] = HOLE + 0x800;
		run(k, 100);
		assert_int_equal(k->x.reason, CPU_EXIT_EXCEPTION);
		assert_int_equal(k->x.cr2, HOLE + PAGE_SIZE);
		if (k == &h)
			break;
		watch_one(&g, (struct mem_watch){ .addr = HOLE + 0xff8, .access = WATCH_WRITE,
			.root = MFN_NONE });
		cpu_state(k->c)->rip = KCODE;
		cpu_state(k->c)->gpr[RDI] = HOLE + 0x800;
		cpu_state(k->c)->icount -= 1;
		run(k, 100);
		assert_int_equal(k->x.reason, CPU_EXIT_EXCEPTION);
		cpu_state(k->c)->rip = KCODE + 9; /* the handler */
		run(k, 100);
		assert_int_equal(k->x.reason, CPU_EXIT_DEBUG);
		assert_int_equal(k->x.debug.rip, KCODE + 5);
		assert_int_equal(cpu_state(k->c)->icount, 11);
		cpu_state(k->c)->rip = KCODE + 5;
	}
	assert_int_equal(seen(&g), seen(&h));
	end(&g);
	end(&h);
}

static void fault_is_no_access(void **state)
{
	static const uint8_t code[] = {
		0x48, 0x8b, 0x07,             /* mov (%rdi), %rax */
		0xff, 0x34, 0x25, 0, 0, 0x60, 0, /* push 0x600000: its push faults */
	};
	struct guest g;

	(void)state;
	start(&g, CPU_OPTIMISED, code, sizeof code);
	cpu_state(g.c)->gpr[RSP] = HOLE + PAGE_SIZE + 8;
	watch_one(&g, (struct mem_watch){ .addr = DATA, .access = WATCH_READ, .root = MFN_NONE });
	expect(&g, 1, KCODE, false);
	run(&g, SOME);
	assert_int_equal(g.x.reason, CPU_EXIT_EXCEPTION);
	cpu_state(g.c)->gpr[RSP] = STACK + 0x100;
	expect(&g, 2, KCODE + 3, false);
	end(&g);
}

static void by_the_hypervisor(void **state)
{
	uint64_t v = 1, pte_at;
	struct mem_fault f;
	struct guest g;

	(void)state;
	start(&g, CPU_OPTIMISED, loop, sizeof loop);
	run(&g, 700);
	watch_one(&g, (struct mem_watch){ .addr = DATA + 0x100, .access = WATCH_WRITE, .root = MFN_NONE });
	assert_int_equal(mmu_copy_out(mem_mmu(g.m, 0), MEM_KERNEL, DATA + 0xf8, &v, 8, &f), 0);
	run(&g, 710);
	assert_int_equal(g.x.reason, CPU_EXIT_TARGET);
	assert_int_equal(mmu_copy_out(mem_mmu(g.m, 0), MEM_KERNEL, DATA + 0xf9, &v, 8, &f), 0);
	run(&g, 720);
	assert_int_equal(g.x.reason, CPU_EXIT_DEBUG);
	assert_int_equal(g.x.debug.hit.by, WATCH_BY_HYPERVISOR);
	assert_int_equal(cpu_state(g.c)->icount, 710);
	mem_write_frame(g.m, MEM_FIRST_MFN + DATA_FRAME, 0x107, &v, 1);
	run(&g, 720);
	assert_int_equal(g.x.reason, CPU_EXIT_DEBUG);
	assert_int_equal(g.x.debug.hit.mfn, MEM_FIRST_MFN + DATA_FRAME);
	/* A bit that a walk sets: in the entry that maps DATA. */
	pte_at = pte_of(&g, DATA);
	v = *entry(&g, pte_at >> PAGE_SHIFT, DATA >> 12 & 511) & ~(PTE_A | PTE_D);
	watch_one(&g, (struct mem_watch){ .addr = pte_at, .access = WATCH_WRITE, .machine = true,
		.root = MFN_NONE });
	mem_write_frame(g.m, pte_at >> PAGE_SHIFT, pte_at & 0xfff, &v, 8);
	run(&g, 720);
	assert_int_equal(g.x.debug.hit.by, WATCH_BY_HYPERVISOR);
	run(&g, 720);
	assert_int_equal(g.x.reason, CPU_EXIT_DEBUG);
	assert_int_equal(g.x.debug.hit.by, WATCH_BY_WALK);
	assert_in_range(cpu_state(g.c)->icount, 711, 718);
	assert_true(*entry(&g, pte_at >> PAGE_SHIFT, DATA >> 12 & 511) & PTE_A);
	end(&g);
}

/* Cleared, it is set by the next instruction, as on hardware after a flush: in both tiers. */
static void accessed_bit_of_code(void **state)
{
	const enum cpu_tier tiers[] = { CPU_OPTIMISED, CPU_REFERENCE };

	(void)state;
	for (int i = 0; i < 2; i++) {
		struct guest g;
		uint64_t at, v;

		start(&g, tiers[i], loop, sizeof loop);
		run(&g, 700);
		at = pte_of(&g, KCODE);
		v = *entry(&g, at >> PAGE_SHIFT, KCODE >> 12 & 511);
		assert_true(v & PTE_A);
		v &= ~PTE_A;
		mem_write_frame(g.m, at >> PAGE_SHIFT, at & 0xfff, &v, 8);
		run(&g, 701);
		assert_true(*entry(&g, at >> PAGE_SHIFT, KCODE >> 12 & 511) & PTE_A);
		end(&g);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(breaks_in_a_loop), cmocka_unit_test(pass_and_set_again),
		cmocka_unit_test(user_code_at_another_address), cmocka_unit_test(watches),
		cmocka_unit_test(stack_and_target), cmocka_unit_test(straddling),
		cmocka_unit_test(rep_is_one), cmocka_unit_test(fault_is_no_access),
		cmocka_unit_test(by_the_hypervisor), cmocka_unit_test(accessed_bit_of_code),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
