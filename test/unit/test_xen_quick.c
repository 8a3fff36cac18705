/*
 * test_xen_quick.c - exits that quick_hot.c completes, against the usual way: two machines in
 * one random state, and what either leaves behind.  What it leaves alone must be as before.
 */
#include "xen/quick.h"

#include "xen_machine.h"

#include <xen/callback.h>

#include "xen/state.h"

enum { CASES = 2000 };

static uint64_t seed;

static unsigned pick(unsigned n)
{
	seed = seed * UINT64_C(6364136223846793005) + 1442695040888963407;
	return (unsigned)((seed >> 33) % n);
}

static bool rarely(void) { return pick(12) == 0; }

static uint64_t word(void)
{
	uint64_t high = pick(1u << 31);

	return high << 32 | pick(1u << 31);
}

/* Where a stack may be; the usual places are most of them. */
static uint64_t some_stack(void)
{
	static const uint64_t odd[] = {
		KVA(STACK_PFN) + 0xfe8, KVA(INFO_PFN) + 0x80, KVA(3) + 0x800, KVA(RAM_PAGES) + 0x100,
		KVA(RAM_PAGES), UINT64_C(0xffff800000000100), UVA + 0x800, UINT64_C(1) << 50, 0x10,
	};

	return rarely() ? odd[pick(sizeof odd / sizeof *odd)] + pick(3) * 8
		: KVA(STACK_PFN) + 0x800 + pick(64) * 8;
}

static uint16_t some_selector(bool code)
{
	static const uint16_t odd[] = { 0, 3, 0x23, 0x2b, 0x33, 0x34, 0x3b, 0x43, 0x63, 0x7b, 0x1003,
		0xe023, 0xe02b, 0xe033, 0xe030, 0xe053, 0xffff };

	if (rarely())
		return odd[pick(sizeof odd / sizeof *odd)];
	return code ? (uint16_t)(pick(2) ? 0x33 : 0xe030 | pick(2) * 3) : pick(2) ? 0x2b : 0xe02b;
}

static uint64_t some_flags(void)
{
	static const uint64_t odd[] = { FLAG_TF, FLAG_RF, FLAG_AC, FLAG_NT, FLAG_IOPL, FLAG_VM, 1u << 21 };
	uint64_t f = 2 | (pick(2) ? FLAG_IF : 0) | (rarely() ? FLAG_DF : 0) | (word() & 0x8d5);

	return rarely() ? f | odd[pick(sizeof odd / sizeof *odd)] : f;
}

static void set_gdt(struct domain *d)
{
	uint64_t *gdt = (uint64_t *)mem_frame(d->mem, MFN(GDT_PFN));

	gdt[4] = UINT64_C(0x00cffb000000ffff);  /* 0x23 */
	gdt[5] = UINT64_C(0x00cff3000000ffff);  /* 0x2b */
	gdt[6] = UINT64_C(0x00affb000000ffff);  /* 0x33 */
	gdt[7] = UINT64_C(0x00affa000000ffff);  /* 0x3b: not accessed yet */
	gdt[8] = UINT64_C(0x00cff2000000ffff);  /* 0x43: so a stack */
	gdt[12] = UINT64_C(0x12cff3345678ffff); /* 0x63: with a base */
	gdt[15] = UINT64_C(0x00cf73000000ffff); /* 0x7b: not present */
	d->vcpu[0].seg.gdt_mfn[0] = MFN(GDT_PFN);
	d->vcpu[0].seg.gdt_entries = 16;
}

static void put_frame(struct domain *d, uint64_t at)
{
	struct iret_context f = {
		.rax = word(), .r11 = word(), .rcx = word(), .rip = rarely() ? word() << 20 : UVA + pick(4096),
		.cs = some_selector(true), .rflags = some_flags(), .rsp = word(), .ss = some_selector(false),
		.flags = pick(2) ? VGCF_in_syscall : 0,
	};

	if (rarely())
		f.cs |= (uint64_t)pick(2) << 32;
	mmu_copy_out(d->vcpu[0].mmu, MEM_KERNEL, at, &f, sizeof f, NULL);
}

static void some_vcpu(struct vcpu *v)
{
	struct cpu_state *s = regs_of(v);

	for (unsigned i = 0; i < 16; i++)
		s->gpr[i] = word();
	s->icount = s->brctr = 1000;
	s->rflags = (some_flags() | FLAG_IF) & ~(uint64_t)(FLAG_TF | FLAG_RF | FLAG_IOPL | FLAG_VM);
	s->seg_base[SEG_FS] = word();
	s->seg_base[SEG_GS] = word();
	s->gs_base_other = word();
	for (unsigned i = 0; i < SEG_COUNT; i++)
		if (i != SEG_CS && i != SEG_SS)
			s->seg[i] = (uint16_t)(pick(2) ? pick(4) : 0x2b);
	v->trap.kernel_sp = some_stack();
	v->trap.nmi_pending = rarely();
	v->trap.nmi_masked = rarely();
	v->trap.callback[CALLBACKTYPE_syscall].addr = rarely() ? 0 : HANDLER(1);
	v->trap.callback[CALLBACKTYPE_syscall].mask_events = !rarely();
	v->trap.callback[CALLBACKTYPE_event].addr = rarely() ? 0 : HANDLER(2);
	v->ctl.iopl = (uint8_t)pick(4);
}

/* pfn 0 is the kernel's root, 4 the user's; 60 is as the first, 61 has another kernel half. */
static void some_roots(struct domain *d, struct cpu_state *s)
{
	static const unsigned pfns[] = { 0, 4, 60, 61, 62, 3, RAM_PAGES + 1 };
	static const uint8_t cmds[] = { MMUEXT_NEW_BASEPTR, MMUEXT_NEW_USER_BASEPTR,
		MMUEXT_TLB_FLUSH_LOCAL, MMUEXT_FLUSH_CACHE, MMUEXT_UNPIN_TABLE };
	unsigned n = 1 + pick(2) + (rarely() ? pick(8) : 0), at = rarely() ? 60 + pick(2) : ARG_PFN;
	uint64_t va = KVA(at) + (rarely() ? 0xff0 : at == ARG_PFN ? 0x100 : 0xf00);

	memcpy(mem_frame(d->mem, MFN(60)), mem_frame(d->mem, MFN(0)), PAGE_SIZE);
	memcpy(mem_frame(d->mem, MFN(61)), mem_frame(d->mem, MFN(0)), PAGE_SIZE);
	put_pte(d, 61, 511, MFN(1));
	put_pte(d, 62, 0, MFN(5));
	for (unsigned i = 0; i < n; i++) {
		struct mmuext_op op = { .cmd = rarely() ? cmds[pick(5)] : cmds[pick(3)],
			.arg1.mfn = rarely() ? 0 : MFN(pfns[rarely() ? pick(7) : pick(3)]) };

		mmu_copy_out(d->vcpu[0].mmu, MEM_KERNEL, va + i * sizeof op, &op, sizeof op, NULL);
	}
	s->gpr[RDI] = rarely() ? word() : va;
	s->gpr[RSI] = rarely() ? 0 : n;
	s->gpr[RDX] = rarely() ? ARG : 0;
	s->gpr[R10] = rarely() ? pick(3) : DOMID_SELF;
}

static void some_call(struct domain *d, struct cpu_state *s)
{
	static const uint8_t nrs[] = { __HYPERVISOR_stack_switch, __HYPERVISOR_fpu_taskswitch,
		__HYPERVISOR_set_segment_base, __HYPERVISOR_mmuext_op, __HYPERVISOR_xen_version };

	s->gpr[RAX] = nrs[pick(rarely() ? 5 : 4)];
	s->gpr[RDI] = pick(5);
	s->gpr[RSI] = rarely() ? word() << 16 : pick(2) ? pick(8) : UVA;
	if (s->gpr[RAX] == __HYPERVISOR_mmuext_op)
		some_roots(d, s);
}

/* A machine at a syscall instruction: the seed tells all of it. */
static struct domain *machine_at(uint64_t from)
{
	struct domain *d = machine_new();
	struct vcpu *v = current_vcpu(d);
	struct cpu_state *s = regs_of(v);
	struct vcpu_info *info;

	seed = from;
	set_gdt(d);
	some_vcpu(v);
	if (pick(2)) {
		v->area.info_mfn = MFN(INFO_PFN);
		v->area.info_off = 0x80;
	}
	info = (struct vcpu_info *)(mem_frame(d->mem, v->area.info_mfn) + v->area.info_off);
	info->evtchn_upcall_mask = (uint8_t)pick(2);
	info->evtchn_upcall_pending = rarely();
	if (pick(2))
		d->assist = 1u << VMASST_TYPE_architectural_iopl;
	if (rarely())
		mmu_set_root(d->vcpu[0].mmu, MEM_USER, MFN_NONE);
	if (rarely()) /* a page not written yet */
		put_pte(d, 3, STACK_PFN, MFN(STACK_PFN));
	s->rip = UVA + 0x10;
	if (pick(2)) {
		user_mode(d);
		s->code64 = !rarely();
	} else {
		s->gpr[RSP] = some_stack();
		if (pick(2))
			put_frame(d, s->gpr[RSP]), s->gpr[RAX] = __HYPERVISOR_iret;
		else
			some_call(d, s);
	}
	return d;
}

static struct cpu_quick_exit some_exit(void)
{
	static const uint8_t segs[] = { SEG_ES, SEG_DS, SEG_FS, SEG_GS };

	if (pick(8) != 0)
		return (struct cpu_quick_exit){ .len = 2 };
	return (struct cpu_quick_exit){ .len = 2, .load_seg = true, .seg = segs[pick(4)],
		.sel = (uint16_t)(rarely() ? some_selector(false) : pick(4)) };
}

/* The usual way, up to where the run loop would enter the guest again. */
static void usual(struct domain *d, const struct cpu_quick_exit *q)
{
	struct cpu_exit x = { .reason = CPU_EXIT_SYSCALL, .len = 2 };

	if (q->load_seg)
		x = (struct cpu_exit){ .reason = CPU_EXIT_PRIV, .len = 2,
			.priv = { .op = PRIV_LOAD_SEG, .index = q->seg, .sel = q->sel } };
	handle_exit(current_vcpu(d), &x);
}

static void same(struct domain *a, struct domain *b, uint64_t from)
{
	struct wbuf wa = {0}, wb = {0};

	xen_save_digest(a, &wa);
	xen_save_digest(b, &wb);
	if (memcmp(regs_of(current_vcpu(a)), regs_of(current_vcpu(b)), sizeof(struct cpu_state)) != 0 ||
	    wa.len != wb.len || memcmp(wa.p, wb.p, wa.len) != 0 ||
	    mem_sum_all(a->mem) != mem_sum_all(b->mem) || a->ended != b->ended ||
	    memcmp(&a->stats, &b->stats, sizeof a->stats) != 0)
		fail_msg("case %#llx: they differ", (unsigned long long)from);
	wbuf_free(&wa);
	wbuf_free(&wb);
}

/* Who listens has a fold that is open: what it takes is the same either way. */
static void listen(struct domain *d, struct fold *f)
{
	d->source->witnessed = true;
	d->source->fold = f;
}

/* What went wrong is the case's number: it is a seed. */
static void as_usual(void **state)
{
	unsigned done[2] = {0}; /* by mode */

	(void)state;
	for (uint64_t from = 1; from <= CASES; from++) {
		struct domain *a = machine_at(from), *b = machine_at(from);
		struct fold fa = { .until = UINT64_MAX, .digest = from }, fb = fa;
		struct cpu_state *s = regs_of(current_vcpu(a));
		enum mem_mode mode = (enum mem_mode)s->mode;
		const struct cpu_quick_exit x = some_exit();

		if (pick(2)) {
			listen(a, &fa);
			listen(b, &fb);
		}
		if (xen_quick(current_vcpu(a), s, &x)) {
			done[mode]++;
			assert_false(current_vcpu(a)->check_upcall);
			usual(b, &x);
			assert_false(trap_upcall(current_vcpu(b)));
		} else {
			usual(a, &x);
			usual(b, &x);
		}
		same(a, b, from);
		assert_memory_equal(&fa, &fb, sizeof fa);
		machine_free(a);
		machine_free(b);
	}
	assert_in_range(done[MEM_KERNEL], CASES / 20, CASES / 2);
	assert_in_range(done[MEM_USER], CASES / 20, CASES / 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(as_usual),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
