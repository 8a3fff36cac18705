/*
 * test_debugregs.c - #DB of instructions that the hypervisor completes: watched operands
 * of loads of segment registers, and single steps.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cpu/cpu.h"
#include "test/unit/cpu_guest.h"

enum { DR7_READ_WRITE_8 = 1 | 3 << 16 | 2 << 18, INSN = 2 };

/* mov (%rdi), %ss; nop; nop; nop */
static const uint8_t loads_ss[] = { 0x8e, 0x17, 0x90, 0x90, 0x90 };
/* mov (%rdi), %ds; nop; nop; nop */
static const uint8_t loads_ds[] = { 0x8e, 0x1f, 0x90, 0x90, 0x90 };
/* mov (%rdi), %ss; int3; nop; nop */
static const uint8_t then_int3[] = { 0x8e, 0x17, 0xcc, 0x90, 0x90 };
/* mov (%rdi), %ss; mov (%rdi), %ss; nop; nop */
static const uint8_t twice[] = { 0x8e, 0x17, 0x8e, 0x17, 0x90, 0x90 };
/* cpuid; nop; nop */
static const uint8_t cpuid[] = { 0x0f, 0xa2, 0x90, 0x90 };

static void begin(struct guest *g, const uint8_t *code, size_t n, bool watch)
{
	const uint64_t dr[4] = { DATA };

	start(g, code, n, 0);
	cpu_set_debug(g->c, dr, watch ? DR7_READ_WRITE_8 : 0);
}

/* Up to this many instructions more. */
static struct cpu_exit go(struct guest *g, uint64_t n)
{
	return *cpu_run(g->c, cpu_state(g->c)->icount + n);
}

static void expect_priv(struct guest *g)
{
	struct cpu_exit x = go(g, 3);

	assert_int_equal(x.reason, CPU_EXIT_PRIV);
	assert_int_equal(x.len, INSN);
}

static void expect_db(struct guest *g, unsigned bits, uint64_t icount, uint64_t off)
{
	struct cpu_exit x = go(g, 5);

	assert_int_equal(x.reason, CPU_EXIT_EXCEPTION);
	assert_int_equal(x.vector, 1);
	assert_int_equal(x.error, bits);
	assert_int_equal(cpu_state(g->c)->icount, icount);
	assert_int_equal(cpu_state(g->c)->rip, CODE + off);
	assert_false(cpu_debug_due(g->c));
}

static void expect_none(struct guest *g)
{
	assert_false(cpu_debug_due(g->c));
	assert_int_equal(go(g, 1).reason, CPU_EXIT_TARGET);
}

/* The same machine from a saved state. */
static void again(struct guest *g)
{
	struct wbuf w = {0};
	struct rbuf r;

	cpu_save(g->c, &w);
	cpu_state(g->c)->rip = 0;
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(cpu_load(g->c, &r), 0);
	assert_int_equal(r.bad, 0);
	wbuf_free(&w);
}

static void data_segment(void **state)
{
	struct guest g;

	(void)state;
	for (int saved = 0; saved < 2; saved++) {
		begin(&g, loads_ds, sizeof loads_ds, true);
		expect_priv(&g);
		cpu_retire(g.c, INSN);
		assert_true(cpu_debug_due(g.c));
		if (saved)
			again(&g);
		expect_db(&g, 1, 1, 2);
		expect_none(&g);
		end(&g);
	}
}

static void stack_segment(void **state)
{
	struct guest g;

	(void)state;
	for (int saved = 0; saved < 2; saved++) {
		begin(&g, loads_ss, sizeof loads_ss, true);
		expect_priv(&g);
		cpu_retire(g.c, INSN);
		assert_true(cpu_debug_due(g.c));
		if (saved)
			again(&g);
		expect_db(&g, 1, 2, 3);
		expect_none(&g);
		end(&g);
	}
}

/* One that the hypervisor refuses has reported nothing. */
static void refused(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, loads_ss, sizeof loads_ss, true);
	expect_priv(&g);
	cpu_state(g.c)->rip += INSN;
	expect_none(&g);
	end(&g);
}

/* What comes next is met by the hypervisor first. */
static void lost(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, then_int3, sizeof then_int3, true);
	expect_priv(&g);
	cpu_retire(g.c, INSN);
	assert_int_equal(go(&g, 3).reason, CPU_EXIT_INT);
	cpu_retire(g.c, 1);
	expect_none(&g);
	end(&g);
}

/* Only the first of two holds it back. */
static void two_loads(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, twice, sizeof twice, true);
	expect_priv(&g);
	cpu_retire(g.c, INSN);
	expect_priv(&g);
	cpu_retire(g.c, INSN);
	expect_db(&g, 1, 2, 4);
	expect_none(&g);
	end(&g);
}

static void single_step(void **state)
{
	struct guest g;

	(void)state;
	begin(&g, cpuid, sizeof cpuid, false);
	cpu_state(g.c)->rflags |= FLAG_TF;
	expect_priv(&g);
	cpu_retire(g.c, INSN);
	expect_db(&g, CPU_DR6_BS, 1, 2);
	expect_db(&g, CPU_DR6_BS, 2, 3);
	end(&g);

	begin(&g, loads_ss, sizeof loads_ss, true);
	cpu_state(g.c)->rflags |= FLAG_TF;
	expect_priv(&g);
	cpu_retire(g.c, INSN);
	expect_db(&g, CPU_DR6_BS | 1, 2, 3);
	expect_db(&g, CPU_DR6_BS, 3, 4);
	end(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(data_segment),
		cmocka_unit_test(stack_segment),
		cmocka_unit_test(refused),
		cmocka_unit_test(lost),
		cmocka_unit_test(two_loads),
		cmocka_unit_test(single_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
