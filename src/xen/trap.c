/*
 * trap.c - how the guest kernel is entered: exceptions, software interrupts,
 * guest system calls and event upcalls, all through one bounce frame.
 *
 * The frame and the order of things are those of create_bounce_frame in Xen's
 * x86_64/entry.S.  Low to high: rcx, r11, [error code], rip, cs, rflags, rsp,
 * ss.  Coming from user mode it goes to the registered kernel stack, coming
 * from kernel mode to the current one, aligned down to 16 first.
 *
 *  T1. The guest recognises its own mode by the RPL in the frame's cs, so that
 *      is cleared for kernel mode although the kernel runs at CPL 3.
 *  T2. Bits 32..39 of the cs word hold the upcall mask before the entry, and
 *      the frame's IF is its negation: the guest sees its virtual IF.
 *  T3. A frame that cannot be pushed ends the guest, as under Xen: there is
 *      no double fault for PV guests.
 */
#include "xen/internal.h"

#include <errno.h>
#include <string.h>

#include <xen/callback.h>

#include "event/log.h"

enum { VEC_DB = 1, VEC_BP = 3, VEC_NM = 7, VEC_PF = 14, VEC_SYSCALL32 = 0x80 };

static void swap_mode(struct domain *d, enum mem_mode mode)
{
	struct cpu_state *s = regs_of(d);
	uint64_t base = s->seg_base[SEG_GS];

	s->seg_base[SEG_GS] = s->gs_base_other;
	s->gs_base_other = base;
	s->mode = (uint8_t)mode;
}

static void bounce(struct domain *d, uint64_t handler, unsigned flags, uint32_t error,
	const char *what, unsigned vector)
{
	struct cpu_state *s = regs_of(d);
	uint64_t frame[8], cs = s->seg[SEG_CS], rflags, sp;
	uint8_t mask = upcall_mask(d);
	struct mem_fault f;
	unsigned n = 0;

	if (handler == 0) {
		domain_crash(d, "%s %u at rip %#llx in %s mode (error %#x, cr2 %#llx), and the "
			"guest has registered no handler", what, vector,
			(unsigned long long)s->rip, s->mode == MEM_KERNEL ? "kernel" : "user",
			error, (unsigned long long)d->ctl.cr2);
		return;
	}
	if (s->mode == MEM_KERNEL) {
		sp = s->gpr[RSP];
		cs &= ~UINT64_C(3);
	} else {
		sp = d->trap.kernel_sp;
		swap_mode(d, MEM_KERNEL);
	}
	rflags = s->rflags & ~(uint64_t)(FLAG_IF | FLAG_IOPL);
	if (mask == 0)
		rflags |= FLAG_IF;
	if (d->ctl.assist & (1u << VMASST_TYPE_architectural_iopl))
		rflags |= (uint64_t)d->ctl.iopl << 12;
	if (flags & BOUNCE_RF)
		rflags |= FLAG_RF; /* as the CPU does for faults */
	frame[n++] = s->gpr[RCX];
	frame[n++] = s->gpr[R11];
	if (flags & BOUNCE_ERROR)
		frame[n++] = error;
	frame[n++] = s->rip;
	frame[n++] = cs | (uint64_t)mask << 32;
	frame[n++] = rflags;
	frame[n++] = s->gpr[RSP];
	frame[n++] = s->seg[SEG_SS];
	sp = (sp & ~UINT64_C(15)) - n * 8;
	if (mem_copy_out(d->mem, MEM_KERNEL, sp, frame, n * 8, &f) < 0) {
		domain_crash(d, "cannot push the frame of %s %u to the kernel stack at %#llx "
			"(page fault at %#llx, error %#x; rip %#llx)", what, vector,
			(unsigned long long)sp, (unsigned long long)f.va, f.error,
			(unsigned long long)s->rip);
		return;
	}
	if (flags & BOUNCE_MASK_EVENTS)
		set_upcall_mask(d, 1);
	s->gpr[RSP] = sp;
	s->rflags &= ~(uint64_t)(FLAG_AC | FLAG_VM | FLAG_RF | FLAG_NT | FLAG_TF);
	seg_flat_kernel(s);
	s->rip = handler;
}

static void enter_trap(struct domain *d, unsigned vector, unsigned flags, uint32_t error)
{
	const struct trap_entry *t = &d->trap.trap[vector];

	if (t->flags & 4)
		flags |= BOUNCE_MASK_EVENTS;
	bounce(d, t->addr, flags, error, "exception", vector);
}

void trap_exception(struct domain *d, unsigned vector, bool has_error, uint32_t error)
{
	struct cpu_state *s = regs_of(d);

	d->stats.exceptions++;
	witness(d, WITNESS_EXCEPTION, (has_error ? LOG_ERROR : 0) |
		(vector == VEC_PF ? LOG_CR2 : 0), vector & 0xff, error,
		vector == VEC_PF ? d->ctl.cr2 : 0);
	if (vector == VEC_DB)
		ctl_debug(d, error);
	enter_trap(d, vector & 0xff, (has_error ? BOUNCE_ERROR : 0) |
		(vector != VEC_DB ? BOUNCE_RF : 0), error);
	if (vector == VEC_NM)
		s->ts = 0; /* Xen clears the virtual TS when it hands out #NM */
}

void trap_page_fault(struct domain *d, uint64_t cr2, uint32_t error)
{
	struct cpu_state *s = regs_of(d);

	error &= ~(uint32_t)PF_U;
	if (s->mode == MEM_USER)
		error |= PF_U;
	d->ctl.cr2 = cr2;
	vinfo_put64(d, offsetof(struct vcpu_info, arch.cr2), cr2);
	trap_exception(d, VEC_PF, true, error);
}

/*
 * int n: the guest's trap table has the say about DPL; its kernel counts as
 * ring 1.  int3, into and int1 have gates of their own that anyone may use.
 */
void trap_int(struct domain *d, unsigned vector, unsigned len)
{
	const struct trap_entry *t = &d->trap.trap[vector & 0xff];
	unsigned cpl = regs_of(d)->mode == MEM_KERNEL ? 1 : 3;
	bool open = vector == VEC_BP || vector == 4 || (vector == VEC_DB && len == 1) ||
		(vector == VEC_SYSCALL32 && t->addr != 0);

	vector &= 0xff;
	if (!open && ((t->flags & 3u) < cpl || t->addr == 0)) {
		trap_gp(d, vector << 3 | 2);
		return;
	}
	cpu_retire(d->cpu, len);
	d->stats.exceptions++;
	witness(d, WITNESS_EXCEPTION, 0, vector, 0, 0);
	enter_trap(d, vector, 0, 0);
}

static void enter_callback(struct domain *d, unsigned type, const char *what)
{
	const struct callback *c = &d->trap.callback[type];

	bounce(d, c->addr, c->mask_events ? BOUNCE_MASK_EVENTS : 0, 0, what, type);
}

/* syscall in user mode.  On an Intel CPU, which we show, compat code has none. */
void trap_syscall(struct domain *d, unsigned len)
{
	struct cpu_state *s = regs_of(d);

	if (!s->code64 || d->trap.callback[CALLBACKTYPE_syscall].addr == 0) {
		trap_ud(d);
		return;
	}
	cpu_retire(d->cpu, len);
	d->stats.syscalls++;
	s->gpr[RCX] = s->rip;
	s->gpr[R11] = s->rflags;
	s->rflags &= ~(uint64_t)FLAG_DF;
	s->seg[SEG_CS] = FLAT_KERNEL_CS64;
	s->seg[SEG_SS] = FLAT_KERNEL_SS64;
	enter_callback(d, CALLBACKTYPE_syscall, "system call callback");
}

/* sysenter: the CPU keeps neither rip nor rsp, the guest's stub knows them. */
void trap_sysenter(struct domain *d, unsigned len)
{
	struct cpu_state *s = regs_of(d);

	if (d->trap.callback[CALLBACKTYPE_sysenter].addr == 0) {
		trap_gp(d, 0);
		return;
	}
	cpu_retire(d->cpu, len);
	d->stats.syscalls++;
	if (s->mode == MEM_USER)
		s->gpr[RSP] = 0;
	s->rip = 0;
	s->seg[SEG_CS] = 3;
	s->seg[SEG_SS] = FLAT_USER_SS64;
	enter_callback(d, CALLBACKTYPE_sysenter, "sysenter callback");
}

/* Nothing registered yet: it waits. */
bool trap_upcall_due(struct domain *d)
{
	return upcall_pending(d) && upcall_mask(d) == 0 &&
		d->trap.callback[CALLBACKTYPE_event].addr != 0;
}

/* Delivers the event upcall if it is due. */
bool trap_upcall(struct domain *d)
{
	if (!trap_upcall_due(d))
		return false;
	d->stats.upcalls++;
	witness(d, WITNESS_UPCALL, 0, 0, 0, 0);
	bounce(d, d->trap.callback[CALLBACKTYPE_event].addr, BOUNCE_MASK_EVENTS, 0, "event callback", 0);
	return true;
}

/* A target that iret cannot load faults as if it had already got there. */
static void load_user_segments(struct domain *d, uint16_t cs, uint16_t ss)
{
	struct cpu_state *s = regs_of(d);
	uint16_t bad;
	unsigned vector = seg_load_both(d, cs, ss, &bad);

	if (vector == 0)
		return;
	s->seg[SEG_CS] = cs;
	s->seg[SEG_SS] = ss;
	trap_exception(d, vector, true, bad & ~3u);
}

#define IRET_FLAGS 0x254fd5u /* what iret restores, without IOPL, VM, VIF, VIP */

int64_t hc_iret(struct domain *d, const struct hypercall_args *h)
{
	struct cpu_state *s = regs_of(d);
	struct iret_context c;

	(void)h;
	if (copy_from_guest(d, &c, s->gpr[RSP], sizeof(c)) < 0) {
		domain_crash(d, "HYPERVISOR_iret: cannot read its frame at rsp %#llx (rip %#llx)",
			(unsigned long long)s->gpr[RSP], (unsigned long long)s->rip);
		return 0;
	}
	if ((c.cs & 3) == 3) {
		if (mem_root(d->mem, MEM_USER) == MFN_NONE) {
			domain_crash(d, "HYPERVISOR_iret to user mode without a user page table "
				"(rip %#llx)", (unsigned long long)s->rip);
			return 0;
		}
		swap_mode(d, MEM_USER);
	}
	if (d->ctl.assist & (1u << VMASST_TYPE_architectural_iopl))
		d->ctl.iopl = (c.rflags & FLAG_IOPL) >> 12;
	s->rip = c.rip;
	s->rflags = (c.rflags & IRET_FLAGS) | FLAG_IF | 2;
	s->gpr[RSP] = c.rsp;
	if (c.flags & VGCF_in_syscall) {
		s->gpr[RCX] = s->rip;
		s->gpr[R11] = s->rflags;
	} else {
		s->gpr[RCX] = c.rcx;
		s->gpr[R11] = c.r11;
	}
	s->gpr[RAX] = c.rax; /* before a bad segment pushes a frame */
	set_upcall_mask(d, !(c.rflags & FLAG_IF));
	load_user_segments(d, (uint16_t)(c.cs | 3), (uint16_t)(c.ss | 3));
	return (int64_t)c.rax;
}

int64_t hc_set_trap_table(struct domain *d, const struct hypercall_args *h)
{
	gva_t va = h->a[0];
	struct trap_info t;

	if (va == 0) {
		memset(d->trap.trap, 0, sizeof(d->trap.trap));
		return 0;
	}
	/* A table without an end cannot be longer than one entry per vector. */
	for (unsigned i = 0; i < 4096; i++, va += sizeof(t)) {
		if (copy_from_guest(d, &t, va, sizeof(t)) < 0)
			return -EFAULT;
		if (t.address == 0)
			return 0;
		if (!is_canonical(t.address))
			return -EINVAL;
		d->trap.trap[t.vector] = (struct trap_entry){
			.flags = t.flags, .cs = t.cs | 3, .addr = t.address,
		};
	}
	return 0;
}

int64_t hc_stack_switch(struct domain *d, const struct hypercall_args *h)
{
	d->trap.kernel_ss = (h->a[0] & 0xffff) | 3;
	d->trap.kernel_sp = h->a[1];
	return 0;
}

static int64_t callback_register(struct domain *d, gva_t va)
{
	struct callback_register r;

	if (copy_from_guest(d, &r, va, sizeof(r)) < 0)
		return -EFAULT;
	if (!is_canonical(r.address))
		return -EINVAL;
	switch (r.type) {
	case CALLBACKTYPE_event:
	case CALLBACKTYPE_failsafe:
	case CALLBACKTYPE_syscall:
	case CALLBACKTYPE_nmi:
	case CALLBACKTYPE_sysenter:
	case CALLBACKTYPE_syscall32:
		break;
	default:
		return -ENOSYS;
	}
	d->trap.callback[r.type] = (struct callback){
		.addr = r.address, .mask_events = r.flags & CALLBACKF_mask_events,
	};
	return 0;
}

static int64_t callback_unregister(struct domain *d, gva_t va)
{
	struct callback_unregister u;

	if (copy_from_guest(d, &u, va, sizeof(u)) < 0)
		return -EFAULT;
	switch (u.type) {
	case CALLBACKTYPE_event:
	case CALLBACKTYPE_failsafe:
	case CALLBACKTYPE_syscall:
	case CALLBACKTYPE_sysenter:
	case CALLBACKTYPE_syscall32:
		return -EINVAL;
	case CALLBACKTYPE_nmi:
		d->trap.callback[CALLBACKTYPE_nmi].addr = 0;
		return 0;
	default:
		return -ENOSYS;
	}
}

int64_t hc_callback_op(struct domain *d, const struct hypercall_args *h)
{
	switch ((uint32_t)h->a[0]) {
	case CALLBACKOP_register:
		return callback_register(d, h->a[1]);
	case CALLBACKOP_unregister:
		return callback_unregister(d, h->a[1]);
	default:
		return -ENOSYS;
	}
}

void trap_save(const struct trap_state *t, struct wbuf *w)
{
	for (unsigned i = 0; i < 256; i++) {
		wbuf_u8(w, t->trap[i].flags);
		wbuf_u16(w, t->trap[i].cs);
		wbuf_u64(w, t->trap[i].addr);
	}
	for (unsigned i = 0; i < CALLBACKS; i++) {
		wbuf_u64(w, t->callback[i].addr);
		wbuf_u8(w, t->callback[i].mask_events);
	}
	wbuf_u64(w, t->kernel_ss);
	wbuf_u64(w, t->kernel_sp);
}

int trap_load(struct trap_state *t, struct rbuf *r)
{
	for (unsigned i = 0; i < 256; i++) {
		t->trap[i].flags = rbuf_u8(r);
		t->trap[i].cs = rbuf_u16(r);
		t->trap[i].addr = rbuf_u64(r);
	}
	for (unsigned i = 0; i < CALLBACKS; i++) {
		t->callback[i].addr = rbuf_u64(r);
		t->callback[i].mask_events = rbuf_u8(r);
	}
	t->kernel_ss = rbuf_u64(r);
	t->kernel_sp = rbuf_u64(r);
	return r->bad ? -1 : 0;
}
