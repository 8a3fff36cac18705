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
	TTD_END_STOPPED = 4, /* ttd_vm_stop(), stop_icount was reached, or a log's end */
	TTD_END_DIVERGED = 5, /* a replay left its recording: see ttd_vm_finish() */
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

/*
 * Recording and replaying.
 *
 * A trace is a folder: the event log (ttd.log.NAME) and the console's output.
 * Traces live in $TTD_TRACE_DIR, else $XDG_DATA_HOME/ttd, else
 * ~/.local/share/ttd, where `latest` names the newest.  Where a function takes
 * a trace, that is NULL for the latest, a name in there, or a path with a
 * slash: of the folder, or of a log itself.
 *
 * A recording or replaying machine is used like any other; after the last
 * ttd_vm_run() comes ttd_vm_finish(), then ttd_vm_destroy().
 */
#define TTD_PATH_MAX 4096

struct ttd_record {
	size_t size;
	const char *trace;   /* to create; NULL: NAME-N in the traces' folder */
	int force;           /* replace an existing one */
	int no_witnesses;    /* log inputs only: a replay cannot notice much */
	uint64_t interval;   /* instructions between digests; 0: the default */
	int on_full_stop;    /* log cannot be written: stop the guest, else it runs on */
	int sync;            /* every commit waits for the disk */
	/* One line about the recording while it runs, on any thread.  May be NULL. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
};
#define TTD_RECORD_INIT \
	{ \
		.size = sizeof(struct ttd_record) \
	}

struct ttd_replay {
	size_t size;
	const char *trace;
	const char *to;      /* stop at "N" (icount), "brctr:N", "N%" or "end"; NULL: end */
	double speed;        /* of the original pace; 0: as fast as it goes */
	int verify;          /* digest all memory at each digest, not only what was written */
	int log;             /* keep this run's own log as ttd.log.NAME.replay.N */
	int reference;       /* by the slow engine */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	/* Now and then: how far it is, in instructions of the recording. */
	void (*progress)(void *ctx, uint64_t icount, uint64_t total);
	void *progress_ctx;
};
#define TTD_REPLAY_INIT \
	{ \
		.size = sizeof(struct ttd_replay) \
	}

TTD_API struct ttd_vm *ttd_vm_create_recording(const struct ttd_config *cfg,
	const struct ttd_record *rec, struct ttd_error *err);
TTD_API struct ttd_vm *ttd_vm_create_replay(const struct ttd_replay *rep,
	struct ttd_error *err);

enum ttd_outcome {
	TTD_RECORDED,       /* the log is complete */
	TTD_RECORDED_PART,  /* it could not be written to its end: text says why */
	TTD_VERIFIED,       /* replayed to the log's end, final digests equal */
	TTD_REPLAYED_PART,  /* stopped at `to` or by ttd_vm_stop(); all equal so far */
	TTD_REPLAYED_CUT,   /* the recording was cut short; all of it is equal */
	TTD_REPLAY_DIVERGED,
	TTD_REPLAY_DAMAGED, /* all before the damage is equal */
};

struct ttd_result {
	enum ttd_outcome outcome;
	char trace[TTD_PATH_MAX]; /* the folder */
	char text[1024];          /* what is wrong; XenTT's line for a divergence */
	char expected[256], actual[256], last[256]; /* of a divergence */
	uint64_t icount, brctr;
	uint64_t inputs, witnesses, digests; /* written, or found equal */
	uint64_t log_bytes;
};

/* Ends a recording or a replay.  -1: the machine is neither. */
TTD_API int ttd_vm_finish(struct ttd_vm *vm, struct ttd_result *result);

/* Name and command line of the machine that a replaying or other vm is. */
TTD_API const char *ttd_vm_name(const struct ttd_vm *vm);

struct ttd_trace_info {
	char name[256], path[TTD_PATH_MAX], log[TTD_PATH_MAX];
	char domain[65], version[64], vendor[16];
	char kernel[TTD_PATH_MAX], ramdisk[TTD_PATH_MAX], cmdline[TTD_PATH_MAX];
	char kernel_digest[33], ramdisk_digest[33], session[33];
	uint32_t memory_mb, engine, abi, cpu, format;
	enum ttd_clock clock;
	uint64_t created_ns, log_bytes, icount, brctr, torn, interval, chunks;
	int complete;           /* it ended, as `end` says */
	enum ttd_end end;
	char end_text[256];
	uint64_t memory_digest, state_digest;
	uint64_t inputs, witnesses, digests; /* when complete */
};

TTD_API int ttd_trace_root(char path[TTD_PATH_MAX], struct ttd_error *err);
TTD_API int ttd_trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct ttd_error *err);
TTD_API int ttd_trace_info(const char *trace, struct ttd_trace_info *info,
	struct ttd_error *err);
/* Calls fn for each trace in the traces' folder, oldest name first. */
TTD_API int ttd_trace_each(void (*fn)(void *ctx, const char *name), void *ctx,
	struct ttd_error *err);
/* Removes a trace: what recording and replaying put there, and then the folder. */
TTD_API int ttd_trace_remove(const char *trace, struct ttd_error *err);

#ifdef __cplusplus
}
#endif

#endif
