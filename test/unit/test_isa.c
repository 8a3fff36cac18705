/*
 * test_isa.c - instruction sets beyond x86-64-v2, by their table: what CPUID shows executes,
 * on both tiers; what it does not show is #UD.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cpu/isa.h"
#include "cpu_guest.h"
#include "xen/emulate.h"

#define SCRATCH (DATA + 2048)

/* Their bytes mean something to processors without them (bsr), or are not hidden. */
static bool always_executes(unsigned i)
{
	return i == ISA_LZCNT || i == ISA_RDTSCP;
}

/* What ends the sample: 0 when ud2 after it does. */
static bool executes(uint64_t isa, const struct isa_row *row, enum cpu_tier tier)
{
	static const uint8_t seed[CPU_SEED] = { 1 };
	uint8_t code[16] = { 0 };
	const struct cpu_exit *x;
	struct ttd_error e;
	struct guest g;
	bool done;

	memcpy(code, row->sample, row->len);
	memcpy(code + row->len, (const uint8_t[]){ 0x0f, 0x0b }, 2);
	start(&g, code, sizeof code, SCRATCH);
	cpu_destroy(g.c);
	g.c = cpu_create(mem_mmu(g.m, 0), tier, &e);
	assert_non_null(g.c);
	cpu_show(g.c, isa, seed);
	if (isa != 0) {
		cpu_set_xcr0(g.c, XCR0_X87 | XCR0_SSE | XCR0_AVX);
		cpu_set_fsgsbase(g.c, true);
	}
	cpu_state(g.c)->rip = CODE;
	cpu_state(g.c)->gpr[RSP] = SCRATCH;
	x = cpu_run(g.c, 100);
	assert_int_equal(x->reason, CPU_EXIT_EXCEPTION);
	assert_int_equal(x->vector, VEC_UD);
	done = cpu_state(g.c)->rip != CODE;
	assert_int_equal(cpu_state(g.c)->rip, CODE + (done ? row->len : 0));
	assert_int_equal(cpu_state(g.c)->icount, done);
	end(&g);
	return done;
}

static bool shown(uint64_t isa, const struct isa_row *row)
{
	const struct cpuid_model m = { .isa = isa, .xcr0 = XCR0_X87 | XCR0_SSE };
	struct cpuid_regs r;

	cpuid_policy(&m, row->leaf, row->subleaf, &r);
	return ((const uint32_t[]){ r.eax, r.ebx, r.ecx, r.edx }[row->reg] >> row->bit & 1) != 0;
}

static void each_model(uint64_t isa)
{
	assert_true(isa_makes_sense(isa));
	for (unsigned i = 0; i < ISA_COUNT; i++) {
		const struct isa_row *row = &isa_rows[i];
		bool has = (isa >> i & 1) != 0;

		assert_int_equal(shown(isa, row), has);
		if (row->len == 0)
			continue;
		assert_int_equal(executes(isa, row, CPU_OPTIMISED), has || always_executes(i));
		assert_int_equal(executes(isa, row, CPU_REFERENCE), has || always_executes(i));
	}
}

static void shows_what_executes(void **state)
{
	(void)state;
	each_model(ISA_V2);
	if (isa_missing(isa_v3()) != 0)
		skip();
	each_model(isa_v3());
	each_model(isa_max());
	/* One of those that only some hosts have. */
	for (unsigned i = 0; i < ISA_COUNT; i++)
		if (isa_rows[i].max && isa_missing(UINT64_C(1) << i) == 0)
			each_model(isa_v3() | UINT64_C(1) << i);
}

/* Without XCR0's AVX, and CR4's FSGSBASE, these are #UD though they are shown. */
static void control_registers(void **state)
{
	static const uint8_t code[] = { 0xc5, 0xf4, 0x58, 0xc1, 0xf3, 0x48, 0x0f, 0xae, 0xc0, 0x0f, 0x0b };
	static const uint8_t seed[CPU_SEED];
	struct guest g;

	(void)state;
	if (isa_missing(isa_v3()) != 0)
		skip();
	start(&g, code, sizeof code, SCRATCH);
	cpu_show(g.c, isa_v3(), seed);
	cpu_run(g.c, 100);
	assert_int_equal(cpu_state(g.c)->rip, CODE);
	cpu_set_xcr0(g.c, XCR0_X87 | XCR0_SSE | XCR0_AVX);
	cpu_run(g.c, 100);
	assert_int_equal(cpu_state(g.c)->rip, CODE + 4);
	cpu_set_fsgsbase(g.c, true);
	cpu_run(g.c, 100);
	assert_int_equal(cpu_state(g.c)->rip, CODE + 9);
	end(&g);
}

/* rdrand: the same at the same place by the same seed, and other numbers elsewhere. */
static uint64_t random_at(uint8_t key, uint64_t icount)
{
	static const uint8_t code[] = { 0xf9, 0x48, 0x0f, 0xc7, 0xf0, 0x0f, 0x0b }; /* stc; rdrand rax */
	const uint8_t seed[CPU_SEED] = { key };
	struct guest g;
	uint64_t v;

	start(&g, code, sizeof code, SCRATCH);
	cpu_show(g.c, isa_v3(), seed);
	cpu_state(g.c)->icount = icount;
	cpu_run(g.c, icount + 100);
	assert_int_equal(cpu_state(g.c)->icount, icount + 2);
	assert_int_equal(cpu_state(g.c)->rflags & 0x8d5, FLAG_CF);
	v = cpu_state(g.c)->gpr[RAX];
	end(&g);
	return v;
}

static void random_numbers(void **state)
{
	(void)state;
	if (isa_missing(isa_v3()) != 0)
		skip();
	assert_int_equal(random_at(1, 1000), random_at(1, 1000));
	assert_int_not_equal(random_at(1, 1000), random_at(1, 1001));
	assert_int_not_equal(random_at(1, 1000), random_at(2, 1000));
}

static void leaf_d(void **state)
{
	struct cpuid_model m = { .isa = isa_v3(), .xcr0 = XCR0_X87 | XCR0_SSE };
	struct cpuid_regs r;

	(void)state;
	cpuid_policy(&m, 0xd, 0, &r);
	assert_int_equal(r.eax, 7);
	assert_int_equal(r.ebx, 576);
	assert_int_equal(r.ecx, 832);
	assert_int_equal(r.edx, 0);
	m.xcr0 |= XCR0_AVX;
	cpuid_policy(&m, 0xd, 0, &r);
	assert_int_equal(r.ebx, 832);
	cpuid_policy(&m, 0xd, 1, &r);
	assert_int_equal(r.eax, 1); /* xsaveopt, and neither xsavec nor xsaves */
	assert_int_equal(r.ebx | r.ecx | r.edx, 0);
	cpuid_policy(&m, 0xd, 2, &r);
	assert_int_equal(r.eax, 256);
	assert_int_equal(r.ebx, 576);
	m.isa = ISA_V2;
	cpuid_policy(&m, 0xd, 0, &r);
	assert_int_equal(r.eax | r.ebx | r.ecx | r.edx, 0);
	cpuid_policy(&m, 0, 0, &r);
	assert_int_equal(r.eax, 0xb);
}

/* What a log says is looked at. */
static void strange_models(void **state)
{
	(void)state;
	assert_false(isa_makes_sense(ISA_BIT(AVX)));
	assert_false(isa_makes_sense(isa_v3() & ~ISA_BIT(XSAVE)));
	assert_false(isa_makes_sense(isa_v3() | UINT64_C(1) << ISA_COUNT));
	assert_true(isa_makes_sense(isa_v3() | ISA_BIT(SHA)));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(shows_what_executes), cmocka_unit_test(control_registers),
		cmocka_unit_test(random_numbers), cmocka_unit_test(leaf_d),
		cmocka_unit_test(strange_models),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
