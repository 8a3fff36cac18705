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
#include "mem/space.h"
#include "xen/internal.h"

#include <string.h>

#include <xen/callback.h>

#include "event/log.h"
#include "xen/guestcopy.h"
#include "xen/witness.h"

enum { BOUNCE_MASK_EVENTS = 1, BOUNCE_ERROR = 2, BOUNCE_RF = 4 };
enum { VEC_SYSCALL32 = 0x80 };

#define KASAN_START UINT64_C(0xffffec0000000000)
#define KASAN_END UINT64_C(0xfffffc0000000000)

/*
 * KASAN keeps a byte for each eight in these addresses (Linux
 * Documentation/x86/x86_64/mm.rst).  Linux has no entry for PV guests that maps them
 * before the first instrumented function, which the entry calls.
 */
static const char *hint(unsigned vector, uint64_t cr2)
{
	return vector == VEC_PF && cr2 >= KASAN_START && cr2 < KASAN_END
		? ": KASAN's shadow memory; a kernel with KASAN has no entry for PV guests" : "";
}

static void bounce(struct vcpu *v, uint64_t handler, unsigned flags, uint32_t error,
	const char *what, unsigned vector)
{
	struct domain *d = v->d;
	struct cpu_state *s = regs_of(v);
	uint64_t frame[8], cs = s->seg[SEG_CS], rflags, sp;
	uint8_t mask = upcall_mask(v);
	struct mem_fault f;
	unsigned n = 0;

	if (handler == 0) {
		domain_crash(d, "%s %u at rip %#llx in %s mode (error %#x, cr2 %#llx), and the "
			"guest has registered no handler%s", what, vector,
			(unsigned long long)s->rip, s->mode == MEM_KERNEL ? "kernel" : "user",
			error, (unsigned long long)v->ctl.cr2, hint(vector, v->ctl.cr2));
		return;
	}
	if (s->mode == MEM_KERNEL) {
		sp = s->gpr[RSP];
		cs &= ~UINT64_C(3);
	} else {
		sp = v->trap.kernel_sp;
		trap_swap_mode(s, MEM_KERNEL);
	}
	rflags = s->rflags & ~(uint64_t)(FLAG_IF | FLAG_IOPL);
	if (mask == 0)
		rflags |= FLAG_IF;
	if (d->assist & (1u << VMASST_TYPE_architectural_iopl))
		rflags |= (uint64_t)v->ctl.iopl << 12;
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
	if (mmu_copy_out(v->mmu, MEM_KERNEL, sp, frame, n * 8, &f) < 0) {
		domain_crash(d, "cannot push the frame of %s %u to the kernel stack at %#llx "
			"(page fault at %#llx, error %#x; rip %#llx)", what, vector,
			(unsigned long long)sp, (unsigned long long)f.va, f.error,
			(unsigned long long)s->rip);
		return;
	}
	if (flags & BOUNCE_MASK_EVENTS)
		set_upcall_mask(v, 1);
	s->gpr[RSP] = sp;
	s->rflags &= ~(uint64_t)(FLAG_AC | FLAG_VM | FLAG_RF | FLAG_NT | FLAG_TF);
	seg_flat_kernel(s);
	s->rip = handler;
}

static void enter_trap(struct vcpu *v, unsigned vector, unsigned flags, uint32_t error)
{
	const struct trap_entry *t = &v->trap.trap[vector];

	if (t->flags & 4)
		flags |= BOUNCE_MASK_EVENTS;
	bounce(v, t->addr, flags, error, "exception", vector);
}

void trap_exception(struct vcpu *v, unsigned vector, bool has_error, uint32_t error)
{
	struct cpu_state *s = regs_of(v);

	v->d->stats.exceptions++;
	witness(v, WITNESS_EXCEPTION, (has_error ? LOG_ERROR : 0) |
		(vector == VEC_PF ? LOG_CR2 : 0), vector & 0xff, error,
		vector == VEC_PF ? v->ctl.cr2 : 0);
	if (vector == VEC_DB)
		ctl_debug(v, error);
	enter_trap(v, vector & 0xff, (has_error ? BOUNCE_ERROR : 0) |
		(vector != VEC_DB && vector != VEC_NMI ? BOUNCE_RF : 0), error);
	if (vector == VEC_NM)
		s->ts = 0; /* Xen clears the virtual TS when it hands out #NM */
}

void trap_page_fault(struct vcpu *v, uint64_t cr2, uint32_t error)
{
	struct cpu_state *s = regs_of(v);

	error &= ~(uint32_t)PF_U;
	if (s->mode == MEM_USER)
		error |= PF_U;
	v->ctl.cr2 = cr2;
	vinfo_put64(v, offsetof(struct vcpu_info, arch.cr2), cr2);
	trap_exception(v, VEC_PF, true, error);
}

/*
 * int n: the guest's trap table has the say about DPL; its kernel counts as
 * ring 1, or 0 with architectural IOPL.  int3, into and int1 have gates of their own that anyone may use.
 */
void trap_int(struct vcpu *v, unsigned vector, unsigned len)
{
	const struct trap_entry *t = &v->trap.trap[vector & 0xff];
	unsigned cpl = ctl_cpl(v);
	bool open = vector == VEC_BP || vector == VEC_OF || (vector == VEC_DB && len == 1) ||
		(vector == VEC_SYSCALL32 && t->addr != 0);

	vector &= 0xff;
	if (!open && (t->flags & 3u) < cpl) {
		trap_gp(v, vector << 3 | 2);
		return;
	}
	cpu_retire(v->cpu, len);
	v->d->stats.exceptions++;
	witness(v, WITNESS_EXCEPTION, 0, vector, 0, 0);
	enter_trap(v, vector, 0, 0);
}

static void enter_callback(struct vcpu *v, unsigned type, const char *what)
{
	const struct callback *c = &v->trap.callback[type];

	bounce(v, c->addr, c->mask_events ? BOUNCE_MASK_EVENTS : 0, 0, what, type);
}

/* syscall in user mode.  On an Intel CPU, which we show, compat code has none. */
void trap_syscall(struct vcpu *v, unsigned len)
{
	struct cpu_state *s = regs_of(v);

	if (!s->code64 || v->trap.callback[CALLBACKTYPE_syscall].addr == 0) {
		trap_ud(v);
		return;
	}
	cpu_retire(v->cpu, len);
	v->d->stats.syscalls++;
	s->gpr[RCX] = s->rip;
	s->gpr[R11] = s->rflags;
	s->seg[SEG_CS] = FLAT_KERNEL_CS64;
	s->seg[SEG_SS] = FLAT_KERNEL_SS64;
	enter_callback(v, CALLBACKTYPE_syscall, "system call callback");
	s->rflags &= ~(uint64_t)FLAG_DF; /* the handler's: frame and r11 keep the user's */
}

/*
 * sysenter: the CPU keeps neither rip nor rsp, the guest's stub knows them; the #GP
 * of a guest without one shows zeros, too.
 */
void trap_sysenter(struct vcpu *v, unsigned len)
{
	struct cpu_state *s = regs_of(v);

	cpu_retire(v->cpu, len);
	s->gpr[RSP] = 0;
	s->rip = 0;
	s->seg[SEG_CS] = 3;
	s->seg[SEG_SS] = FLAT_USER_SS64;
	if (v->trap.callback[CALLBACKTYPE_sysenter].addr == 0) {
		trap_gp(v, 0);
		return;
	}
	v->d->stats.syscalls++;
	enter_callback(v, CALLBACKTYPE_sysenter, "sysenter callback");
}

/* One NMI at a time: until the next HYPERVISOR_iret. */
static bool nmi_due(const struct vcpu *v)
{
	return v->trap.nmi_pending && !v->trap.nmi_masked;
}

/* With no handler it is lost. */
static bool deliver_nmi(struct vcpu *v)
{
	v->trap.nmi_pending = false;
	if (v->trap.trap[VEC_NMI].addr == 0)
		return false;
	v->trap.nmi_masked = true;
	trap_exception(v, VEC_NMI, false, 0);
	return true;
}

static bool event_due(struct vcpu *v)
{
	return upcall_pending(v) && upcall_mask(v) == 0 &&
		v->trap.callback[CALLBACKTYPE_event].addr != 0;
}

/* An event that comes before a callback is registered waits. */
bool trap_upcall_due(struct vcpu *v)
{
	return nmi_due(v) || event_due(v);
}

/* Delivers an NMI, or else the event upcall; check_upcall: there may be another. */
bool trap_upcall(struct vcpu *v)
{
	v->check_upcall = false;
	if (nmi_due(v) && deliver_nmi(v)) {
		v->check_upcall = true;
		return true;
	}
	if (!event_due(v))
		return false;
	v->d->stats.upcalls++;
	witness(v, WITNESS_UPCALL, 0, 0, 0, 0);
	bounce(v, v->trap.callback[CALLBACKTYPE_event].addr, BOUNCE_MASK_EVENTS, 0,
		"event callback", 0);
	return true;
}

/*
 * A target that iret cannot load faults as if it had already got there.  Xen
 * leaves by iretq, and after VGCF_in_syscall by sysretq, which keeps selectors.
 */
static void load_user_segments(struct vcpu *v, uint16_t cs, uint16_t ss, bool iretq)
{
	struct cpu_state *s = regs_of(v);
	uint16_t bad;
	unsigned vector = seg_load_both(v, cs, ss, &bad);

	if (vector == 0 && !s->code64 && s->rip > UINT32_MAX) {
		trap_gp(v, 0); /* beyond its limit */
	} else if (vector != 0) {
		s->seg[SEG_CS] = cs;
		s->seg[SEG_SS] = ss;
		trap_exception(v, vector, true, bad & ~3u);
	} else if (iretq) {
		seg_clear_null(s);
	}
}

int64_t hc_iret(struct vcpu *v, const struct hypercall_args *h)
{
	struct domain *d = v->d;
	struct cpu_state *s = regs_of(v);
	struct iret_context c;

	(void)h;
	if (copy_from_guest(v, &c, s->gpr[RSP], sizeof c) < 0) {
		domain_crash(d, "HYPERVISOR_iret: cannot read its frame at rsp %#llx (rip %#llx)",
			(unsigned long long)s->gpr[RSP], (unsigned long long)s->rip);
		return 0;
	}
	if ((c.cs & 3) == 3) {
		if (mmu_root(v->mmu, MEM_USER) == MFN_NONE) {
			domain_crash(d, "HYPERVISOR_iret to user mode without a user page table "
				"(rip %#llx)", (unsigned long long)s->rip);
			return 0;
		}
		trap_swap_mode(s, MEM_USER);
		mem_space_result(d->mem, c.rax, s->gpr[RSI]);
	}
	if (d->assist & (1u << VMASST_TYPE_architectural_iopl))
		v->ctl.iopl = (c.rflags & FLAG_IOPL) >> 12;
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
	set_upcall_mask(v, !(c.rflags & FLAG_IF));
	v->trap.nmi_masked = false;
	load_user_segments(v, (uint16_t)(c.cs | 3), (uint16_t)(c.ss | 3),
		!(c.flags & VGCF_in_syscall));
	return (int64_t)c.rax;
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
	wbuf_u8(w, t->nmi_pending);
	wbuf_u8(w, t->nmi_masked);
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
	t->nmi_pending = rbuf_u8(r) != 0;
	t->nmi_masked = rbuf_u8(r) != 0;
	return r->bad ? -1 : 0;
}
