/*
 * internal.h - inside of struct domain, for src/xen only.
 *
 * The state of the hypervisor is a handful of plain structs, one per file
 * that owns it, each with a save and a load.  What lives in guest memory
 * (shared_info, vcpu_info, rings, descriptor tables) is not copied here: the
 * frames are the state.
 *
 * Invariants:
 *  D1. Pointers, sizes and indices from the guest are copied first, then
 *      checked.  A wild pointer in a hypercall gives -EFAULT.
 *  D2. Frames that the guest can see are written with mem_write_frame() only.
 *  D3. ended != RUNNING means that the run loop leaves before it runs another
 *      instruction; the first reason given stays.
 *  D4. check_upcall is set by whatever may have made an event deliverable at
 *      a position that a replay reaches in the same way, and by nothing else.
 */
#ifndef TTD_XEN_INTERNAL_H
#define TTD_XEN_INTERNAL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Before any of Xen's headers; not what their default is. */
#define __XEN_INTERFACE_VERSION__ __XEN_LATEST_INTERFACE_VERSION__
#include <xen/xen.h>

#include "cpu/cpu.h"
#include "event/source.h"
#include "mem/mem.h"
#include "util/bytes.h"
#include "xen/domain.h"
#include "xen/xenstore.h"

/* The guest's own id, and its TSC: 4 instructions take 1 ns. */
enum { DOMID = 1 };
#define EFER_VALUE UINT64_C(0xd01) /* SCE LME LMA NXE */
#define TSC_MUL (UINT64_C(1) << 30)

/* The machine-to-phys table starts at the hole's start (Xen's asm-x86/config.h). */
#define M2P_START UINT64_C(0xffff800000000000)
#define M2P_END UINT64_C(0xffff804000000000)

enum {
	GRANT_FRAMES = 32,
	PORT_STORE = 1, PORT_CONSOLE = 2,
	PORTS = 4096,         /* of the 2-level ABI on x86-64 */
	GDT_FRAMES = 14,      /* entries from 0xe000 up are Xen's */
	CONSOLE_BACKLOG_MAX = 1 << 20,
};

/* trap.c */
struct trap_entry {
	uint8_t flags; /* bits 0-1 DPL, bit 2: mask events */
	uint16_t cs;
	uint64_t addr; /* 0: none */
};

struct callback {
	uint64_t addr; /* 0: none */
	uint8_t mask_events;
};

enum { CALLBACKS = 8 }; /* by CALLBACKTYPE_* */

struct trap_state {
	struct trap_entry trap[256];
	struct callback callback[CALLBACKS];
	uint64_t kernel_ss, kernel_sp;
};

/* seg.c */
struct seg_state {
	mfn_t gdt_mfn[GDT_FRAMES];
	uint32_t gdt_entries;
	uint64_t ldt_va;
	uint32_t ldt_entries;
};

/* ctl.c: control and debug registers, I/O privilege, assists. */
struct ctl_state {
	uint64_t dr[8];
	uint64_t cr2, cr4;
	uint8_t iopl;
	uint64_t iobmp; /* guest address of the I/O permission bitmap */
	uint32_t iobmp_limit;
	uint64_t assist; /* VMASST_TYPE_* bits */
};

/* vcpu.c: the areas shared with the guest. */
struct area_state {
	mfn_t shared_info;
	mfn_t info_mfn; /* vcpu_info */
	uint32_t info_off;
	bool info_moved;
	uint64_t runstate_va, time_va; /* 0: none */
};

/* timer.c */
struct timer_state {
	uint64_t deadline;    /* guest ns, SOURCE_NEVER: not armed */
	uint64_t period;      /* ns, 0: none */
	uint64_t period_next;
};

/* evtchn.c */
struct port {
	uint8_t type; /* EVTCHNSTAT_* */
	uint8_t virq; /* EVTCHNSTAT_virq */
	uint16_t remote_dom;
	uint32_t remote_port;
};

enum { VIRQS = 24 };

struct evtchn_state {
	struct port port[PORTS];
	uint16_t virq_port[VIRQS]; /* 0: not bound */
};

/* grant.c */
struct grant_state {
	mfn_t first; /* of GRANT_FRAMES frames */
	uint32_t nr_frames;
};

/* console.c */
struct console_state {
	mfn_t ring;
	uint32_t port;
	uint8_t *in; /* typed but not yet in the ring */
	size_t in_len;
};

/* pin.c: what the guest pinned, one byte per RAM frame: 0 or the level. */
struct pin_state {
	uint8_t *level;
	uint64_t n;
	uint32_t *seen;     /* per frame: the operation that visited it last; not state */
	uint32_t operation;
};

/* hypercall.c */
struct hypercall_args {
	uint64_t a[6];
};
/* How far the hypercall in progress has come; nothing of it outlives the call. */
struct hypercall_progress {
	uint32_t work;   /* done so far, in units of a page-table entry */
	bool again;      /* stopped half-way: to be called again, with args */
	struct hypercall_args args;
};

enum { RUNNING = -1 };

struct bus;
struct dev;

struct domain {
	struct mem *mem;
	struct cpu *cpu;
	struct source *source;
	struct xenstore *store;
	char *name;
	enum domain_clock clock;
	bool profile;
	uint64_t stop_icount, stop_brctr;
	bool full_digests;
	struct detail *detail;   /* of the last digest; NULL: nobody wants it */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	mfn_t store_ring;

	struct trap_state trap;
	struct seg_state seg;
	struct ctl_state ctl;
	struct area_state area;
	struct timer_state timer;
	struct evtchn_state ev;
	struct grant_state grant;
	struct console_state con;
	struct pin_state pin;
	struct bus *bus;      /* NULL: no devices */
	struct err failure;   /* of a device; text empty: none */
	bool blocked;         /* in SCHEDOP_block */
	bool check_upcall;
	bool in_multicall;
	struct hypercall_progress call;
	uint64_t unfinished_since; /* host's ns; a stop waits for a string instruction; not state */
	volatile bool stop_asked; /* by any thread: domain_stop(); not state */
	uint64_t stuck_at;    /* run.c: icount of the last exception, */
	uint32_t stuck;       /* and how many there were before it at that icount */
	uint64_t polled;      /* run.c: icount at which inputs were last taken */
	uint64_t due;         /* run.c: icount before which nothing is due; 0: find out; not state */
	bool kicked;          /* run.c: inputs wait; not state, a replay has no kicks */
	/* run.c, domain_run_to(): where to halt, and where we are.  Not state. */
	struct domain_until until;
	uint64_t moment_at;
	uint64_t loaded_at;   /* icount at which domain_load() put it */
	uint32_t moment;
	bool unfinished;          /* rip is at a string instruction that has begun */
	volatile bool interrupted; /* by any thread */
	uint64_t console_bytes;   /* written by the guest so far; in checkpoints, not digests */

	int ended;            /* RUNNING or enum domain_end */
	struct cpu_debug debug; /* of DOMAIN_DEBUG; not state */
	char crash[240];
	struct domain_stats stats;
};

/* domain.c */
void domain_end_with(struct domain *d, enum domain_end how);
void domain_crash(struct domain *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
static inline struct cpu_state *regs_of(struct domain *d) { return cpu_state(d->cpu); }
static inline bool is_ram(const struct domain *d, mfn_t mfn)
{
	return mfn - MEM_FIRST_MFN < mem_ram_pages(d->mem);
}
static inline bool is_canonical(uint64_t va)
{
	return (uint64_t)((int64_t)(va << 16) >> 16) == va;
}

/*
 * machine.c: a domain without a kernel: frames, M2P, shared_info, ports.
 * machine_init() expects mem, cpu and source in *d; machine_frames() is the
 * number of extra frames it wants of `ram` pages of RAM.  machine_start() comes
 * last: guest time 0 is then.
 */
uint64_t machine_frames(uint64_t ram);
int machine_init(struct domain *d, struct err *e);
void machine_start(struct domain *d);
void machine_fini(struct domain *d);

/* Copies for hypercall arguments; 0 or -EFAULT. */
int copy_from_guest(struct domain *d, void *dst, gva_t src, size_t n);
int copy_to_guest(struct domain *d, gva_t dst, const void *src, size_t n);

/*
 * witness.c: tells the source what the guest does, for a recorder or replayer
 * (enum witness_type and log_flag); nothing happens when it does not listen.
 */
void witness_tell(struct domain *d, unsigned type, unsigned flags, uint32_t code,
	uint32_t error, uint64_t value);
void witness_start(struct domain *d);
void witness_digest(struct domain *d);
void witness_frame(struct domain *d, unsigned device, const void *p, size_t n);
static inline void witness(struct domain *d, unsigned type, unsigned flags, uint32_t code,
	uint32_t error, uint64_t value)
{
	if (d->source->ops->witness != NULL)
		witness_tell(d, type, flags, code, error, value);
}

/* run.c */
void run_step(struct domain *d);
bool run_reached(const struct domain *d);
void apply_event(struct domain *d, const struct event *ev);
struct source_pos position(struct domain *d);
void handle_exit(struct domain *d, const struct cpu_exit *x);

/* hypercall.c */
typedef int64_t hypercall_fn(struct domain *d, const struct hypercall_args *h);
void hypercall(struct domain *d);
const char *hypercall_name(unsigned nr); /* NULL: none such */
/* Counts work; true when a long call should give way, by hypercall_again(). */
bool hypercall_work(struct domain *d, uint32_t units);
int64_t hypercall_again(struct domain *d, const struct hypercall_args *h);

hypercall_fn hc_set_trap_table, hc_mmu_update, hc_set_gdt, hc_stack_switch,
	hc_fpu_taskswitch, hc_set_debugreg, hc_get_debugreg, hc_update_descriptor,
	hc_memory_op, hc_multicall, hc_update_va_mapping, hc_set_timer_op,
	hc_xen_version, hc_console_io, hc_grant_table_op, hc_vm_assist, hc_iret,
	hc_vcpu_op, hc_set_segment_base, hc_mmuext_op, hc_sched_op, hc_callback_op,
	hc_event_channel_op, hc_physdev_op, hc_xenpmu_op;

/* trap.c */
enum { BOUNCE_MASK_EVENTS = 1, BOUNCE_ERROR = 2, BOUNCE_RF = 4 };
void trap_exception(struct domain *d, unsigned vector, bool has_error, uint32_t error);
void trap_page_fault(struct domain *d, uint64_t cr2, uint32_t error);
void trap_int(struct domain *d, unsigned vector, unsigned len);
void trap_syscall(struct domain *d, unsigned len);
void trap_sysenter(struct domain *d, unsigned len);
bool trap_upcall(struct domain *d); /* true: it did */
bool trap_upcall_due(struct domain *d);
void trap_save(const struct trap_state *t, struct wbuf *w);
int trap_load(struct trap_state *t, struct rbuf *r);
static inline void trap_gp(struct domain *d, uint32_t error)
{
	trap_exception(d, 13, true, error);
}
static inline void trap_ud(struct domain *d)
{
	trap_exception(d, 6, false, 0);
}

/* seg.c */
struct descriptor {
	uint32_t lo, hi;
};
bool seg_lookup(struct domain *d, uint16_t sel, struct descriptor *out);
/* Error code of a failed load is sel without its RPL; returns the vector or 0. */
unsigned seg_load_data(struct domain *d, enum cpu_seg seg, uint16_t sel);
unsigned seg_load_ss(struct domain *d, uint16_t sel, bool null_ok);
unsigned seg_load_cs(struct domain *d, uint16_t sel);
/* For iret: both or none; *bad is the one that cannot be loaded. */
unsigned seg_load_both(struct domain *d, uint16_t cs, uint16_t ss, uint16_t *bad);
unsigned seg_check_cs(struct domain *d, uint16_t sel, struct descriptor *out);
unsigned seg_check_ss(struct domain *d, uint16_t sel, struct descriptor *out);
void seg_flat_kernel(struct cpu_state *s); /* cs and ss as on every kernel entry */
bool seg_fix_descriptor(struct descriptor *desc);
int64_t seg_set_ldt(struct domain *d, uint64_t va, uint64_t entries);
void seg_save(const struct seg_state *s, struct wbuf *w);
int seg_load_state(struct seg_state *s, struct rbuf *r);
uint32_t desc_base(const struct descriptor *desc);

/* segop.c, farxfer.c: instructions on selectors, from the table in priv.c */
typedef void priv_fn(struct domain *d, const struct cpu_exit *x);
priv_fn priv_load_seg, priv_lar, priv_lsl, priv_verr, priv_verw, priv_store_table,
	priv_iret, priv_far_ret, priv_far_jmp, priv_far_call;

/* priv.c, portio.c, cpuid.c, msr.c, ctl.c */
void priv_emulate(struct domain *d, const struct cpu_exit *x);
void priv_set_reg(struct cpu_state *s, unsigned reg, unsigned size, uint64_t value);
priv_fn priv_in, priv_out;
struct cpuid_regs {
	uint32_t eax, ebx, ecx, edx;
};
void cpuid_policy(uint32_t leaf, uint32_t subleaf, struct cpuid_regs *out);
bool msr_read(struct domain *d, uint32_t msr, uint64_t *value);
bool msr_write(struct domain *d, uint32_t msr, uint64_t value);
void ctl_init(struct ctl_state *c);
void ctl_debug(struct domain *d, uint32_t dr6); /* #DB sets these bits */
void ctl_arm(struct domain *d);                 /* makes the CPU know the breakpoints */
uint64_t ctl_cr0(struct domain *d);
void ctl_set_cr4(struct domain *d, uint64_t value);
int ctl_set_dr(struct domain *d, unsigned nr, uint64_t value);
int ctl_get_dr(struct domain *d, unsigned nr, uint64_t *value);
bool ctl_iopl_ok(struct domain *d);
void ctl_save(const struct ctl_state *c, struct wbuf *w);
int ctl_load(struct ctl_state *c, struct rbuf *r);

/* vcpu.c */
void area_init(struct domain *d, uint64_t wallclock_ns);
uint8_t vinfo_get8(struct domain *d, unsigned off);
uint64_t vinfo_get64(struct domain *d, unsigned off);
void vinfo_put8(struct domain *d, unsigned off, uint8_t v);
void vinfo_put64(struct domain *d, unsigned off, uint64_t v);
bool upcall_pending(struct domain *d);
uint8_t upcall_mask(struct domain *d);
void set_upcall_mask(struct domain *d, uint8_t mask);
void area_save(const struct area_state *a, struct wbuf *w);
int area_load(struct area_state *a, struct rbuf *r);

/* timer.c */
void timer_init(struct timer_state *t);
uint64_t timer_next(const struct timer_state *t); /* guest ns or SOURCE_NEVER */
uint64_t icount_at(struct domain *d, uint64_t ns); /* the first at or after a guest time */
uint64_t timer_icount(struct domain *d);
void timer_expire(struct domain *d); /* raises VIRQ_TIMER for what is due */
void timer_advance(struct domain *d, uint64_t ns); /* moves the guest's clock */
void timer_set(struct domain *d, uint64_t deadline);
void timer_save(const struct timer_state *t, struct wbuf *w);
int timer_load(struct timer_state *t, struct rbuf *r);

/* evtchn.c */
void evtchn_init(struct evtchn_state *s);
void evtchn_set_pending(struct domain *d, uint32_t port);
void evtchn_raise_virq(struct domain *d, unsigned virq);
void evtchn_save(const struct evtchn_state *s, struct wbuf *w);
int evtchn_load(struct evtchn_state *s, struct rbuf *r);

/* grant.c */
mfn_t grant_frame(struct domain *d, uint32_t ref, bool write); /* MFN_NONE: refused */
void grant_save(const struct grant_state *g, struct wbuf *w);
int grant_load(struct grant_state *g, struct rbuf *r);

/* console.c, store.c */
void console_kick(struct domain *d); /* the guest sent the console port */
void console_written(struct domain *d, const void *p, size_t n);
void console_input(struct domain *d, const void *p, size_t n);
void console_save(const struct console_state *c, struct wbuf *w);
int console_load(struct console_state *c, struct rbuf *r);
int store_init(struct domain *d, struct err *e);
int store_populate(struct domain *d, struct err *e);

/* bus.c */
int bus_attach(struct domain *d, struct dev *dev, struct err *e); /* before the guest starts */
void bus_detach_all(struct domain *d);
void bus_notify(struct domain *d, uint32_t port);
void bus_port_closed(struct domain *d, uint32_t port);
void bus_apply(struct domain *d, const struct event *ev);
uint64_t bus_due(const struct domain *d); /* guest ns or SOURCE_NEVER */
void bus_expire(struct domain *d);
uint64_t bus_content(struct domain *d);
void bus_save(const struct domain *d, struct wbuf *w, bool digest);
int bus_load(struct domain *d, struct rbuf *r);

/* pin.c */
int pin_init(struct pin_state *p, uint64_t ram_pages);
void pin_free(struct pin_state *p);
int64_t pin_table(struct domain *d, mfn_t mfn, unsigned level);
int64_t unpin_table(struct domain *d, mfn_t mfn);
void pin_save(const struct pin_state *p, struct wbuf *w);
int pin_load(struct pin_state *p, struct rbuf *r);
bool ptwr_fault(struct domain *d, gva_t va, uint32_t error); /* ptwr.c: handled */

/*
 * state.c: all of the above, without frames and vCPU.  digest: what a digest
 * covers, which is the same in every run; not for xen_load().
 */
void xen_save(const struct domain *d, struct wbuf *w);
void xen_save_digest(const struct domain *d, struct wbuf *w);
int xen_load(struct domain *d, struct rbuf *r);

#endif
