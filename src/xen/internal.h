/*
 * internal.h - struct domain and struct vcpu, for src/xen only.
 *
 * The state of the hypervisor is a handful of plain structs, one per subject, in a
 * header with what can be done to it; each has a save and a load.  What lives in guest memory
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
#include "mem/mmu.h"
#include "util/bytes.h"
#include "xen/area.h"
#include "xen/console.h"
#include "xen/ctl.h"
#include "xen/domain.h"
#include "xen/evtchn.h"
#include "xen/grant.h"
#include "xen/hypercall.h"
#include "xen/memory.h"
#include "xen/pin.h"
#include "xen/run.h"
#include "xen/sched.h"
#include "xen/seg.h"
#include "xen/timer.h"
#include "xen/trap.h"
#include "xenstore/xenstore.h"

/* The guest's own id, and its TSC: 4 instructions take 1 ns. */
enum { DOMID = 1 };
#define EFER_VALUE UINT64_C(0xd01) /* SCE LME LMA NXE */
#define TSC_MUL (UINT64_C(1) << 30)

enum { RUNNING = -1, VCPUS = MEM_MMUS };

struct bus;
struct dev;
struct strict;
struct policy;

/* What there is of each virtual CPU; all the rest is the domain's. */
struct vcpu {
	struct domain *d;
	struct cpu *cpu;
	struct mmu *mmu;
	struct trap_state trap;
	struct seg_state seg;
	struct ctl_state ctl;
	struct area_state area;
	struct timer_state timer;
	struct poll_state poll;
	struct fifo_queues fifo;
	uint32_t virq_port[VIRQS]; /* 0: not bound */
	bool blocked;         /* in SCHEDOP_block or SCHEDOP_poll */
	bool check_upcall;
	bool in_multicall;
	bool unfinished;      /* rip is at a string instruction that has begun; not state */
	struct hypercall_progress call;
	struct vcpu_run run;
	uint64_t moment_at;   /* run.c: where it is; not state */
	uint32_t moment;
	uint64_t loaded_at;   /* icount at which domain_load() put it */
	struct cpu_debug debug; /* of DOMAIN_DEBUG; not state */
};

struct domain {
	struct vcpu vcpu[VCPUS];
	struct mem *mem;
	struct source *source;
	struct xenstore *store;
	char *name;
	enum domain_clock clock;
	bool full_digests;
	struct detail *detail;   /* of the last digest; NULL: nobody wants it */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	mfn_t store_ring;

	mfn_t shared_info;
	bool pirq_eoi_map;    /* the guest has given one */
	uint64_t assist;      /* VMASST_TYPE_* bits */
	struct sched_state sched;
	struct evtchn_state ev;
	struct grant_state grant;
	struct console_state con;
	struct pin_state pin;
	struct memory_state memory;
	struct strict *strict; /* strict.h; NULL: any frame may be anything */
	struct policy *policy; /* emulate.h: the CPU that an image says; NULL: ttd's own */
	struct bus *bus;      /* NULL: no devices */
	struct ttd_error failure;   /* of a device; text empty: none */
	struct run_state run;
	uint64_t console_bytes;   /* written by the guest so far; in checkpoints, not digests */

	int ended;            /* RUNNING or enum domain_end */
	char crash[240];
	struct domain_stats stats;
};

/* domain.c */
void domain_end_with(struct domain *d, enum domain_end how);
void domain_crash(struct domain *d, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));
/* The vCPU that runs: whose exit is being handled, or was last. */
static inline struct vcpu *current_vcpu(const struct domain *d)
{
	return (struct vcpu *)&d->vcpu[0];
}
static inline unsigned vcpu_id(const struct vcpu *v) { return (unsigned)(v - v->d->vcpu); }
static inline struct cpu_state *regs_of(struct vcpu *v) { return cpu_state(v->cpu); }
static inline bool is_ram(const struct domain *d, mfn_t mfn)
{
	return mem_is_ram(d->mem, mfn);
}
/* A frame that the guest has: RAM, or one that the hypervisor shares with it. */
static inline bool is_guests(const struct domain *d, mfn_t mfn)
{
	return is_ram(d, mfn) || mfn == d->shared_info || grant_is_shared(&d->grant, mfn);
}
bool strict_not_writable(const struct domain *d, mfn_t mfn); /* strict.c; d->strict only */
/* May the hypervisor write to it unasked?  Not if the guest has pinned it as a page table. */
static inline bool is_writable(const struct domain *d, mfn_t mfn)
{
	return is_guests(d, mfn) && !(is_ram(d, mfn) && d->pin.level[mfn - MEM_FIRST_MFN] != 0) &&
		!(d->strict != NULL && strict_not_writable(d, mfn));
}

#endif
