/*
 * vm.h - a virtual machine: its configuration, its life.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_VM_H
#define TTD_VM_H

#include <ttd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

enum ttd_clock {
	TTD_CLOCK_HOST = 0,    /* guest time follows wall time */
	TTD_CLOCK_VIRTUAL = 1, /* guest time is made of instructions only; idling takes none */
};

/* How much memory a machine may have, in megabytes. */
#define TTD_MEMORY_MIN 64
#define TTD_MEMORY_MAX 65536
#define TTD_MEMORY_DEFAULT 256

/*
 * A disk of the guest.  Its base is never written, but with `direct`: what the
 * guest writes goes to an overlay, which is in the trace of a recording and
 * vanishes after a plain run.
 */
struct ttd_disk {
	const char *name;   /* xvda, xvdb... */
	const char *target; /* a raw file, a block device, nbd:HOST:PORT/EXPORT, nbd+unix://... */
	int read_only, cdrom;
	int direct;         /* writes go to the base (not while recording) */
	int no_discard;     /* the guest is not told that it may discard */
};
#define TTD_DISKS_MAX 16

/*
 * Where the files of a trace are now.  What is NULL or not listed is looked for beside the
 * log, and where it was if this user recorded the trace: because a stranger's says so nothing
 * is opened, written or connected to.  A kernel or ramdisk must be the recorded one.
 */
struct ttd_files {
	const char *kernel, *ramdisk;
	const struct ttd_disk *bases; /* of disks: name and target */
	unsigned nbases;
};

/*
 * `size` is set by TTD_CONFIG_INIT.  As in all structures that begin with it, it lets a newer
 * library take the shorter one of an older program; and an older library the longer one of a
 * newer program, while what it does not know is zero.  The strings are copied.
 */
struct ttd_config {
	size_t size;
	const char *name;       /* of the machine; NULL: "guest" */
	const char *kernel;     /* bzImage or ELF with Xen PV support */
	const char *ramdisk;    /* NULL: none */
	const char *cmdline;    /* NULL: empty */
	uint32_t memory_mb;
	uint32_t maxmem_mb;     /* that its balloon may grow to; 0: memory_mb */
	enum ttd_clock clock;
	int reference;          /* not 0: the slow engine, one instruction at a time */
	int strict_mmu;         /* not 0: page types as under Xen; `note` hears what breaks them */
	uint64_t wallclock_sec; /* guest's date at boot; 0: now, or a fixed date when virtual */
	uint64_t stop_icount;   /* not 0: stop after exactly this many instructions */
	/* Console output, called on the thread of ttd_vm_run(). */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	/* Network interfaces, specified as ttd.cfg(5) says: "user", "mac=...,backend=tap". */
	const char *const *vifs;
	unsigned nvifs;
	const struct ttd_disk *disks;
	unsigned ndisks;
	/* One line about trouble while it runs, on any thread.  May be NULL. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
	/* "v2", "v3" or "max", as ttd(1) says; NULL: v3 where the host has it, else v2. */
	const char *cpu;
	int untrusted;          /* not 0: each access of the guest's programs is checked */
	uint64_t space_after;   /* for tests: instructions until they are not; 0: as is best */
	/*
	 * Not 0: `kernel` is a guest that xl save of a real Xen host wrote, and goes on from
	 * there; memory_mb, ramdisk, cmdline and cpu are not looked at, for they are in it.
	 */
	int restored;
};

enum { TTD_VIFS_MAX = 8 };

/* Is it a specification of one?  `warn` (may be NULL) hears of keys without effect.  -1: *err. */
TTD_API int ttd_vif_check(const char *spec, void (*warn)(void *ctx, const char *line), void *ctx,
	struct ttd_error *err);

#define TTD_CONFIG_INIT \
	{ \
		.size = sizeof(struct ttd_config), .memory_mb = TTD_MEMORY_DEFAULT \
	}

/* A frame that passes a network interface; checksums are filled in. */
struct ttd_packet {
	unsigned vif;      /* the interface's number */
	int sent;          /* by the guest; else received */
	uint64_t guest_ns; /* guest time since boot */
	const unsigned char *bytes;
	size_t len;        /* several TCP segments may travel in one: up to 64 KB */
};
struct ttd_vm;
/* Before a run: fn is called for each, on the thread of ttd_vm_run().  -1: no memory. */
TTD_API int ttd_vm_capture_packets(struct ttd_vm *vm,
	void (*fn)(void *ctx, const struct ttd_packet *f), void *ctx);

/* Why a run ended. */
enum ttd_end {
	TTD_END_POWEROFF = 0,
	TTD_END_REBOOT = 1,  /* the guest wants to boot again: destroy, create, run */
	TTD_END_SUSPEND = 2,
	TTD_END_CRASH = 3,   /* ttd_vm_crash_reason() says why */
	TTD_END_STOPPED = 4, /* ttd_vm_stop(), stop_icount was reached, or a log's end */
	TTD_END_DIVERGED = 5, /* a replay left its recording: see ttd_vm_finish() */
	TTD_ENDS
};
/* "poweroff"; of a number that is none of these "unknown". */
TTD_API const char *ttd_end_name(enum ttd_end end);

/* NULL and *err (which may be NULL) on failure. */
TTD_API struct ttd_vm *ttd_vm_create(const struct ttd_config *cfg, struct ttd_error *err);
TTD_API void ttd_vm_destroy(struct ttd_vm *vm);

/* Runs until the guest ends or is stopped.  One thread at a time. */
TTD_API enum ttd_end ttd_vm_run(struct ttd_vm *vm);

/* One line; empty unless the last run ended with TTD_END_CRASH. */
TTD_API const char *ttd_vm_crash_reason(const struct ttd_vm *vm);

/*
 * Types n bytes on the guest's console.  Any thread.  Returns how many were
 * taken; offer the rest again later.
 */
TTD_API size_t ttd_vm_console_in(struct ttd_vm *vm, const void *p, size_t n);

/* Asks the guest to end by itself: "poweroff" or "reboot".  Any thread. */
TTD_API void ttd_vm_shutdown(struct ttd_vm *vm, const char *how);

/* How much memory the guest is to have (-1: may not, or takes no input), and has.  Any thread. */
TTD_API int ttd_vm_set_memory(struct ttd_vm *vm, uint32_t mb);
TTD_API uint32_t ttd_vm_memory(const struct ttd_vm *vm); /* MB.  Any thread. */

/* Ends ttd_vm_run() soon, whatever the guest does.  Any thread or signal handler. */
TTD_API void ttd_vm_stop(struct ttd_vm *vm);

/* Holds the machine between two instructions, and lets it go on.  Any thread. */
TTD_API void ttd_vm_pause(struct ttd_vm *vm);
TTD_API void ttd_vm_unpause(struct ttd_vm *vm);

enum ttd_vm_state {
	TTD_STATE_RUNNING,
	TTD_STATE_BLOCKED, /* waits for time or input */
	TTD_STATE_PAUSED,
	TTD_STATE_SHUTDOWN, /* ended, and kept: see ttd_control_keep() */
	TTD_STATE_CRASHED,  /* the same */
};
TTD_API enum ttd_vm_state ttd_vm_state(const struct ttd_vm *vm); /* Any thread. */

/* Where the machine is, and a digest of all its memory.  Not during a run. */
struct ttd_position {
	uint64_t icount;     /* instructions retired */
	uint64_t brctr;      /* branches retired */
	uint64_t guest_ns;   /* guest time since boot */
	uint64_t mem_digest; /* XXH3 of all frames */
};
TTD_API void ttd_vm_position(struct ttd_vm *vm, struct ttd_position *pos);

/*
 * Calls fn for every counter that the machine keeps, "hypercall.iret" say,
 * always in the same order.  For people and benchmarks: names may change from
 * version to version.  Not during a run.
 */
TTD_API void ttd_vm_counters(struct ttd_vm *vm,
	void (*fn)(void *ctx, const char *name, uint64_t value), void *ctx);

/*
 * What a run has read of the base of the machine's i-th disk, in the order of
 * the disk: all that another replay would read.  1; 0: there is no such disk.
 * Not during a run.
 */
TTD_API int ttd_vm_disk_reads(struct ttd_vm *vm, unsigned i,
	void (*fn)(void *ctx, uint64_t offset, uint64_t bytes), void *ctx);

#ifdef __cplusplus
}
#endif

#endif
