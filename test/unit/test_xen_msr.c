/*
 * test_xen_msr.c - rdmsr and wrmsr of a PV kernel, register by register.
 */
#include "xen/internal.h"

#include "xen_machine.h"

static bool rd(struct domain *d, uint32_t msr, uint64_t *v)
{
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct cpu_exit x = { .reason = CPU_EXIT_PRIV, .len = 2, .priv.op = PRIV_RDMSR };
	uint64_t rip = s->rip;

	s->gpr[RCX] = msr;
	s->gpr[RAX] = s->gpr[RDX] = UINT64_MAX;
	handle_exit(current_vcpu(d), &x);
	*v = s->gpr[RDX] << 32 | s->gpr[RAX];
	return s->rip == rip + 2;
}

static bool wr(struct domain *d, uint32_t msr, uint64_t v)
{
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct cpu_exit x = { .reason = CPU_EXIT_PRIV, .len = 2, .priv.op = PRIV_WRMSR };
	uint64_t rip = s->rip;

	s->gpr[RCX] = msr;
	s->gpr[RAX] = (uint32_t)v;
	s->gpr[RDX] = v >> 32;
	handle_exit(current_vcpu(d), &x);
	return s->rip == rip + 2;
}

#define GP UINT64_C(0xdeadbeefdeadbeef) /* the read faults */

static void values(void **state)
{
	static const struct {
		uint32_t msr;
		uint64_t read, write;
		bool write_ok;
		uint64_t after;
	} v[] = {
		{ 0x10, 0, 5, false, 0 },
		{ 0x1b, 0xfee00900, 0xfee00900, false, 0xfee00900 },
		{ 0x34, GP, 0, false, GP },
		{ 0x3a, 1, 1, false, 1 },
		{ 0x48, 0, 0x403, true, 0x403 },
		{ 0x48, 0, 4, false, 0 },
		{ 0x49, GP, 1, true, GP },
		{ 0x49, GP, 2, false, GP },
		{ 0x8b, 0, 0, true, 0 },
		{ 0x8b, 0, 1, false, 0 },
		{ 0xc1, 0, 77, true, 0 },
		{ 0xe7, GP, 77, true, GP },
		{ 0x10b, GP, 1, false, GP },
		{ 0x140, 0, 1, false, 0 },
		{ 0x140, 0, 0, true, 0 },
		{ 0x179, 0x1000c02, 5, true, 0x1000c02 },
		{ 0x17a, 0, 4, true, 4 },
		{ 0x198, 0, 0, false, 0 },
		{ 0x199, 0, 99, true, 0 },
		{ 0x19c, 0, 0, false, 0 },
		{ 0x1a0, 0x801801, 0, true, 0x801801 },
		{ 0x1b0, GP, 6, true, GP },
		{ 0x1d9, GP, 0, false, GP },
		{ 0x277, 0x0000050100070406, 0x0000050100070406, false, 0x0000050100070406 },
		{ 0x281, 0, 3, true, 3 },
		{ 0x282, 0, 3, true, 0 },
		{ 0x345, 0, 0, false, 0 },
		{ 0x400, UINT64_MAX, 0, true, UINT64_MAX },
		{ 0x401, 0, 0, true, 0 },
		{ 0x401, 0, 1, false, 0 },
		{ 0x6e0, GP, 0, false, GP },
		{ 0x802, GP, 0, false, GP },
		{ 0xc0000080, 0xd01, 0xd01, true, 0xd01 },
		{ 0xc0000080, 0xd01, 0xd00, false, 0xd01 },
		{ 0xc0000082, GP, 0, false, GP },
		{ 0xc0000100, 0, 0x7fffffffffff, true, 0x7fffffffffff },
		{ 0xc0000100, 0, 0x800000000000, false, 0 },
		{ 0xc0000101, 0, 0xffff800000000000, true, 0xffff800000000000 },
		{ 0xc0000102, 0, 0x1000, true, 0x1000 },
		{ 0xc0000102, 0, UINT64_C(1) << 63, false, 0 },
		{ 0xc0000103, GP, 0, false, GP }, /* no RDTSCP in CPUID */
		{ 0xc0010015, GP, 0, false, GP }, /* AMD's */
		{ 0xc001001f, 0, 1, true, 0 },
	};

	(void)state;
	for (unsigned i = 0; i < sizeof(v) / sizeof(v[0]); i++) {
		struct domain *d = machine_new();
		uint64_t got;

		if (rd(d, v[i].msr, &got) != (v[i].read != GP) || (v[i].read != GP && got != v[i].read))
			fail_msg("row %u: reads %#llx", i, (unsigned long long)got);
		if (wr(d, v[i].msr, v[i].write) != v[i].write_ok)
			fail_msg("row %u: write", i);
		if (rd(d, v[i].msr, &got) != (v[i].after != GP) || (v[i].after != GP && got != v[i].after))
			fail_msg("row %u: reads %#llx then", i, (unsigned long long)got);
		machine_free(d);
	}
}

/* Kernels read before they have a handler; writes are not forgiven. */
static void faked(void **state)
{
	struct domain *d = machine_new();
	uint64_t v;

	(void)state;
	d->vcpu[0].trap.trap[13].addr = 0;
	assert_true(rd(d, 0x34, &v));
	assert_int_equal(v, 0);
	assert_int_equal(d->ended, RUNNING);
	assert_false(rd(d, 0x40000001, &v)); /* Xen's own range */
	assert_int_equal(d->ended, DOMAIN_CRASH);
	machine_free(d);
	d = machine_new();
	user_mode(d);
	d->vcpu[0].trap.trap[13].addr = 0;
	assert_false(rd(d, 0x34, &v));
	assert_int_equal(d->ended, DOMAIN_CRASH);
	machine_free(d);
}

static void hypercall_page(void **state)
{
	static const uint8_t stub[] = { 0x51, 0x41, 0x53, 0xb8, 17, 0, 0, 0, 0x0f, 0x05, 0x41, 0x5b,
		0x59, 0xc3 };
	struct domain *d = machine_new();
	uint64_t v;

	(void)state;
	assert_true(rd(d, 0x40000000, &v));
	assert_int_equal(v, 0);
	assert_false(wr(d, 0x40000000, MFN(50) << PAGE_SHIFT | 1));
	assert_false(wr(d, 0x40000000, MFN(1 << 20) << PAGE_SHIFT));
	assert_true(wr(d, 0x40000000, MFN(50) << PAGE_SHIFT));
	assert_memory_equal(mem_frame(d->mem, MFN(50)) + 17 * 32, stub, sizeof(stub));
	machine_free(d);
}

/* SPEC_CTRL and its like are state. */
static void kept(void **state)
{
	struct domain *d = machine_new();
	struct wbuf w = {0};
	struct rbuf r;
	uint64_t v;

	(void)state;
	assert_true(wr(d, 0x48, 1));
	assert_true(wr(d, 0x280, 7));
	ctl_save(current_vcpu(d), &w);
	memset(&d->vcpu[0].ctl, 0, sizeof(d->vcpu[0].ctl));
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(ctl_load(current_vcpu(d), &r), 0);
	assert_true(rd(d, 0x48, &v));
	assert_int_equal(v, 1);
	assert_true(rd(d, 0x280, &v));
	assert_int_equal(v, 7);
	wbuf_free(&w);
	machine_free(d);
}

/* TSC_AUX is there with rdtscp; of 32 bits. */
static void aux(void **state)
{
	static const uint8_t seed[CPU_SEED];
	struct domain *d = machine_new();
	uint64_t v;

	(void)state;
	assert_false(wr(d, 0xc0000103, 5));
	cpu_show(current_vcpu(d)->cpu, ISA_BIT(RDTSCP), seed);
	assert_true(wr(d, 0xc0000103, UINT32_MAX));
	assert_false(wr(d, 0xc0000103, UINT64_C(1) << 32));
	assert_true(rd(d, 0xc0000103, &v));
	assert_int_equal(v, UINT32_MAX);
	assert_int_equal(regs_of(current_vcpu(d))->tsc_aux, UINT32_MAX);
	machine_free(d);
}

/* ---- CR4, XCR0 ---- */

/* How much further rip is: 0, it faulted. */
static uint64_t privileged(struct domain *d, enum cpu_priv_op op, uint64_t value)
{
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct cpu_exit x = { .reason = CPU_EXIT_PRIV, .len = 3, .priv = { .op = op, .index = 4,
		.value = value } };
	uint64_t rip = s->rip;

	s->gpr[RAX] = (uint32_t)value;
	s->gpr[RDX] = value >> 32;
	handle_exit(current_vcpu(d), &x);
	return s->rip == rip + 3 ? 3 : 0;
}

static void xcr0(void **state)
{
	enum { FSGSBASE = 1 << 16, OSXSAVE = 1 << 18, CR4 = 0x660 };
	static const uint8_t seed[CPU_SEED], bad[] = { 0, 2, 4, 5, 6, 8, 15 };
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));

	(void)state;
	assert_int_equal(privileged(d, PRIV_XGETBV, 0), 0);
	privileged(d, PRIV_MOV_TO_CR, OSXSAVE | FSGSBASE);
	assert_int_equal(current_vcpu(d)->ctl.cr4, CR4);
	cpu_show(current_vcpu(d)->cpu, ISA_ALL, seed);
	s->gpr[RCX] = 0;
	assert_int_equal(privileged(d, PRIV_XSETBV, 7), 0); /* CR4.OSXSAVE is clear */
	privileged(d, PRIV_MOV_TO_CR, OSXSAVE | FSGSBASE | 1 << 17 | 1 << 20);
	assert_int_equal(current_vcpu(d)->ctl.cr4, CR4 | OSXSAVE | FSGSBASE);
	assert_int_equal(s->fsgsbase, 1);
	for (unsigned i = 0; i < sizeof bad; i++)
		assert_int_equal(privileged(d, PRIV_XSETBV, bad[i]), 0);
	assert_int_equal(privileged(d, PRIV_XSETBV, UINT64_C(1) << 32 | 7), 0);
	assert_int_equal(privileged(d, PRIV_XSETBV, 7), 3);
	assert_int_equal(s->xcr0, 7);
	assert_int_equal(privileged(d, PRIV_XGETBV, UINT64_C(5) << 32), 3);
	assert_int_equal(s->gpr[RAX], 7);
	assert_int_equal(s->gpr[RDX], 0);
	s->gpr[RCX] = 1;
	assert_int_equal(privileged(d, PRIV_XGETBV, 0), 0);
	assert_int_equal(privileged(d, PRIV_XSETBV, 7), 0);
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(values), cmocka_unit_test(faked),
		cmocka_unit_test(hypercall_page), cmocka_unit_test(kept),
		cmocka_unit_test(aux), cmocka_unit_test(xcr0),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
