/*
 * restore_vcpu.c - the vCPU of a saved guest: registers, callbacks, and what its CPU is.
 *
 * The guest goes on seeing the CPU that it saw when it booted, for it has patched itself by
 * that: leaves of CPUID come from the image (cpuid.c), but for those that are the
 * hypervisor's own.  So a CPU with something that the engine does not execute exactly is
 * refused, with the line of xl's configuration that makes a guest do without.
 */
#include "xen/internal.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <xen/callback.h>

#include "xen/emulate.h"
#include "xen/restore.h"
#include "xlsave/xlsave.h"

/* ---- the CPU ---- */

#define LEAF1 1, 0
#define LEAF7 7, 0
#define XSTATE 0xd, 1
#define EXTENDED 0x80000001, 0

enum { MSR_ARCH_CAPABILITIES = 0x10a };

/* By Xen's names (xl's cpuid=). */
static const struct feature {
	uint32_t leaf, subleaf;
	uint8_t reg, bit;
	const char *name;
} refused[] = {
	{LEAF1, ISA_ECX, 2, "dtes64"}, {LEAF1, ISA_ECX, 3, "monitor"}, {LEAF1, ISA_ECX, 5, "vmx"},
	{LEAF7, ISA_EBX, 4, "hle"}, {LEAF7, ISA_EBX, 11, "rtm"}, {LEAF7, ISA_EBX, 14, "mpx"},
	{LEAF7, ISA_EBX, 16, "avx512f"}, {LEAF7, ISA_EBX, 17, "avx512dq"},
	{LEAF7, ISA_EBX, 19, "adx"}, {LEAF7, ISA_EBX, 21, "avx512-ifma"},
	{LEAF7, ISA_EBX, 23, "clflushopt"}, {LEAF7, ISA_EBX, 24, "clwb"},
	{LEAF7, ISA_EBX, 26, "avx512pf"}, {LEAF7, ISA_EBX, 27, "avx512er"},
	{LEAF7, ISA_EBX, 28, "avx512cd"}, {LEAF7, ISA_EBX, 30, "avx512bw"},
	{LEAF7, ISA_EBX, 31, "avx512vl"}, {LEAF7, ISA_ECX, 1, "avx512-vbmi"},
	{LEAF7, ISA_ECX, 3, "pku"}, {LEAF7, ISA_ECX, 6, "avx512-vbmi2"}, {LEAF7, ISA_ECX, 7, "cet-ss"},
	{LEAF7, ISA_ECX, 11, "avx512-vnni"}, {LEAF7, ISA_ECX, 12, "avx512-bitalg"},
	{LEAF7, ISA_ECX, 14, "avx512-vpopcntdq"}, {LEAF7, ISA_ECX, 22, "rdpid"},
	{LEAF7, ISA_ECX, 27, "movdiri"}, {LEAF7, ISA_ECX, 28, "movdir64b"},
	{LEAF7, ISA_EDX, 2, "avx512-4vnniw"}, {LEAF7, ISA_EDX, 3, "avx512-4fmaps"},
	{LEAF7, ISA_EDX, 14, "serialize"}, {LEAF7, ISA_EDX, 16, "tsxldtrk"},
	{LEAF7, ISA_EDX, 22, "amx-bf16"}, {LEAF7, ISA_EDX, 23, "avx512-fp16"},
	{LEAF7, ISA_EDX, 24, "amx-tile"}, {LEAF7, ISA_EDX, 25, "amx-int8"},
	{7, 1, ISA_EAX, 4, "avx-vnni"}, {7, 1, ISA_EAX, 5, "avx512-bf16"},
	{XSTATE, ISA_EAX, 1, "xsavec"}, {XSTATE, ISA_EAX, 2, "xgetbv1"}, {XSTATE, ISA_EAX, 3, "xsaves"},
	{EXTENDED, ISA_ECX, 2, "svm"}, {EXTENDED, ISA_ECX, 6, "sse4a"}, {EXTENDED, ISA_ECX, 11, "xop"},
	{EXTENDED, ISA_ECX, 15, "lwp"}, {EXTENDED, ISA_ECX, 16, "fma4"}, {EXTENDED, ISA_ECX, 21, "tbm"},
	{EXTENDED, ISA_ECX, 29, "monitorx"}, {EXTENDED, ISA_EDX, 26, "page1gb"},
	{EXTENDED, ISA_EDX, 30, "3dnowext"}, {EXTENDED, ISA_EDX, 31, "3dnow"},
	{0x80000008, 0, ISA_EBX, 0, "clzero"}, {0x80000008, 0, ISA_EBX, 4, "rdpru"},
	{0x80000008, 0, ISA_EBX, 9, "wbnoinvd"},
};

static uint32_t policy_bits(const struct xlsave *s, uint32_t leaf, uint32_t subleaf, unsigned reg)
{
	for (unsigned i = 0; i < s->nleaf; i++)
		if (s->leaf[i].leaf == leaf && (s->leaf[i].subleaf == subleaf ||
			s->leaf[i].subleaf == UINT32_MAX))
			return s->leaf[i].r[reg];
	return 0;
}

static void add_name(char *list, size_t n, const char *name)
{
	size_t at = strlen(list);

	snprintf(list + at, n - at, ",%s=0", name);
}

/* Of the rest, as xl writes them.  Also where some of v3 is there and not all. */
static int refuse_cpu(const struct xlsave *s, const char *list, struct ttd_error *e)
{
	return err_set(e, TTD_HOST, "image %s: the guest uses a CPU that cannot be run exactly here; "
		"boot it with cpuid=\"host%s\" in its xl configuration, and save it then", s->path, list);
}

int restore_isa(const struct xlsave *s, uint64_t *isa, struct ttd_error *e)
{
	char list[700] = "";
	bool bad = false;

	*isa = 0;
	for (unsigned i = 0; i < ISA_COUNT; i++)
		if (policy_bits(s, isa_rows[i].leaf, isa_rows[i].subleaf, isa_rows[i].reg) >>
			isa_rows[i].bit & 1)
			*isa |= UINT64_C(1) << i;
	for (size_t i = 0; i < sizeof refused / sizeof *refused; i++) {
		const struct feature *f = &refused[i];

		if (!(policy_bits(s, f->leaf, f->subleaf, f->reg) >> f->bit & 1))
			continue;
		bad = true;
		add_name(list, sizeof list, f->name);
	}
	if (!bad && isa_makes_sense(*isa))
		return 0;
	/* What is between v2 and v3 has to go as well. */
	for (unsigned i = 0; i < ISA_COUNT && !isa_makes_sense(*isa); i++)
		if (*isa >> i & 1)
			add_name(list, sizeof list, isa_rows[i].name);
	return refuse_cpu(s, list, e);
}

/* ---- registers ---- */

static void put_registers(struct vcpu *v, const struct cpu_user_regs *r)
{
	struct cpu_state *s = regs_of(v);
	const uint64_t gpr[16] = {r->rax, r->rcx, r->rdx, r->rbx, r->rsp, r->rbp, r->rsi, r->rdi,
		r->r8, r->r9, r->r10, r->r11, r->r12, r->r13, r->r14, r->r15};
	const struct { enum cpu_seg seg; uint16_t sel; } data[] = {
		{SEG_ES, r->es}, {SEG_DS, r->ds}, {SEG_FS, r->fs}, {SEG_GS, r->gs},
	};

	memcpy(s->gpr, gpr, sizeof s->gpr);
	s->rip = r->rip;
	s->rflags = (r->rflags & IRET_FLAGS) | FLAG_IF | 2;
	v->ctl.iopl = (uint8_t)((r->rflags & FLAG_IOPL) >> 12);
	s->mode = MEM_KERNEL;
	seg_flat_kernel(s);
	for (unsigned i = 0; i < sizeof data / sizeof *data; i++)
		if (seg_load_data(v, data[i].seg, data[i].sel) != 0)
			seg_load_data(v, data[i].seg, 0);
}

static void put_callbacks(struct vcpu *v, const struct vcpu_guest_context *c,
	const struct xlsave *s)
{
	struct callback *to = v->trap.callback;

	to[CALLBACKTYPE_event].addr = c->event_callback_eip;
	to[CALLBACKTYPE_failsafe] = (struct callback){.addr = c->failsafe_callback_eip,
		.mask_events = (c->flags & VGCF_failsafe_disables_events) != 0};
	to[CALLBACKTYPE_syscall] = (struct callback){.addr = c->syscall_callback_eip,
		.mask_events = (c->flags & VGCF_syscall_disables_events) != 0};
	if (s->has_ext) { /* struct xen_domctl_ext_vcpucontext */
		to[CALLBACKTYPE_syscall32] = (struct callback){.addr = get64(s->ext + 8),
			.mask_events = s->ext[28] != 0};
		to[CALLBACKTYPE_sysenter] = (struct callback){.addr = get64(s->ext + 16),
			.mask_events = s->ext[29] != 0};
	}
	for (unsigned i = 0; i < 256; i++) {
		const struct trap_info *t = &c->trap_ctxt[i];

		if (t->address != 0)
			v->trap.trap[i] = (struct trap_entry){.flags = t->flags, .cs = t->cs | 3,
				.addr = t->address};
	}
	v->trap.kernel_ss = (c->kernel_ss & 0xffff) | 3;
	v->trap.kernel_sp = c->kernel_sp;
}

static bool addresses_ok(const struct vcpu *v, const struct vcpu_guest_context *c)
{
	const uint64_t a[] = {c->user_regs.rip, c->fs_base, c->gs_base_kernel, c->gs_base_user};

	for (unsigned i = 0; i < 256; i++)
		if (!mem_canonical(v->trap.trap[i].addr))
			return false;
	for (unsigned i = 0; i < CALLBACKS; i++)
		if (!mem_canonical(v->trap.callback[i].addr))
			return false;
	for (size_t i = 0; i < sizeof a / sizeof *a; i++)
		if (!mem_canonical(a[i]))
			return false;
	return true;
}

static int put_control(struct vcpu *v, const struct vcpu_guest_context *c, const struct xlsave *s,
	struct ttd_error *e)
{
	static const unsigned order[] = {0, 1, 2, 3, 6, 7};

	regs_of(v)->ts = (c->ctrlreg[0] & 8) != 0;
	ctl_set_cr4(v, c->ctrlreg[4]);
	for (unsigned i = 0; i < sizeof order / sizeof *order; i++)
		if (ctl_set_dr(v, order[i], c->debugreg[order[i]]) != 0)
			return err_set(e, TTD_HOST, "image %s: debug register %u is %#" PRIx64, s->path,
				order[i], (uint64_t)c->debugreg[order[i]]);
	v->d->assist = c->vm_assist;
	if (seg_set_ldt(v, c->ldt_base, c->ldt_ents) != 0)
		return err_set(e, TTD_HOST, "image %s: an LDT of %" PRIu64 " entries at %#" PRIx64,
			s->path, (uint64_t)c->ldt_ents, (uint64_t)c->ldt_base);
	return 0;
}

/* fxsave's image, and with XSAVE the upper halves of ymm. */
static int put_vectors(struct vcpu *v, const struct vcpu_guest_context *c, const struct xlsave *s,
	struct ttd_error *e)
{
	enum { HEADER = 512, YMM = 576 };
	struct cpu_state *state = regs_of(v);
	uint64_t isa = cpu_isa(v->cpu), valid;

	if (c->flags & VGCF_i387_valid)
		memcpy(state->fx, &c->fpu_ctxt, sizeof state->fx);
	if (s->has_xsave && s->xcr0 != 0) {
		if (!(isa & ISA_BIT(XSAVE)) || !cpu_xcr0_valid(s->xcr0))
			return err_set(e, TTD_HOST, "image %s: XCR0 is %#" PRIx64, s->path, s->xcr0);
		cpu_set_xcr0(v->cpu, (uint8_t)s->xcr0);
		valid = s->xsave_len >= YMM ? get64(s->xsave + HEADER) : 0;
		if ((valid & XCR0_AVX) && s->xsave_len == XLSAVE_XSAVE)
			memcpy(state->ymmh, s->xsave + YMM, sizeof state->ymmh);
	}
	if (get32(state->fx + FX_MXCSR) & ~UINT32_C(0xffff))
		return err_set(e, TTD_HOST, "image %s: MXCSR is %#x", s->path,
			get32(state->fx + FX_MXCSR));
	cpu_fx_written(v->cpu);
	return 0;
}

static void put_policy(struct domain *d, const struct xlsave *s)
{
	memcpy(d->policy->leaf, s->leaf, s->nleaf * sizeof *s->leaf);
	d->policy->n = s->nleaf;
	for (unsigned i = 0; i < s->nmsr; i++)
		if (s->msr[i].index == MSR_ARCH_CAPABILITIES)
			d->policy->arch_capabilities = s->msr[i].value;
}

int restore_vcpu(struct vcpu *v, const struct vcpu_guest_context *c, const struct xlsave *s,
	struct ttd_error *e)
{
	struct domain *d = v->d;

	if (!(c->flags & VGCF_in_kernel) || c->user_regs.rax != 0)
		return err_set(e, TTD_HOST, "image %s: its guest did not suspend itself before it was "
			"saved", s->path);
	if (s->nleaf != 0) {
		d->policy = calloc(1, sizeof *d->policy);
		if (d->policy == NULL)
			return err_set(e, TTD_HOST, "out of memory");
		put_policy(d, s);
	}
	put_callbacks(v, c, s);
	if (!addresses_ok(v, c))
		return err_set(e, TTD_HOST, "image %s: an address in a register or a handler's is none",
			s->path);
	if (put_control(v, c, s, e) != 0 || put_vectors(v, c, s, e) != 0)
		return -1;
	v->seg.gdt_entries = (uint32_t)c->gdt_ents;
	memcpy(v->seg.gdt_mfn, c->gdt_frames, sizeof v->seg.gdt_mfn);
	put_registers(v, &c->user_regs);
	regs_of(v)->seg_base[SEG_FS] = c->fs_base;
	regs_of(v)->seg_base[SEG_GS] = c->gs_base_kernel;
	regs_of(v)->gs_base_other = c->gs_base_user;
	return 0;
}
