/*
 * domain.h - one Xen PV guest: build it, run it, talk to its console.
 *
 * domain_run() is called by one thread, which becomes the vCPU thread.  The
 * functions marked [any thread] only queue a request; it reaches the guest
 * through the event source, at an exact position.
 */
#ifndef TTD_XEN_DOMAIN_H
#define TTD_XEN_DOMAIN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/err.h"

/*
 * One more whenever the guest is shown another Xen: CPUID policy, hypercall results,
 * start-of-day layout (loader/), xenstore contents, what a device does.  Then a log of
 * another version is refused, and test/golden needs a new tour.
 */
enum { ABI_VERSION = 3 };

enum domain_clock {
	CLOCK_HOST,    /* guest time follows wall time */
	CLOCK_VIRTUAL, /* guest time is a function of instructions only; idle jumps */
};

struct dev;
struct space_stats;
struct source;
struct source_pos;
struct live_params;

struct domain_config {
	const char *name;
	const char *kernel, *ramdisk, *cmdline; /* ramdisk, cmdline may be NULL */
	bool restored;           /* `kernel` is an image of xl save: restore.h */
	const char *unpacked;    /* folder that keeps unpacked kernels, or NULL */
	uint32_t memory_mb;      /* that the guest has at first */
	uint32_t maxmem_mb;      /* that it may ever have, at least memory_mb */
	enum domain_clock clock;
	bool reference;          /* one-instruction engine */
	bool untrusted;          /* every access of the guest's programs is checked: mem/space.h */
	uint64_t space_after;    /* instructions before one is unchecked; 0: as is best */
	bool strict_mmu;         /* frames have types, as under Xen: strict.h */
	uint64_t isa;            /* of the vCPU, beyond x86-64-v2: cpu/isa.h; the host has it */
	uint8_t seed[16];        /* of its rdrand and rdseed */
	void (*note)(void *ctx, const char *line); /* what breaks its rules; may be NULL */
	void *note_ctx;
	uint64_t wallclock_sec;  /* guest's wall clock at boot; 0: host's for CLOCK_HOST,
	                            a fixed date for CLOCK_VIRTUAL */
	uint64_t stop_icount;    /* stop there when not 0 */
	uint64_t stop_brctr;     /* stop at the first instruction after this many branches */
	bool profile;            /* measure host_exit_ns */
	/*
	 * Makes the event source (event/source.h) that the domain then owns: a
	 * recorder, a replayer.  `live` says how a live one would be made.
	 * NULL: a live one.
	 */
	struct source *(*source)(void *ctx, const struct live_params *live, struct ttd_error *e);
	void *source_ctx;
	/* Devices (dev/bus.h), borrowed until domain_destroy(). */
	struct dev *const *devices;
	unsigned ndevices;
	/* Console output, called on the vCPU thread; must not block for long. */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
};

enum domain_end {
	DOMAIN_POWEROFF,
	DOMAIN_REBOOT,
	DOMAIN_SUSPEND,
	DOMAIN_CRASH,   /* domain_crash_reason() says why in one line */
	DOMAIN_STOPPED, /* domain_stop(), stop_icount or stop_brctr reached, a log's end */
	DOMAIN_DIVERGED, /* the replay does something else than its recording */
	DOMAIN_DEBUG,    /* at a breakpoint or watch: domain_debug(); may be run on */
};

struct domain_stats {
	uint64_t icount, brctr, mem_digest;
	uint64_t guest_ns;       /* guest time since boot */
	uint64_t hypercalls, exceptions, upcalls, syscalls;
	uint64_t hypercall_count[64];
	uint64_t host_exit_ns[8]; /* time per class of exit that left the engine, when profiling */
};

struct domain;
struct cpu_debug;

struct domain *domain_create(const struct domain_config *cfg, struct ttd_error *e);
void domain_destroy(struct domain *d);
enum domain_end domain_run(struct domain *d);
enum domain_end domain_ended(const struct domain *d); /* how the last run did */
bool domain_over(const struct domain *d); /* it has ended for good */
/* A replaying domain leaves its log, and runs on by a live source from here. */
int domain_go_live(struct domain *d, struct ttd_error *e);
const char *domain_crash_reason(const struct domain *d);
/* A device ended the run for what is wrong on the host; NULL: none did. */
const struct ttd_error *domain_failure(const struct domain *d);

/*
 * Places in a run.  Between two steps of its run loop a domain is at `icount`
 * and there at a *moment*: 0 when it has just come there (with all that the
 * last instruction did, a whole hypercall say, and before any input, timer,
 * upcall or exception there), one more for each upcall or exception that it
 * has been given there since.  Moments depend on what the guest does only;
 * halting at one is not noticed by the guest.
 */
enum domain_halt {
	HALT_REACHED,
	HALT_ENDED,       /* domain_run() says how */
	HALT_DEBUG,       /* domain_debug() */
	HALT_INTERRUPTED, /* by domain_interrupt() */
};
struct domain_until {
	uint64_t icount; /* there, or the next place when there is no such moment */
	uint32_t moment;
	uint64_t brctr;  /* or when this many branches have retired; 0: never */
	uint64_t tsc;    /* or when guest time has come to this, which idling may have done: 0: never */
};
enum domain_halt domain_run_to(struct domain *d, const struct domain_until *until);
uint32_t domain_moment(const struct domain *d);
/* The last moment of the icount before; false: not known, domain_load() came here. */
bool domain_moment_before(const struct domain *d, uint32_t *moment);
bool domain_inside(const struct domain *d); /* of a string instruction: at no proper place */
struct source_pos domain_where(struct domain *d);
/* Does domain_run_to() halt soon, at a proper place.  [any thread, async-signal-safe] */
void domain_interrupt(struct domain *d);
uint64_t domain_console_bytes(const struct domain *d); /* written by the guest so far */

/*
 * All of a domain's state but its frames, at a moment 0; and back, after its
 * frames were restored (mem_restore_frame()).  -1: nonsense, and the domain is
 * of no use before a load that succeeds.
 */
struct wbuf;
struct rbuf;
void domain_save(struct domain *d, struct wbuf *w);
int domain_load(struct domain *d, struct rbuf *r);

void domain_console_in(struct domain *d, const void *p, size_t n); /* [any thread] */
void domain_shutdown(struct domain *d, const char *how); /* [any thread] "poweroff", "reboot" */
/*
 * [any thread] Sets memory/target, which the guest's balloon follows, and what it may
 * have.  -1: more than maxmem, or inputs are not taken.  And how much it has, in KiB.
 */
int domain_set_memory(struct domain *d, uint64_t kib);
uint64_t domain_memory(const struct domain *d); /* [any thread] */
void domain_stop(struct domain *d); /* [any thread, async-signal-safe] end domain_run() soon */

/* What a log's END holds: position and digests; `text` is why it crashed. */
struct log_end;
void domain_get_end(struct domain *d, struct log_end *end);
/* What changed since the last digest, once, at the end.  NULL: not known. */
struct detail;
struct detail *domain_end_detail(struct domain *d);
/* Digests look at all memory each time, not only at what was written since the last one. */
void domain_set_full_digests(struct domain *d, bool full);
uint64_t domain_frames(uint64_t maxmem_mb); /* of a domain that may have so much memory */
uint64_t domain_tsc_mul(void); /* of every domain: guest ns = icount * this / 2^32 */

void domain_get_stats(struct domain *d, struct domain_stats *s); /* digests all memory */
/* What a stopped guest's memory and CPU hold, for looking at. */
struct mem *domain_mem(struct domain *d);
struct mmu *domain_mmu(struct domain *d); /* of domain_vcpu() */
/* Do processes that are forked from now on have the machine?  At first they do. */
void domain_fork(struct domain *d, bool too);
/*
 * A replayed domain goes on in the child of a fork: before it no thread of a device's is at
 * work, after it, in the child, devices get threads and files of their own.
 */
void domain_quiet(struct domain *d);
int domain_forked(struct domain *d, struct ttd_error *e);
const struct cpu_state *domain_cpu(struct domain *d);
struct domain_control {
	uint64_t cr0, cr2, cr4, efer;
};
void domain_get_control(struct domain *d, struct domain_control *c);
/* The vCPU, for breakpoints; and what DOMAIN_DEBUG last ended a run. */
struct cpu *domain_vcpu(struct domain *d);
const struct cpu_debug *domain_debug(const struct domain *d);
/* For --stats and the benchmarks. */
const struct cpu_stats *domain_cpu_stats(const struct domain *d);
const struct mem_stats *domain_mem_stats(const struct domain *d);
const struct space_stats *domain_space_stats(const struct domain *d);

#endif
