/*
 * quick_hot.c - the exits of everyday, completed while the guest's vector registers are live
 * (cpu_set_quick()): what trap.c and hypercall.c do in the plain case of each.
 *
 *  QX1. A function looks first and acts then: where something is other than plain it has
 *       changed nothing, and the exit takes its usual way.
 *  QX2. Plain is also that no event or NMI is due afterwards: check_upcall stays clear, as the
 *       run loop would find it.
 *  QX3. What is plain depends on the guest's state only where the two ways differ in
 *       anything that the guest, the log or a checkpoint could show; they do not.
 */
#include "mem/space.h"
#include "xen/quick.h"

#include <xen/callback.h>

#include "xen/guestcopy.h"
#include "xen/witness.h"

enum {
	SYSCALL_FRAME = 7, /* words */
	SPACE_OPS = 4,
};

/* The guest's vcpu_info; NULL: there is none, or it takes more to write there. */
static const struct vcpu_info *info_of(const struct vcpu *v)
{
	mfn_t mfn = v->area.info_mfn;

	return mem_may_poke(v->d->mem, mfn) ? (const struct vcpu_info *)(const void *)
		(mem_frame(v->d->mem, mfn) + v->area.info_off) : NULL;
}

/* What one of them writes the other would show. */
static bool in_one_page(const void *a, const void *b)
{
	return (((uintptr_t)a ^ (uintptr_t)b) & PAGE_MASK) == 0;
}

/* QX2 with that mask. */
static bool nothing_due(const struct vcpu *v, const struct vcpu_info *info, uint8_t mask)
{
	return !v->trap.nmi_pending && (mask != 0 || info->evtchn_upcall_pending == 0);
}

static void put_mask(struct vcpu *v, const struct vcpu_info *info, uint8_t mask)
{
	if (info->evtchn_upcall_mask != mask)
		mem_poke(v->d->mem, v->area.info_mfn, v->area.info_off +
			(unsigned)offsetof(struct vcpu_info, evtchn_upcall_mask), mask);
}

/* A user's system call: trap_syscall(). */
static bool enter_kernel(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	const struct callback *c = &v->trap.callback[CALLBACKTYPE_syscall];
	const struct vcpu_info *info = info_of(v);
	uint64_t sp = (v->trap.kernel_sp & ~UINT64_C(15)) - SYSCALL_FRAME * 8;
	uint64_t *frame, rflags = s->rflags & ~(uint64_t)(FLAG_IF | FLAG_IOPL);
	uint8_t mask;

	if (!s->code64 || c->addr == 0 || info == NULL)
		return false;
	mask = info->evtchn_upcall_mask;
	if (!nothing_due(v, info, c->mask_events | mask))
		return false;
	frame = (uint64_t *)(void *)mmu_reach(v->mmu, MEM_KERNEL, sp, SYSCALL_FRAME * 8, MEM_WRITE);
	if (frame == NULL || in_one_page(frame, info))
		return false;
	if (c->mask_events)
		put_mask(v, info, 1);
	s->icount++;
	s->rip += len;
	s->gpr[RCX] = s->rip;
	s->gpr[R11] = s->rflags;
	if (mask == 0)
		rflags |= FLAG_IF;
	if (v->d->assist & (1u << VMASST_TYPE_architectural_iopl))
		rflags |= (uint64_t)v->ctl.iopl << 12;
	frame[0] = s->gpr[RCX];
	frame[1] = s->gpr[R11];
	frame[2] = s->rip;
	frame[3] = FLAT_KERNEL_CS64 | (uint64_t)mask << 32;
	frame[4] = rflags;
	frame[5] = s->gpr[RSP];
	frame[6] = FLAT_KERNEL_SS64;
	trap_swap_mode(s, MEM_KERNEL);
	s->gpr[RSP] = sp;
	s->rflags &= ~(uint64_t)(FLAG_AC | FLAG_VM | FLAG_RF | FLAG_NT | FLAG_TF | FLAG_DF);
	s->seg[SEG_CS] = FLAT_KERNEL_CS64;
	s->seg[SEG_SS] = FLAT_KERNEL_SS64;
	s->seg_base[SEG_CS] = s->seg_base[SEG_SS] = 0;
	s->rip = c->addr;
	v->d->stats.syscalls++;
	return true;
}

/* The descriptor of a selector in the GDT, present ones with a DPL of 3; 0: look properly. */
static uint64_t descriptor(const struct vcpu *v, uint16_t sel)
{
	unsigned index = sel >> 3;
	const uint8_t *p;

	if (sel == FLAT_RING3_CS64)
		return UINT64_C(0x00affb000000ffff);
	if (sel == FLAT_RING3_SS64)
		return UINT64_C(0x00cff3000000ffff);
	if ((sel & SEL_TI) || index == 0 || index >= v->seg.gdt_entries)
		return 0;
	p = mem_frame(v->d->mem, v->seg.gdt_mfn[index / 512]);
	return p == NULL ? 0 : get64(p + (index & 511) * 8);
}

/* 64-bit code and a flat stack, loaded before: nothing but the selectors changes. */
static bool plain_segments(const struct vcpu *v, uint16_t cs, uint16_t ss)
{
	const uint32_t code = DESC_S | DESC_CODE | DESC_L | DESC_P | DESC_ACCESSED;
	const uint32_t stack = DESC_S | DESC_WRITE | DESC_P | DESC_ACCESSED;
	uint64_t c = descriptor(v, cs), d = descriptor(v, ss);

	return (c >> 32 & (code | DESC_DB)) == code &&
		(d >> 32 & (stack | DESC_CODE | 0xff0000ff)) == stack && (d & 0xffff0000) == 0;
}

static void take_frame(struct cpu_state *s, const struct iret_context *f)
{
	bool in_syscall = (f->flags & VGCF_in_syscall) != 0;

	s->rip = f->rip;
	s->rflags = (f->rflags & IRET_FLAGS) | FLAG_IF | 2;
	s->gpr[RSP] = f->rsp;
	s->gpr[RCX] = in_syscall ? s->rip : f->rcx;
	s->gpr[R11] = in_syscall ? s->rflags : f->r11;
	s->gpr[RAX] = f->rax;
	s->seg[SEG_CS] = (uint16_t)(f->cs | 3);
	s->seg[SEG_SS] = (uint16_t)(f->ss | 3);
	s->seg_base[SEG_CS] = s->seg_base[SEG_SS] = 0;
	s->code64 = 1;
	if (!in_syscall)
		seg_clear_null(s);
}

/* ---- hypercalls ---- */

static void tell_witness(void *ctx)
{
	struct vcpu *v = ctx;
	uint64_t due = v->run.due;

	witness(v, WITNESS_HYPERCALL, 0, (uint32_t)regs_of(v)->gpr[RAX], 0, 0);
	if (run_must_look(v, due)) {
		v->check_upcall = true;
		cpu_kick(v->cpu);
	}
}

/* As witness_tell(), where that would do no more than add to the fold. */
static bool folded(struct vcpu *v, const struct cpu_state *s)
{
	struct fold *f = v->d->source->fold;

	if (f == NULL || !fold_takes(f, s->icount))
		return false;
	fold_add(f, &(struct fold_item){ .what = WITNESS_HYPERCALL | (uint32_t)s->mode << 16,
		.code = (uint32_t)s->gpr[RAX], .registers = fold_registers(s->gpr),
		.icount = s->icount, .brctr = s->brctr, .rip = s->rip });
	return true;
}

/* The call begins: it is plain.  From here on nothing may fail. */
static void begin_call(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	struct domain_stats *stats = &v->d->stats;

	s->icount++;
	s->rip += len;
	s->gpr[RCX] = s->rip;
	s->gpr[R11] = s->rflags;
	stats->hypercalls++;
	stats->hypercall_count[s->gpr[RAX]]++;
	if (v->d->source->witnessed && !folded(v, s))
		cpu_outside(v->cpu, tell_witness, v);
}

/* hc_iret(). */
static bool leave_kernel(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	struct domain *d = v->d;
	const struct vcpu_info *info = info_of(v);
	const struct iret_context *f;
	bool user;
	uint8_t mask;

	if (!is_guest_address(s->gpr[RSP]) || info == NULL)
		return false;
	f = (const struct iret_context *)(const void *)
		mmu_reach(v->mmu, MEM_KERNEL, s->gpr[RSP], sizeof *f, MEM_READ);
	if (f == NULL || in_one_page(f, info) || (f->rflags & (FLAG_TF | FLAG_RF)) != 0)
		return false;
	user = (f->cs & 3) == 3;
	mask = !(f->rflags & FLAG_IF);
	if (!nothing_due(v, info, mask) || (user && mmu_root(v->mmu, MEM_USER) == MFN_NONE) ||
	    !plain_segments(v, (uint16_t)(f->cs | 3), (uint16_t)(f->ss | 3)))
		return false;
	begin_call(v, s, len);
	put_mask(v, info, mask);
	if (user) {
		trap_swap_mode(s, MEM_USER);
		mem_space_result(d->mem, f->rax, s->gpr[RSI]);
	}
	if (d->assist & (1u << VMASST_TYPE_architectural_iopl))
		v->ctl.iopl = (f->rflags & FLAG_IOPL) >> 12;
	v->trap.nmi_masked = false;
	take_frame(s, f);
	return true;
}

/* hc_stack_switch(). */
static bool switch_stack(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	begin_call(v, s, len);
	v->trap.kernel_ss = (s->gpr[RDI] & 0xffff) | 3;
	v->trap.kernel_sp = s->gpr[RSI];
	return true;
}

/* hc_fpu_taskswitch(). */
static bool switch_fpu(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	begin_call(v, s, len);
	s->ts = (uint32_t)s->gpr[RDI] != 0;
	return true;
}

/* hc_set_segment_base(), of selectors the null one only. */
static bool set_base(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	uint32_t which = (uint32_t)s->gpr[RDI];
	uint64_t base = s->gpr[RSI];

	if (which == SEGBASE_GS_USER_SEL ? (uint16_t)base > 3
	    : which > SEGBASE_GS_USER_SEL || !mem_canonical(base))
		return false;
	begin_call(v, s, len);
	switch (which) {
	case SEGBASE_FS:
		s->seg_base[SEG_FS] = base;
		break;
	case SEGBASE_GS_USER:
		s->gs_base_other = base;
		break;
	case SEGBASE_GS_KERNEL:
		s->seg_base[SEG_GS] = base;
		break;
	default:
		s->seg[SEG_GS] = (uint16_t)base;
		s->gs_base_other = 0;
		break;
	}
	return true;
}

/*
 * What of hc_mmuext_op() is no more than another root, or nothing, and leaves the list where it
 * is read from as it is: that goes on by the new root.
 */
static bool plain_op(struct vcpu *v, const struct mmuext_op *op)
{
	struct mem *m = v->d->mem;
	mfn_t mfn = op->arg1.mfn;

	switch (op->cmd) {
	case MMUEXT_NEW_BASEPTR:
	case MMUEXT_NEW_USER_BASEPTR:
		if (mfn == 0 && op->cmd == MMUEXT_NEW_USER_BASEPTR)
			return true;
		return mem_is_ram(m, mfn) && !in_one_page(op, mem_frame(m, mfn)) &&
			(op->cmd == MMUEXT_NEW_USER_BASEPTR || mmu_same_kernel(v->mmu, mfn));
	case MMUEXT_TLB_FLUSH_LOCAL:
	case MMUEXT_INVLPG_LOCAL:
		return true;
	default:
		return false;
	}
}

static void set_root(struct vcpu *v, const struct mmuext_op *op)
{
	mfn_t mfn = op->arg1.mfn;

	if (op->cmd == MMUEXT_NEW_BASEPTR)
		mmu_set_root(v->mmu, MEM_KERNEL, mfn);
	else if (op->cmd == MMUEXT_NEW_USER_BASEPTR)
		mmu_set_root(v->mmu, MEM_USER, mfn == 0 ? MFN_NONE : mfn);
}

/* hc_mmuext_op() with a list such as a switch of processes has. */
static bool switch_space(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	struct domain *d = v->d;
	const struct mmuext_op *op;
	uint32_t n = (uint32_t)s->gpr[RSI];
	uint16_t domid = (uint16_t)s->gpr[R10];

	if (n == 0 || n > SPACE_OPS || s->gpr[RDX] != 0 || d->memory.nloose != 0 ||
	    (domid != DOMID_SELF && domid != DOMID) || !is_guest_address(s->gpr[RDI]))
		return false;
	op = (const struct mmuext_op *)(const void *)
		mmu_reach(v->mmu, MEM_KERNEL, s->gpr[RDI], n * sizeof *op, MEM_READ);
	for (uint32_t i = 0; op != NULL && i < n; i++)
		if (!plain_op(v, &op[i]))
			return false;
	if (op == NULL)
		return false;
	begin_call(v, s, len);
	for (uint32_t i = 0; i < n; i++)
		set_root(v, &op[i]);
	return true;
}

static bool (*const calls[64])(struct vcpu *v, struct cpu_state *s, unsigned len) = {
	[__HYPERVISOR_stack_switch] = switch_stack,
	[__HYPERVISOR_fpu_taskswitch] = switch_fpu,
	[__HYPERVISOR_set_segment_base] = set_base,
	[__HYPERVISOR_mmuext_op] = switch_space,
};

static bool still_quiet(const struct vcpu *v)
{
	const struct vcpu_info *info = info_of(v);

	return info != NULL && nothing_due(v, info, info->evtchn_upcall_mask);
}

static bool serve(struct vcpu *v, struct cpu_state *s, unsigned len)
{
	uint64_t nr = s->gpr[RAX];

	if (v->d->strict != NULL || !s->code64)
		return false;
	if (nr == __HYPERVISOR_iret)
		return leave_kernel(v, s, len);
	if (nr >= sizeof calls / sizeof *calls || calls[nr] == NULL || !still_quiet(v) ||
	    !calls[nr](v, s, len))
		return false;
	s->gpr[RAX] = 0;
	return true;
}

/* A null selector into a data segment: priv_load_seg(). */
static bool load_null(struct vcpu *v, struct cpu_state *s, const struct cpu_quick_exit *x)
{
	if (x->sel > 3 || !s->code64 || !still_quiet(v))
		return false;
	s->seg[x->seg] = x->sel;
	s->seg_base[x->seg] = 0;
	s->rip += x->len;
	s->icount++;
	return true;
}

bool xen_quick(void *ctx, struct cpu_state *s, const struct cpu_quick_exit *x)
{
	struct vcpu *v = ctx;

	if (x->load_seg)
		return load_null(v, s, x);
	return s->mode == MEM_USER ? enter_kernel(v, s, x->len) : serve(v, s, x->len);
}
