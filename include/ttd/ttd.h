/*
 * ttd.h - libttd: run an unmodified Xen paravirtual Linux guest inside this
 * process, instruction by instruction, exactly and repeatably.
 *
 * A virtual machine is created from a configuration and run by one thread,
 * which becomes its CPU until the run ends.  Other threads may feed its
 * console, ask it to shut down or stop it.  Nothing here keeps state outside
 * the objects you hold, so one process may run many machines.
 *
 *	struct ttd_config cfg = TTD_CONFIG_INIT;
 *	struct ttd_error err;
 *	struct ttd_vm *vm;
 *
 *	cfg.kernel = "vmlinuz";
 *	cfg.cmdline = "console=hvc0";
 *	vm = ttd_vm_create(&cfg, &err);
 *	if (vm == NULL)
 *		errx(1, "%s", err.text);
 *	if (ttd_vm_run(vm) == TTD_END_CRASH)
 *		warnx("%s", ttd_vm_crash_reason(vm));
 *	ttd_vm_destroy(vm);
 *
 * The calling thread of ttd_vm_run() runs guest code with a stack pointer
 * that is the guest's.  A signal handler that may run on it must be installed
 * with SA_ONSTACK; better, block the signal there and handle it elsewhere.
 *
 * Link with -lttd.  All names begin with ttd_ or TTD_.
 */
#ifndef TTD_TTD_H
#define TTD_TTD_H

#include <stddef.h>
#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

#define TTD_API __attribute__((visibility("default")))

/* The library's version, as "0.1.0". */
TTD_API const char *ttd_version(void);

/* What ttd's programs exit with, and what kind of error it was. */
enum ttd_status {
	TTD_OK = 0,       /* the guest powered off */
	TTD_HOST = 1,     /* host error: a file, memory, an unsupported CPU */
	TTD_USAGE = 2,    /* a wrong option or configuration */
	TTD_CRASHED = 3,  /* the guest crashed */
	TTD_DIVERGED = 4, /* a replay diverged from its recording */
	TTD_DAMAGED = 5,  /* a log is damaged */
};

/* One line without a newline that names what is wrong and says what to do. */
struct ttd_error {
	enum ttd_status status;
	char text[480];
};

enum ttd_clock {
	TTD_CLOCK_HOST = 0,    /* guest time follows wall time */
	TTD_CLOCK_VIRTUAL = 1, /* guest time is made of instructions only; idling takes none */
};

/* How much memory a machine may have, in megabytes. */
#define TTD_MEMORY_MIN 64
#define TTD_MEMORY_MAX 65536
#define TTD_MEMORY_DEFAULT 256

/*
 * `size` is set by TTD_CONFIG_INIT; it lets a newer library read the shorter
 * structure of an older program.  The strings are copied.
 */
struct ttd_config {
	size_t size;
	const char *name;       /* of the machine; NULL: "guest" */
	const char *kernel;     /* bzImage or ELF with Xen PV support */
	const char *ramdisk;    /* NULL: none */
	const char *cmdline;    /* NULL: empty */
	uint32_t memory_mb;
	enum ttd_clock clock;
	int reference;          /* not 0: the slow engine, one instruction at a time */
	uint64_t wallclock_sec; /* guest's date at boot; 0: now, or a fixed date when virtual */
	uint64_t stop_icount;   /* not 0: stop after exactly so many instructions */
	/* Console output, called on the thread of ttd_vm_run(). */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
};

#define TTD_CONFIG_INIT \
	{ \
		.size = sizeof(struct ttd_config), .memory_mb = TTD_MEMORY_DEFAULT \
	}

/* Why a run ended. */
enum ttd_end {
	TTD_END_POWEROFF = 0,
	TTD_END_REBOOT = 1,  /* the guest wants to boot again: destroy, create, run */
	TTD_END_SUSPEND = 2,
	TTD_END_CRASH = 3,   /* ttd_vm_crash_reason() says why */
	TTD_END_STOPPED = 4, /* ttd_vm_stop(), or stop_icount was reached */
};

struct ttd_vm;

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

/* Ends ttd_vm_run() soon, whatever the guest does.  Any thread or signal handler. */
TTD_API void ttd_vm_stop(struct ttd_vm *vm);

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

#ifdef __cplusplus
}
#endif

#endif
