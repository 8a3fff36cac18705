/*
 * test_xen_restore.c - a machine from an image: memory, registers, what a new domain
 * has, the CPU that the guest goes on seeing; and images that cannot be run.
 */
#include "make_xlsave.h"
#include "xen/emulate.h"
#include "xen/restore.h"

#include "xen_machine.h"

#include <xen/callback.h>

#include "mem/internal.h"

static int restore(struct xl_image *m, struct domain *d, struct ttd_error *e)
{
	const char *path = xl_file(m->w.p, m->w.len);
	struct xlsave s;
	int rc = xlsave_open(&s, path, false, e) == 0 ? restore_domain(d, &s, e) : -1;

	xlsave_close(&s);
	unlink(path);
	wbuf_free(&m->w);
	return rc;
}

static uint64_t word(struct domain *d, unsigned pfn, unsigned i)
{
	return get64(mem_frame(d->mem, MFN(pfn)) + i * 8);
}

static void memory(void **state)
{
	struct domain *d = machine_new();
	struct ttd_error e = TTD_ERROR_INIT;
	struct start_info si;
	struct xl_image m;

	(void)state;
	xl_make(&m);
	assert_int_equal(restore(&m, d, &e), 0);
	assert_true(mmu_root(current_vcpu(d)->mmu, MEM_KERNEL) == MFN(XL_L4));
	assert_true(mmu_root(current_vcpu(d)->mmu, MEM_USER) == MFN(XL_USER_L4));
	assert_true(word(d, XL_L2, 0) == (MFN(XL_L1) << PAGE_SHIFT | XL_PRESENT));
	assert_true(word(d, XL_L1, 100) == UINT64_C(0x12345) << PAGE_SHIFT);
	assert_true(mmu_translate(current_vcpu(d)->mmu, MEM_KERNEL, XL_VA + XL_CODE * PAGE_SIZE,
		MEM_READ, NULL) == MFN(XL_CODE));
	assert_int_equal(*mem_frame(d->mem, MFN(XL_CODE)), XL_CODE);
	assert_int_equal(d->pin.level[XL_L4], 4);
	assert_int_equal(d->pin.level[XL_L1], 1);
	assert_int_equal(d->pin.level[XL_L2], 0);
	assert_true(word(d, XL_P2M, XL_CODE) == MFN(XL_CODE));
	assert_true(word(d, XL_P2M, XL_GONE) == UINT64_MAX);
	assert_true(word(d, XL_P2M, XL_PAGES) == UINT64_MAX);
	assert_false(is_ram(d, MFN(XL_GONE)));
	assert_true(is_ram(d, MFN(XL_ALLOC)));
	memcpy(&si, mem_frame(d->mem, MFN(XL_START_INFO)), sizeof si);
	assert_true(si.nr_pages == XL_PAGES && si.flags == 0);
	assert_true(si.shared_info == d->shared_info << PAGE_SHIFT);
	assert_true(si.store_mfn == MFN(XL_STORE) && si.store_evtchn == PORT_STORE);
	assert_true(si.console.domU.mfn == MFN(XL_CONSOLE) && d->con.ring == MFN(XL_CONSOLE));
	assert_int_equal(shared(d)->arch.max_pfn, XL_PAGES);
	assert_true(shared(d)->evtchn_mask[63] == UINT64_MAX && shared(d)->evtchn_pending[0] == 0);
	mem_check(d->mem);
	machine_free(d);
}

static void registers(void **state)
{
	struct domain *d = machine_new();
	struct vcpu *v = current_vcpu(d);
	struct cpu_state *s = regs_of(v);
	struct ttd_error e = TTD_ERROR_INIT;
	struct cpuid_model model = {0};
	struct cpuid_regs r;
	struct xl_image m;
	uint64_t x;

	(void)state;
	xl_make(&m);
	assert_int_equal(restore(&m, d, &e), 0);
	assert_true(s->rip == XL_VA + XL_CODE * PAGE_SIZE && s->gpr[RBX] == 0x1234);
	assert_true(s->gpr[RAX] == 0 && s->gpr[RDX] == MFN(XL_START_INFO));
	assert_int_equal(s->rflags, 0x206);
	assert_int_equal(v->ctl.iopl, 1);
	assert_true(s->seg_base[SEG_GS] == XL_VA + 0x40 && s->gs_base_other == 0x7000);
	assert_true(v->trap.trap[14].addr == XL_VA + 0x10 && v->trap.trap[14].flags == 4);
	assert_true(v->trap.callback[CALLBACKTYPE_event].addr == XL_VA + 0x20);
	assert_int_equal(v->trap.callback[CALLBACKTYPE_syscall].mask_events, 1);
	assert_true(v->trap.kernel_sp == XL_VA + 0x800);
	assert_true(v->seg.gdt_entries == 16 && v->seg.gdt_mfn[0] == MFN(XL_GDT));
	assert_int_equal(d->assist, 0x2c);
	assert_int_equal(get16(s->fx), 0x37f);
	/* The CPU is the image's, but for what is Xen's to say. */
	model.policy = d->policy;
	cpuid_policy(&model, 1, 0, &r);
	assert_int_equal(r.edx, 0x0789cbf5);
	cpuid_policy(&model, 0x80000002, 0, &r);
	assert_int_equal(r.eax, 0);
	cpuid_policy(&model, 0x40000000, 0, &r);
	assert_int_equal(r.ebx, 0x566e6558);
	assert_true(msr_read(v, 0x10a, &x));
	assert_int_equal(x, 0x4000000);
	machine_free(d);
}

/* At the context's offset, or (table) at a page's, 8 bytes of value. */
static const struct spoil {
	bool table;
	unsigned page, off;
	uint64_t value;
	const char *says;
} spoils[] = {
	{true, XL_L1, 8, (uint64_t)XL_GONE << 12 | 1, "leads to page 0xb, which is not in it"},
	{true, XL_L4, 8 * 3, UINT64_C(0xffffffffff) << 12 | 1, "entry 3 of page table 0x1 leads to"},
	{true, XL_START_INFO, 56, XL_L1, "the ring of xenstore is page 0x4"},
	{true, XL_START_INFO, 72, XL_STORE, "the ring of the console is page 0x6"},
	{true, XL_START_INFO, 72, UINT64_MAX, "the ring of the console is page"},
	{false, 0, offsetof(struct vcpu_guest_context, user_regs.rdx), XL_L4, "start_info is page 0x1"},
	{false, 0, offsetof(struct vcpu_guest_context, user_regs.rip), UINT64_C(1) << 63, "an address"},
	{false, 0, offsetof(struct vcpu_guest_context, event_callback_eip), UINT64_C(1) << 60,
		"an address"},
	{false, 0, offsetof(struct vcpu_guest_context, user_regs.rax), 1, "did not suspend itself"},
	{false, 0, offsetof(struct vcpu_guest_context, gdt_frames), XL_L1, "the GDT is page 0x4"},
	{false, 0, offsetof(struct vcpu_guest_context, gdt_ents), 8000, "a GDT of 8000 entries"},
	{false, 0, offsetof(struct vcpu_guest_context, ldt_ents), 9000, "an LDT of 9000 entries"},
	{false, 0, offsetof(struct vcpu_guest_context, ctrlreg[3]), XL_L3 << 12, "cr3 is page 0x2"},
	{false, 0, offsetof(struct vcpu_guest_context, ctrlreg[3]), UINT64_MAX, "cr3 is page"},
	{false, 0, offsetof(struct vcpu_guest_context, ctrlreg[1]), XL_L1 << 12 | 1,
		"the user's page table is page 0x4"},
	{false, 0, offsetof(struct vcpu_guest_context, debugreg), XL_VA - (UINT64_C(1) << 44),
		"debug register 0"},
	{false, 0, 24, 0xffffffff, "MXCSR"},
};

static void refused(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof spoils / sizeof *spoils; i++) {
		const struct spoil *s = &spoils[i];
		struct domain *d = machine_new();
		struct ttd_error e = TTD_ERROR_INIT;
		struct xl_image m;
		size_t at;

		xl_make(&m);
		/* The second PAGE_DATA has all pages; those before XL_GONE have data, in order. */
		at = s->table ? m.at[1] + 16 + 8 * XL_PAGES + (size_t)s->page * PAGE_SIZE : m.at[4] + 16;
		memcpy(m.w.p + at + s->off, &s->value, 8);
		assert_int_equal(restore(&m, d, &e), -1);
		if (strstr(e.text, s->says) == NULL)
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, e.text, s->says);
		machine_free(d);
	}
}

/* What the engine cannot execute is named, with the line that avoids it. */
static void cpus(void **state)
{
	static const struct {
		uint32_t leaf, subleaf;
		unsigned reg;
		uint32_t bits;
		const char *says;
	} more[] = {
		{7, 0, ISA_EBX, 1u << 19 | 1u << 16, "cpuid=\"host,avx512f=0,adx=0"},
		{0x80000001, UINT32_MAX, ISA_ECX, 1 << 6, "cpuid=\"host,sse4a=0\""},
		{7, 0, ISA_EBX, 1u << 3, "cpuid=\"host,bmi1=0\""}, /* some of v3 and not all */
	};
	struct ttd_error e = TTD_ERROR_INIT;
	struct xlsave s = {.path = (char *)(uintptr_t)"x", .nleaf = 1};
	uint64_t isa;

	(void)state;
	s.leaf[0] = (struct xlsave_leaf){1, UINT32_MAX, {0, 0, 0x80982201, 0x0789cbf5}};
	assert_int_equal(restore_isa(&s, &isa, &e), 0);
	assert_int_equal(isa, 0);
	for (size_t i = 0; i < sizeof more / sizeof *more; i++) {
		s.leaf[0] = (struct xlsave_leaf){more[i].leaf, more[i].subleaf, {0}};
		s.leaf[0].r[more[i].reg] = more[i].bits;
		assert_int_equal(restore_isa(&s, &isa, &e), -1);
		if (strstr(e.text, more[i].says) == NULL)
			fail_msg("row %zu: \"%s\" lacks \"%s\"", i, e.text, more[i].says);
	}
	/* All of v3. */
	for (unsigned i = 0; i < ISA_COUNT; i++) {
		const struct isa_row *r = &isa_rows[i];

		s.leaf[i] = (struct xlsave_leaf){r->leaf, r->subleaf, {0}};
		s.nleaf = i + 1;
	}
	for (unsigned i = 0; i < ISA_COUNT; i++)
		for (unsigned k = 0; k < ISA_COUNT; k++)
			if (!isa_rows[i].max && s.leaf[k].leaf == isa_rows[i].leaf &&
				s.leaf[k].subleaf == isa_rows[i].subleaf)
				s.leaf[k].r[isa_rows[i].reg] |= 1u << isa_rows[i].bit;
	assert_int_equal(restore_isa(&s, &isa, &e), 0);
	assert_true(isa == isa_v3());
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory), cmocka_unit_test(registers), cmocka_unit_test(refused),
		cmocka_unit_test(cpus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
