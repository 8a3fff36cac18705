/*
 * test_xen_trap.c - bounce frames, iret, system calls, int n, page faults and
 * the privileged instructions, against Xen's entry.S and the checklist.
 */
#include "xen/internal.h"

#include "xen_machine.h"

#include <xen/callback.h>
#include <xen/event_channel.h>

static void set_gdt(struct domain *d)
{
	uint64_t *gdt = (uint64_t *)mem_frame(d->mem, MFN(GDT_PFN));
	uint64_t mfn = MFN(GDT_PFN);

	gdt[2] = UINT64_C(0x00af9b000000ffff);  /* kernel code, DPL 0 */
	gdt[4] = UINT64_C(0x00cffb000000ffff);  /* 0x23 */
	gdt[5] = UINT64_C(0x00cff3000000ffff);  /* 0x2b */
	gdt[6] = UINT64_C(0x00affb000000ffff);  /* 0x33 */
	gdt[12] = UINT64_C(0x12cff2345678ffff); /* 0x63: TLS, not accessed yet */
	gdt[15] = UINT64_C(0x0040f50000000007); /* getcpu */
	memcpy(arg(d), &mfn, 8);
	assert_int_equal(call(d, __HYPERVISOR_set_gdt, ARG, 16, 0, 0), 0);
}

static void emulate(struct domain *d, struct cpu_priv p)
{
	struct cpu_exit x = { .reason = CPU_EXIT_PRIV, .len = 2, .priv = p };

	handle_exit(current_vcpu(d), &x);
}

static void frame_from_kernel(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	uint64_t sp = s->gpr[RSP], rip = s->rip;

	(void)state;
	s->gpr[RCX] = 0xc0;
	s->gpr[R11] = 0x11;
	s->rflags = 2 | FLAG_IF | FLAG_TF | FLAG_AC | FLAG_CF;
	shared(d)->vcpu_info[0].evtchn_upcall_mask = 1;
	trap_page_fault(current_vcpu(d), 0x1234, PF_P | PF_U);
	assert_int_equal(d->ended, RUNNING);
	assert_int_equal(s->rip, HANDLER(14));
	assert_int_equal(s->gpr[RSP], (sp & ~15) - 64);
	assert_int_equal(stack64(d, 0), 0xc0);
	assert_int_equal(stack64(d, 1), 0x11);
	assert_int_equal(stack64(d, 2), PF_P); /* U by virtual mode */
	assert_int_equal(stack64(d, 3), rip);
	assert_int_equal(stack64(d, 4), UINT64_C(0x10000e030));
	assert_int_equal(stack64(d, 5), 2 | FLAG_TF | FLAG_AC | FLAG_CF | FLAG_RF); /* IF = !mask */
	assert_int_equal(stack64(d, 6), sp);
	assert_int_equal(stack64(d, 7), 0xe02b);
	assert_int_equal(s->rflags, 2 | FLAG_IF | FLAG_CF);
	assert_int_equal(shared(d)->vcpu_info[0].arch.cr2, 0x1234);
	machine_free(d);
}

/* A kernel that faults before it has handlers; KASAN's is told what is wrong with it. */
static void no_handler(void **state)
{
	static const struct { uint64_t cr2; bool kasan; } c[] = {
		{ 0x1234, false }, { UINT64_C(0xfffffbfff0601234), true },
		{ UINT64_C(0xfffffc0000000000), false },
	};

	(void)state;
	for (unsigned i = 0; i < 3; i++) {
		struct domain *d = machine_new();

		memset(d->vcpu[0].trap.trap, 0, sizeof d->vcpu[0].trap.trap);
		trap_page_fault(current_vcpu(d), c[i].cr2, PF_P);
		assert_int_equal(d->ended, DOMAIN_CRASH);
		assert_non_null(strstr(d->crash, "registered no handler"));
		assert_int_equal(strstr(d->crash, "KASAN's shadow memory; a kernel with KASAN has "
			"no entry for PV guests") != NULL, c[i].kasan);
		machine_free(d);
	}
}

static void frame_from_user(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));

	(void)state;
	shared(d)->vcpu_info[0].evtchn_upcall_mask = 0;
	user_mode(d);
	trap_exception(current_vcpu(d), 6, false, 0);
	assert_int_equal(s->mode, MEM_KERNEL);
	assert_int_equal(s->seg_base[SEG_GS], 0x2222);
	assert_int_equal(s->gs_base_other, 0x1111);
	assert_int_equal(s->gpr[RSP], d->vcpu[0].trap.kernel_sp - 56);
	assert_int_equal(stack64(d, 2), UVA + 0x10);
	assert_int_equal(stack64(d, 3), 0x33);
	assert_int_equal(stack64(d, 4), 2 | FLAG_IF | FLAG_RF);
	assert_int_equal(stack64(d, 5), UVA + 0x2000);
	assert_int_equal(stack64(d, 6), 0x2b);
	assert_int_equal(shared(d)->vcpu_info[0].evtchn_upcall_mask, 1); /* flags bit 2 */
	machine_free(d);
}

static void frame_faults(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	regs_of(current_vcpu(d))->gpr[RSP] = 0x1000;
	trap_exception(current_vcpu(d), 6, false, 0);
	assert_int_equal(d->ended, DOMAIN_CRASH);
	assert_non_null(strstr(domain_crash_reason(d), "kernel stack at 0xfc8"));
	assert_null(strchr(domain_crash_reason(d), '\n'));
	machine_free(d);

	d = machine_new();
	d->vcpu[0].trap.trap[6].addr = 0;
	trap_exception(current_vcpu(d), 6, false, 0);
	assert_int_equal(d->ended, DOMAIN_CRASH);
	assert_non_null(strstr(domain_crash_reason(d), "0xffffffff81234567"));
	machine_free(d);
}

static void put_iret(struct domain *d, const struct iret_context *c)
{
	memcpy(arg(d), c, sizeof(*c));
	regs_of(current_vcpu(d))->gpr[RSP] = ARG;
}

static void iret_to_user(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct iret_context c = {
		.rax = 0xaa, .r11 = 0x11, .rcx = 0xcc, .rip = UVA + 5,
		.cs = 0x33 | UINT64_C(1) << 32, .rflags = FLAG_IF | FLAG_IOPL | FLAG_VM | FLAG_DF,
		.rsp = UVA + 0x800, .ss = 0x2b,
	};

	(void)state;
	set_gdt(d);
	s->seg_base[SEG_GS] = 1;
	s->gs_base_other = 2;
	put_iret(d, &c);
	call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
	assert_int_equal(s->mode, MEM_USER);
	assert_int_equal(s->gpr[RAX], 0xaa);
	assert_int_equal(s->gpr[RCX], 0xcc);
	assert_int_equal(s->gpr[R11], 0x11);
	assert_int_equal(s->rip, UVA + 5);
	assert_int_equal(s->rflags, 2 | FLAG_IF | FLAG_DF);
	assert_int_equal(s->seg[SEG_CS], 0x33);
	assert_int_equal(s->seg[SEG_SS], 0x2b);
	assert_int_equal(s->seg_base[SEG_GS], 2);
	assert_int_equal(s->code64, 1);
	assert_int_equal(shared(d)->vcpu_info[0].evtchn_upcall_mask, 0);

	/* To 32-bit code. */
	s->mode = MEM_KERNEL;
	c.cs = 0x23;
	c.rflags = 0;
	c.flags = VGCF_in_syscall;
	put_iret(d, &c);
	call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
	assert_int_equal(s->code64, 0);
	assert_int_equal(s->gpr[RCX], UVA + 5);
	assert_int_equal(s->gpr[R11], 2 | FLAG_IF);
	assert_int_equal(shared(d)->vcpu_info[0].evtchn_upcall_mask, 1);
	machine_free(d);
}

static void iret_special(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct iret_context c = { .rip = HANDLER(1), .cs = 0xe030, .ss = 0xe02b,
		.rsp = KVA(STACK_PFN), .rflags = FLAG_IF };

	(void)state;
	set_gdt(d);
	put_iret(d, &c);
	call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
	assert_int_equal(s->mode, MEM_KERNEL);
	assert_int_equal(s->seg[SEG_CS], 0xe033);
	assert_int_equal(s->gpr[RAX], 0);

	/* A bad cs: #GP on the kernel stack as from user mode. */
	c.cs = 0x7b;
	c.rip = UVA;
	put_iret(d, &c);
	call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 2), 0x78);
	assert_int_equal(stack64(d, 3), UVA);
	assert_int_equal(stack64(d, 4) & 0xffff, 0x7b);
	assert_int_equal(s->gpr[RSP], d->vcpu[0].trap.kernel_sp - 64);

	/* No user root. */
	c.cs = 0x33;
	mmu_set_root(d->vcpu[0].mmu, MEM_USER, MFN_NONE);
	put_iret(d, &c);
	call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
	assert_int_equal(d->ended, DOMAIN_CRASH);
	machine_free(d);
}

static void user_syscall(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct callback_register r = { .type = CALLBACKTYPE_syscall,
		.flags = CALLBACKF_mask_events, .address = HANDLER(300) };
	struct cpu_exit x = { .reason = CPU_EXIT_SYSCALL, .len = 2 };

	(void)state;
	user_mode(d);
	handle_exit(current_vcpu(d), &x); /* nothing registered: #UD at the instruction */
	assert_int_equal(s->rip, HANDLER(6));
	assert_int_equal(stack64(d, 2), UVA + 0x10);
	assert_int_equal(s->icount, 0);

	s->mode = MEM_KERNEL;
	assert_int_equal(call_arg(d, __HYPERVISOR_callback_op, CALLBACKOP_register, &r,
		sizeof(r)), 0);
	user_mode(d);
	s->rflags = 2 | FLAG_IF | FLAG_DF | FLAG_TF;
	handle_exit(current_vcpu(d), &x);
	assert_int_equal(s->icount, 1);
	assert_int_equal(s->rip, HANDLER(300));
	assert_int_equal(s->gpr[RCX], UVA + 0x12);
	assert_int_equal(s->gpr[R11], 2 | FLAG_IF | FLAG_DF | FLAG_TF);
	assert_int_equal(stack64(d, 0), UVA + 0x12);
	assert_int_equal(stack64(d, 3) & 0xffff, 0xe033);
	assert_int_equal(stack64(d, 4) & (FLAG_DF | FLAG_TF), FLAG_DF | FLAG_TF);
	assert_int_equal(stack64(d, 6), 0xe02b);
	assert_int_equal(s->rflags & (FLAG_DF | FLAG_TF), 0);
	machine_free(d);
}

/* 32-bit code has no addresses beyond 4 GB: iret there is #GP at the target. */
static void iret_beyond_limit(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct iret_context c = { .rip = UINT64_C(0x7ffc12345678), .cs = 0x23, .rsp = UVA + 0x800,
		.ss = 0x2b };
	uint64_t f[5] = { UINT64_C(0x100400000), 0x23, 0, UVA + 0x800, 0x2b };

	(void)state;
	set_gdt(d);
	put_iret(d, &c);
	call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 2), 0);
	assert_int_equal(stack64(d, 3), c.rip);
	assert_int_equal(stack64(d, 4) & 0xffff, 0x23);

	user_mode(d);
	s->code64 = 1;
	memcpy(mem_frame(d->mem, MFN(USER_PFN)), f, sizeof(f));
	s->gpr[RSP] = UVA;
	emulate(d, (struct cpu_priv){ .op = PRIV_IRET, .size = 8 });
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 2), 0);
	assert_int_equal(stack64(d, 3), UVA + 0x10); /* at the instruction */
	machine_free(d);
}

/* An iretq to less privilege, as which Xen leaves, makes nulls plain; sysretq does not. */
static void null_selectors(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct iret_context c = { .rip = UVA, .cs = 0x33, .rsp = UVA + 0x800, .ss = 0x2b };

	(void)state;
	set_gdt(d);
	for (unsigned i = 0; i < 2; i++) {
		s->mode = MEM_KERNEL;
		s->seg[SEG_DS] = 3;
		s->seg[SEG_ES] = 2;
		s->seg[SEG_FS] = 1;
		s->seg[SEG_GS] = 0x2b;
		s->seg_base[SEG_FS] = 77;
		c.flags = i == 0 ? VGCF_in_syscall : 0;
		put_iret(d, &c);
		call(d, __HYPERVISOR_iret, 0, 0, 0, 0);
		assert_int_equal(s->seg[SEG_DS], i == 0 ? 3 : 0);
		assert_int_equal(s->seg[SEG_ES], i == 0 ? 2 : 0);
		assert_int_equal(s->seg[SEG_FS], i == 0 ? 1 : 0);
		assert_int_equal(s->seg[SEG_GS], 0x2b);
		assert_int_equal(s->seg_base[SEG_FS], 77);
	}
	machine_free(d);
}

static void sysenter(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct cpu_exit x = { .reason = CPU_EXIT_SYSENTER, .len = 2 };

	(void)state;
	user_mode(d);
	s->rflags |= FLAG_DF;
	handle_exit(current_vcpu(d), &x); /* nothing registered */
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 2), 0); /* error code, */
	assert_int_equal(stack64(d, 3), 0); /* rip, */
	assert_int_equal(stack64(d, 4) & 0xffff, 3);
	assert_int_equal(stack64(d, 6), 0); /* rsp */
	d->vcpu[0].trap.callback[CALLBACKTYPE_sysenter].addr = HANDLER(301);
	user_mode(d);
	handle_exit(current_vcpu(d), &x);
	assert_int_equal(s->rip, HANDLER(301));
	assert_int_equal(stack64(d, 4) & FLAG_DF, FLAG_DF);
	assert_int_equal(s->rflags & FLAG_DF, FLAG_DF); /* only syscall has a mask */
	machine_free(d);
}

static void hypercall_registers(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct cpu_exit x = { .reason = CPU_EXIT_SYSCALL, .len = 2 };
	uint64_t rip = s->rip;

	(void)state;
	s->gpr[RAX] = __HYPERVISOR_xen_version;
	s->gpr[RDI] = 0;
	handle_exit(current_vcpu(d), &x);
	assert_int_equal(s->gpr[RAX], 0x40011);
	assert_int_equal(s->gpr[RCX], rip + 2);
	assert_int_equal(s->gpr[R11], s->rflags);
	assert_int_equal(s->icount, 1);
	assert_int_equal(call(d, 38, 0, 0, 0, 0), -38);
	assert_int_equal(call(d, 12345, 0, 0, 0, 0), -38);
	assert_int_equal(call(d, __HYPERVISOR_set_trap_table, 0x4000, 0, 0, 0), -14);
	machine_free(d);
}

static void software_interrupts(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));

	(void)state;
	user_mode(d);
	trap_int(current_vcpu(d), 0x20, 2); /* DPL 0 */
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 2), 0x20 << 3 | 2);
	assert_int_equal(stack64(d, 3), UVA + 0x10);
	user_mode(d);
	trap_int(current_vcpu(d), 0x80, 2);
	assert_int_equal(s->rip, HANDLER(0x80));
	assert_int_equal(stack64(d, 2), UVA + 0x12);
	user_mode(d);
	trap_int(current_vcpu(d), 3, 1);
	assert_int_equal(s->rip, HANDLER(3));
	assert_int_equal(stack64(d, 2), UVA + 0x11);
	assert_int_equal(s->icount, 2);
	machine_free(d);
}

static void debug_registers(void **state)
{
	struct domain *d = machine_new();

	(void)state;
	assert_int_equal(call(d, __HYPERVISOR_set_debugreg, 6, 0, 0, 0), 0);
	trap_exception(current_vcpu(d), 1, false, CPU_DR6_BS);
	assert_int_equal(call(d, __HYPERVISOR_get_debugreg, 6, 0, 0, 0), 0xffff4ff0);
	assert_int_equal(call(d, __HYPERVISOR_set_debugreg, 0, UINT64_C(0xffff800000000000), 0, 0),
		-1);
	assert_int_equal(call(d, __HYPERVISOR_set_debugreg, 7, 0x2000, 0, 0), -1);
	assert_int_equal(call(d, __HYPERVISOR_set_debugreg, 7, 0x20001, 0, 0), -1);
	assert_int_equal(call(d, __HYPERVISOR_set_debugreg, 7, 0x10001, 0, 0), 0);
	assert_int_equal(call(d, __HYPERVISOR_get_debugreg, 7, 0, 0, 0), 0x10401);
	assert_int_equal(call(d, __HYPERVISOR_get_debugreg, 9, 0, 0, 0), -19);
	machine_free(d);
}

static void privileged(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));

	(void)state;
	s->gpr[RAX] = 0x40000000;
	emulate(d, (struct cpu_priv){ .op = PRIV_CPUID });
	assert_int_equal(s->gpr[RBX], 0x566e6558);
	s->gpr[RAX] = 0x40000100;
	emulate(d, (struct cpu_priv){ .op = PRIV_CPUID });
	assert_int_equal(s->gpr[RAX], 0);
	s->gpr[RCX] = 0xc0000101;
	s->gpr[RDX] = 0xffffffff;
	s->gpr[RAX] = 0x83044000;
	emulate(d, (struct cpu_priv){ .op = PRIV_WRMSR });
	assert_int_equal(s->seg_base[SEG_GS], UINT64_C(0xffffffff83044000));
	emulate(d, (struct cpu_priv){ .op = PRIV_MOV_FROM_CR, .index = 0, .reg = RDI });
	assert_int_equal(s->gpr[RDI], 0x80050033);
	emulate(d, (struct cpu_priv){ .op = PRIV_MOV_FROM_CR, .index = 4, .reg = R9 });
	assert_int_equal(s->gpr[R9], 0x660);
	assert_int_equal(s->tsd, 0);
	emulate(d, (struct cpu_priv){ .op = PRIV_MOV_TO_CR, .index = 4, .value = 0x664 });
	assert_int_equal(s->tsd, 1);
	emulate(d, (struct cpu_priv){ .op = PRIV_MOV_TO_CR, .index = 4, .value = 0 });
	assert_int_equal(s->tsd, 0);
	assert_int_equal(s->icount, 7);

	/* cli needs set_iopl first, and then touches nothing. */
	emulate(d, (struct cpu_priv){ .op = PRIV_CLI });
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(call_arg(d, __HYPERVISOR_physdev_op, 6, &(uint32_t){1}, 4), 0);
	shared(d)->vcpu_info[0].evtchn_upcall_mask = 0;
	emulate(d, (struct cpu_priv){ .op = PRIV_CLI });
	assert_int_equal(shared(d)->vcpu_info[0].evtchn_upcall_mask, 0);
	s->gpr[RAX] = 0x1122334455667788;
	emulate(d, (struct cpu_priv){ .op = PRIV_IN, .port = 0x21, .size = 1 });
	assert_int_equal(s->gpr[RAX], 0x11223344556677ff);
	emulate(d, (struct cpu_priv){ .op = PRIV_IN, .port = 0x42, .size = 1 });
	assert_int_equal(s->gpr[RAX], 0x1122334455667700);
	emulate(d, (struct cpu_priv){ .op = PRIV_IN, .port = 0xcf8, .size = 4 });
	assert_int_equal(s->gpr[RAX], 0xffffffff);

	s->gpr[RCX] = 0x34; /* unknown: #GP at the instruction */
	s->rip = 0x1000;
	emulate(d, (struct cpu_priv){ .op = PRIV_RDMSR });
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 3), 0x1000);
	user_mode(d);
	emulate(d, (struct cpu_priv){ .op = PRIV_STI });
	assert_int_equal(s->rip, HANDLER(13));
	user_mode(d);
	emulate(d, (struct cpu_priv){ .op = PRIV_XGETBV });
	assert_int_equal(s->rip, HANDLER(6));
	user_mode(d);
	emulate(d, (struct cpu_priv){ .op = PRIV_IN, .port = 0x80, .size = 1 });
	assert_int_equal(s->rip, HANDLER(13));
	machine_free(d);
}

static void io_bitmap(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	struct { uint64_t map; uint32_t n; uint32_t pad; } op = { KVA(60), 1024, 0 };

	(void)state;
	memset(mem_frame(d->mem, MFN(60)), 0xff, 128);
	mem_frame(d->mem, MFN(60))[0x10] = 0xfe; /* port 0x80 allowed */
	assert_int_equal(call_arg(d, __HYPERVISOR_physdev_op, 7, &op, sizeof(op)), 0);
	user_mode(d);
	emulate(d, (struct cpu_priv){ .op = PRIV_IN, .port = 0x80, .size = 1 });
	assert_int_equal(s->rip, UVA + 0x12);
	emulate(d, (struct cpu_priv){ .op = PRIV_OUT, .port = 0x80, .size = 2 });
	assert_int_equal(s->rip, HANDLER(13));
	machine_free(d);
}

static void segments(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));

	(void)state;
	set_gdt(d);
	assert_int_equal(get64(mem_frame(d->mem, MFN(GDT_PFN)) + 16), UINT64_C(0xaffb000000ffff));
	user_mode(d);
	emulate(d, (struct cpu_priv){ .op = PRIV_LOAD_SEG, .index = SEG_FS, .sel = 0x63 });
	assert_int_equal(s->seg[SEG_FS], 0x63);
	assert_int_equal(s->seg_base[SEG_FS], 0x12345678);
	assert_int_equal(mem_frame(d->mem, MFN(GDT_PFN))[12 * 8 + 5], 0xf3); /* accessed */
	emulate(d, (struct cpu_priv){ .op = PRIV_LOAD_SEG, .index = SEG_FS, .sel = 0 });
	assert_int_equal(s->seg_base[SEG_FS], 0);
	emulate(d, (struct cpu_priv){ .op = PRIV_LSL, .sel = 0x7b, .reg = RAX, .size = 4 });
	assert_int_equal(s->gpr[RAX], 7);
	assert_true(s->rflags & 0x40);
	emulate(d, (struct cpu_priv){ .op = PRIV_LAR, .sel = 0x33, .reg = RAX, .size = 4 });
	assert_int_equal(s->gpr[RAX], 0x00affb00);
	emulate(d, (struct cpu_priv){ .op = PRIV_VERW, .sel = 0x33 });
	assert_false(s->rflags & 0x40);
	emulate(d, (struct cpu_priv){ .op = PRIV_VERW, .sel = 0x2b });
	assert_true(s->rflags & 0x40);
	s->rip = UVA;
	emulate(d, (struct cpu_priv){ .op = PRIV_LOAD_SEG, .index = SEG_DS, .sel = 0x7c });
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 2), 0x7c);
	machine_free(d);
}

static void native_iret(void **state)
{
	struct domain *d = machine_new();
	struct cpu_state *s = regs_of(current_vcpu(d));
	uint64_t f[5] = { HANDLER(99), 0xe033, FLAG_CF | FLAG_IOPL, KVA(STACK_PFN), 0xe02b };

	(void)state;
	memcpy(arg(d), f, sizeof(f));
	s->gpr[RSP] = ARG;
	emulate(d, (struct cpu_priv){ .op = PRIV_IRET, .size = 8 });
	assert_int_equal(s->rip, HANDLER(99));
	assert_int_equal(s->gpr[RSP], KVA(STACK_PFN));
	assert_int_equal(s->rflags & (FLAG_CF | FLAG_IF | FLAG_IOPL), FLAG_CF | FLAG_IF);
	assert_int_equal(s->icount, 1);

	/* The user's way into 32-bit code, and an RPL that would change rings. */
	set_gdt(d);
	user_mode(d);
	f[0] = UVA;
	f[1] = 0x23;
	f[4] = 0x2b;
	memcpy(mem_frame(d->mem, MFN(USER_PFN)), f, sizeof(f));
	s->gpr[RSP] = UVA;
	emulate(d, (struct cpu_priv){ .op = PRIV_IRET, .size = 8 });
	assert_int_equal(s->code64, 0);
	assert_int_equal(s->rip, UVA);
	user_mode(d);
	s->code64 = 1;
	f[1] = 0x20;
	memcpy(mem_frame(d->mem, MFN(USER_PFN)), f, sizeof(f));
	s->gpr[RSP] = UVA;
	emulate(d, (struct cpu_priv){ .op = PRIV_IRET, .size = 8 });
	assert_int_equal(s->rip, HANDLER(13));
	assert_int_equal(stack64(d, 2), 0x20);
	machine_free(d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frame_from_kernel), cmocka_unit_test(no_handler),
		cmocka_unit_test(frame_from_user),
		cmocka_unit_test(frame_faults), cmocka_unit_test(iret_to_user),
		cmocka_unit_test(iret_special), cmocka_unit_test(user_syscall),
		cmocka_unit_test(iret_beyond_limit), cmocka_unit_test(null_selectors),
		cmocka_unit_test(sysenter),
		cmocka_unit_test(hypercall_registers), cmocka_unit_test(software_interrupts),
		cmocka_unit_test(debug_registers), cmocka_unit_test(privileged),
		cmocka_unit_test(io_bitmap), cmocka_unit_test(segments),
		cmocka_unit_test(native_iret),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
