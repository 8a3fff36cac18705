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
	/* Network interfaces, specified as ttd.cfg(5) says: "user", "mac=...,backend=tap". */
	const char *const *vifs;
	unsigned nvifs;
	const struct ttd_disk *disks;
	unsigned ndisks;
	/* One line about trouble on the host while it runs, on any thread.  May be NULL. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
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
TTD_API int ttd_vm_watch_packets(struct ttd_vm *vm,
	void (*fn)(void *ctx, const struct ttd_packet *f), void *ctx);

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

/*
 * Gives up what the machine will not need, for the whole process, all of its
 * threads, and for good: opening other files, running programs, sockets (but
 * for a user network).  A guest that broke out would find itself in there.
 * Call it once, when everything that you want yourself is open, before
 * ttd_vm_run().  -1: the kernel cannot; what it could is in force.
 */
enum {
	TTD_CONFINE_AGAIN = 1, /* a machine of the same configuration may be created later */
	TTD_CONFINE_CHILDREN = 2, /* processes like this one may be made and ended */
};
TTD_API int ttd_vm_confine(struct ttd_vm *vm, unsigned flags, struct ttd_error *err);

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

/*
 * Checkpoints: whole states of the machine at some places, kept beside the log so
 * that a session (ttd_session_open()) gets anywhere at once.  All zero: the
 * defaults.
 */
struct ttd_checkpointing {
	int off;              /* take none */
	uint64_t every_ns;    /* of the CPU's work; wider apart where they cost too much... */
	uint64_t every_insns; /* ...or exactly so many instructions */
	uint64_t max_bytes;   /* of the file, about: beyond it every second one goes */
};
/* "2s", "500ms", a number of instructions, or "off". */
TTD_API int ttd_checkpointing_parse(const char *text, struct ttd_checkpointing *c,
	struct ttd_error *err);

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
	/* Without `trace`: let ttd-deviced write the log when there is one... */
	int deviced;
	int fallback;        /* ...and write it here once it is gone; else wait for the next */
	struct ttd_checkpointing checkpoints;
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
	int log;             /* keep this run's own log, ttd.log.NAME.replay.N, also when equal */
	int reference;       /* by the slow engine */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	/* Now and then: how far it is, in instructions of the recording. */
	void (*progress)(void *ctx, uint64_t icount, uint64_t total);
	void *progress_ctx;
	const char *perturb; /* for tests, spoils the replay: src/lib/perturb.h; NULL */
	/* ttd-deviced has the log: `trace` is the domain's name.  It also takes `log`. */
	int deviced;
	/* Bases of disks that are elsewhere now: name and target. */
	const struct ttd_disk *bases;
	unsigned nbases;
	struct ttd_checkpointing checkpoints; /* takes them anew, replacing the trace's */
	/* One line about them, if there is something to say.  May be NULL. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
};
#define TTD_REPLAY_INIT \
	{ \
		.size = sizeof(struct ttd_replay), .checkpoints.off = 1 \
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
	TTD_REPLAY_FAILED,  /* what it needs is not what it was, a disk's base say: text */
};

struct ttd_result {
	enum ttd_outcome outcome;
	char trace[TTD_PATH_MAX]; /* the folder */
	char text[1024];          /* what is wrong; XenTT's line for a divergence */
	char expected[256], actual[256], last[256]; /* of a divergence */
	uint64_t icount, brctr;
	uint64_t inputs, witnesses, digests; /* written, or found equal */
	uint64_t log_bytes;
	uint64_t checkpoints, checkpoint_bytes; /* kept beside the log */
	uint64_t checkpoint_ns;   /* CPU time spent for them */
	uint64_t checkpoint_written; /* bytes of pages that the guest had written to between them */
};

/* Ends a recording or a replay.  -1: the machine is neither. */
TTD_API int ttd_vm_finish(struct ttd_vm *vm, struct ttd_result *result);

/*
 * After ttd_vm_finish() gave TTD_REPLAY_DIVERGED: calls fn for each line of
 * what is known about it, `what` being a short heading ("process").  -1: the
 * machine did not diverge.
 */
TTD_API int ttd_vm_divergence(struct ttd_vm *vm,
	void (*fn)(void *ctx, const char *what, const char *text), void *ctx);

/* Name and command line of the machine that a replaying or other vm is. */
TTD_API const char *ttd_vm_name(const struct ttd_vm *vm);

/*
 * Sessions: a trace as something one can go to and fro in.  A session stands
 * at a place of the recording, at first at its start, and there the machine can
 * be looked at through a view.  The recording does not change.  One thread at
 * a time, but for ttd_session_interrupt().
 *
 * Positions are written like this:
 *	N, N.M          N instructions retired; M: moment there, see below
 *	brctr:N         the first place with N branches retired
 *	N%              of the instructions: 50%, 99.5%
 *	start, end
 *	event:N         where event N of the log happens, from 1
 *	time:SECONDS    the first place with so much guest time since boot
 *	console:TEXT    the next place where the guest had printed TEXT
 *	panic           the next place where the guest's kernel panics or oopses
 *	before:console:TEXT, before:panic
 *	                the last such place before here
 * At an instruction count moment 0 comes before any input, exception or upcall
 * there; each exception or upcall leads to the next moment, at the first
 * instruction of its handler.
 */
struct ttd_session;

struct ttd_session_options {
	size_t size;
	const char *trace;   /* NULL: the latest */
	int deviced;         /* ttd-deviced has the log: `trace` is the domain's name */
	int no_checkpoints;  /* leave those of the trace aside */
	/* Console output while running forward: also what has been seen before. */
	void (*console_out)(void *ctx, const void *p, size_t n);
	void *console_ctx;
	/* Now and then while seeking: how far it is, in instructions. */
	void (*progress)(void *ctx, uint64_t icount, uint64_t total);
	void *progress_ctx;
	const struct ttd_disk *bases; /* as of struct ttd_replay */
	unsigned nbases;
};
#define TTD_SESSION_INIT \
	{ \
		.size = sizeof(struct ttd_session_options) \
	}

TTD_API struct ttd_session *ttd_session_open(const struct ttd_session_options *opt,
	struct ttd_error *err);
TTD_API void ttd_session_close(struct ttd_session *s);

/*
 * As ttd_vm_confine(), before the first ttd_session_seek(): the recorded guest is
 * executed on the way.  Files can be read; `folder` (NULL: none) and what is in
 * it can be written too.  TTD_CONFINE_CHILDREN: for ttd_session_last_write().
 */
TTD_API int ttd_session_confine(struct ttd_session *s, unsigned flags, const char *folder,
	struct ttd_error *err);

/* -1: *err; the session is then at some place before the wanted one, or where it was. */
TTD_API int ttd_session_seek(struct ttd_session *s, const char *position, struct ttd_error *err);
TTD_API int ttd_session_seek_icount(struct ttd_session *s, uint64_t icount, uint32_t moment,
	struct ttd_error *err);
/* A seek comes back soon, with status TTD_OK.  Any thread or signal handler. */
TTD_API void ttd_session_interrupt(struct ttd_session *s);

struct ttd_place {
	uint64_t icount, brctr, rip, rcx;
	uint32_t moment;
	uint64_t guest_ns;  /* guest time since boot */
	uint64_t end;       /* the recording's icount at its end */
	int user;           /* in user mode; else in the kernel */
};
TTD_API void ttd_session_place(struct ttd_session *s, struct ttd_place *p);

/* The machine, for ttd_view_open(): it may only be looked at. */
TTD_API struct ttd_vm *ttd_session_vm(struct ttd_session *s);

enum ttd_writer {
	TTD_BY_INSTRUCTION, /* at rip */
	TTD_BY_WALK,        /* accessed and dirty bits that a translation set; rip needed it */
	TTD_BY_HYPERVISOR,  /* a hypercall, an exception's frame, a device: `what` says */
};
struct ttd_write {
	uint64_t icount, brctr; /* where it has just been done */
	uint32_t moment;
	enum ttd_writer by;
	uint64_t rip;           /* of the instruction; 0: none */
	uint64_t va, machine;   /* where it wrote, size bytes from; 0, ~0: not by that */
	uint32_t size;
	char what[64];          /* by the hypervisor: "mmu_update", "TTD_UPCALL", ... */
	unsigned segments, skipped; /* of the recording that were searched; left out */
};
/*
 * Who wrote the byte(s) last, before where the session stands?  `space`: as
 * for ttd_view_read(), TTD_SPACE_CURRENT or TTD_SPACE_MACHINE; n: up to 4096.  1: *w,
 * and the session is where it was done; 0: nobody since the machine was built; -1: *err.
 */
TTD_API int ttd_session_last_write(struct ttd_session *s, int space, uint64_t addr, size_t n,
	struct ttd_write *w, struct ttd_error *err);

/* Digests of all memory and of vCPU and hypervisor: the log's, see doc/spec/log.md. */
TTD_API void ttd_session_digest(struct ttd_session *s, uint64_t *memory, uint64_t *state);

struct ttd_trace_info {
	char name[256], path[TTD_PATH_MAX], log[TTD_PATH_MAX];
	char domain[65], version[64], vendor[16];
	char kernel[TTD_PATH_MAX], ramdisk[TTD_PATH_MAX], cmdline[TTD_PATH_MAX];
	char vifs[TTD_PATH_MAX]; /* network interfaces, one a line */
	char kernel_digest[33], ramdisk_digest[33], session[33];
	uint32_t memory_mb, engine, abi, cpu, format;
	enum ttd_clock clock;
	uint64_t created_ns, log_bytes, icount, brctr, torn, interval, chunks;
	int complete;           /* it ended, as `end` says */
	enum ttd_end end;
	char end_text[256];
	uint64_t memory_digest, state_digest;
	uint64_t inputs, witnesses, digests; /* when complete */
	uint64_t checkpoints, checkpoint_bytes; /* that are good; bytes of the file */
	uint64_t checkpoint_first, checkpoint_last; /* icounts */
	char checkpoint_text[256]; /* why there are none of a file's, or damage; may be empty */
};

/* A disk of a recorded machine. */
struct ttd_trace_disk {
	char name[16];
	char target[TTD_PATH_MAX];  /* where its base was */
	char overlay[TTD_PATH_MAX];
	uint64_t bytes, mtime_ns;   /* of the base; mtime 0: not known */
	uint32_t sector;
	int read_only, cdrom;
	int has_overlay;
	uint64_t written, content;  /* bytes in the overlay, digest of them */
};
/* The i-th, from 0.  1: *disk; 0: there are no more; -1: *err. */
TTD_API int ttd_trace_disk(const char *trace, unsigned i, struct ttd_trace_disk *disk,
	struct ttd_error *err);

struct ttd_disk_job {
	size_t size;
	const char *trace;
	const char *disk; /* xvda; for a commit NULL: all */
	const char *out;  /* export: the file to write */
	int force;        /* ...though it exists */
	const struct ttd_disk *bases; /* that are elsewhere now: name and target */
	unsigned nbases;
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void *progress_ctx;
};
#define TTD_DISK_JOB_INIT \
	{ \
		.size = sizeof(struct ttd_disk_job) \
	}
/*
 * Writes an overlay into its base, which must be as it was when the recording
 * began.  The trace cannot be replayed afterwards.
 */
TTD_API int ttd_disk_commit(const struct ttd_disk_job *job, struct ttd_error *err);
/* Writes base and overlay as one raw image. */
TTD_API int ttd_disk_export(const struct ttd_disk_job *job, struct ttd_error *err);

TTD_API int ttd_trace_root(char path[TTD_PATH_MAX], struct ttd_error *err);
/* The log of the newest trace of a domain. */
TTD_API int ttd_trace_newest(const char *domain, char log[TTD_PATH_MAX], struct ttd_error *err);
TTD_API int ttd_trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct ttd_error *err);
TTD_API int ttd_trace_info(const char *trace, struct ttd_trace_info *info,
	struct ttd_error *err);
/* Calls fn for each trace in the traces' folder, oldest name first. */
TTD_API int ttd_trace_each(void (*fn)(void *ctx, const char *name), void *ctx,
	struct ttd_error *err);
/* Removes a trace: what recording and replaying put there, and then the folder. */
TTD_API int ttd_trace_remove(const char *trace, struct ttd_error *err);

/*
 * What a replay of the trace needs that is not in its log, one by one: what it
 * is, where it is or was, and whether it is there and as it was.
 */
struct ttd_need {
	char what[32];            /* kernel, ramdisk, or the name of a disk */
	char path[TTD_PATH_MAX];
	int found;
	char why[480];            /* when not */
};
TTD_API int ttd_trace_needs(const char *trace, void (*fn)(void *ctx, const struct ttd_need *need),
	void *ctx, struct ttd_error *err);

/*
 * Packed traces: one file with all that a replay needs.  Wherever a trace is
 * named by a path, that may be a packed one; it is unpacked in a cache folder.
 */
struct ttd_pack {
	size_t size;
	const char *trace;
	const char *out;     /* the file to make; NULL: NAME.ttd */
	int force;           /* replace it */
	int checkpoints;     /* put these in too; not those of a machine with disks */
	/* Bases of disks that are elsewhere now: name and target. */
	const struct ttd_disk *bases;
	unsigned nbases;
	/* Now and then, while it replays, which it does when there are disks: instructions. */
	void (*progress)(void *ctx, const char *what, uint64_t done, uint64_t total);
	void *progress_ctx;
};
#define TTD_PACK_INIT \
	{ \
		.size = sizeof(struct ttd_pack) \
	}

struct ttd_pack_info {
	char path[TTD_PATH_MAX]; /* of the packed trace */
	uint64_t bytes;          /* its size */
	uint64_t unpacked;       /* what its files hold */
};
TTD_API int ttd_pack_write(const struct ttd_pack *pack, struct ttd_pack_info *info,
	struct ttd_error *err);
/* Into folder `dir`, NULL: among the traces; *trace is the new trace's folder. */
TTD_API int ttd_pack_unpack(const char *file, const char *dir, char trace[TTD_PATH_MAX],
	struct ttd_error *err);

struct ttd_packed_file {
	char name[256];
	const char *kind;  /* "log", "kernel", "ramdisk", "console", "disk", "checkpoints" */
	uint64_t size;
	uint64_t held;     /* bytes of it that are in the pack */
	char digest[33];   /* XXH3-128; "" for a disk */
};
/* Calls fn for each file of a packed trace.  1: `file` is none, and nothing was said. */
TTD_API int ttd_pack_each(const char *file, void (*fn)(void *ctx,
	const struct ttd_packed_file *f), void *ctx, struct ttd_error *err);

/*
 * Names of kernel addresses: of the kernel that a log was recorded with, or
 * out of a file: a System.map, what /proc/kallsyms prints, a vmlinux, a bzImage.
 */
struct ttd_symbols;
TTD_API struct ttd_symbols *ttd_symbols_open(const char *file, struct ttd_error *err);
TTD_API void ttd_symbols_free(struct ttd_symbols *s);
/* NULL: nothing at addr has a name. */
TTD_API const char *ttd_symbols_find(const struct ttd_symbols *s, uint64_t addr,
	uint64_t *offset);
/* -1: there is no such name. */
TTD_API int ttd_symbols_address(const struct ttd_symbols *s, const char *name, uint64_t *addr);

/*
 * Reading a log event by event.  It takes the memory of one chunk, whatever
 * the size of the log.
 */
enum ttd_event_type {
	TTD_EVENT_END,       /* the run's end; code is enum ttd_end */
	TTD_EVENT_INPUT,     /* something came in from outside */
	TTD_EVENT_MARK,      /* the run got here */
	TTD_EVENT_DIGEST,    /* of memory and state */
	TTD_EVENT_EXCEPTION, /* code is the vector */
	TTD_EVENT_HYPERCALL, /* code is its number */
	TTD_EVENT_UPCALL,
	TTD_EVENT_FRAME,     /* the guest sent a frame; code is the interface */
	TTD_EVENT_PAGES,     /* which pages changed since the digest before */
	TTD_EVENT_REGISTERS, /* at the digest behind it */
	TTD_EVENT_TYPES
};
TTD_API const char *ttd_event_type_name(enum ttd_event_type type); /* "exception" */

enum ttd_event_has {
	TTD_HAS_IP = 1,      /* rip */
	TTD_HAS_CHECK = 2,   /* check */
	TTD_HAS_DOOR = 4,    /* rcx, tsc */
	TTD_HAS_VALUE = 8,   /* value: ns of a time step, the date at boot */
	TTD_HAS_DATA = 16,   /* data[len]: bytes typed, or a text */
	TTD_HAS_DIGEST = 32, /* memory, state */
	TTD_HAS_ERROR = 64,  /* error code of an exception */
	TTD_HAS_CR2 = 128,   /* value: the address of a page fault */
	TTD_HAS_IDLE = 256,  /* it ended an idle period */
	TTD_HAS_MULTICALL = 512, /* a hypercall inside a multicall */
	TTD_HAS_FRAME = 1024, /* error: its length, value: its digest */
	TTD_HAS_DETAIL = 2048,   /* data[len]: doc/spec/log.md, Details */
};

struct ttd_event {
	enum ttd_event_type type;
	unsigned has;            /* which of the following mean something */
	unsigned number, code;   /* XenTT's number of the type; what exactly it is */
	const char *name, *info; /* "TTD_EXCEPTION", "do_page_fault" */
	uint64_t icount, brctr, rip;
	uint64_t rcx, tsc, value, memory, state;
	unsigned check, error;   /* check: of the 16 registers */
	size_t len;
	unsigned char data[256]; /* of a received frame only the beginning */
};

struct ttd_log;

/* Which log of a trace: the recording, its newest replay's, or the replay's with that number. */
#define TTD_LOG_RECORDING (-1)
#define TTD_LOG_REPLAY (-2)
TTD_API struct ttd_log *ttd_log_open(const char *trace, int which, struct ttd_error *err);
TTD_API void ttd_log_close(struct ttd_log *log);
TTD_API const char *ttd_log_path(const struct ttd_log *log);

/*
 * 1: *ev; 0: there are no more; -1: damage or another error; after damage
 * (err->status is TTD_DAMAGED) the next call goes on behind it.
 */
TTD_API int ttd_log_next(struct ttd_log *log, struct ttd_event *ev, struct ttd_error *err);

/* The next event is the first at or behind an instruction count, or a branch count. */
TTD_API int ttd_log_seek(struct ttd_log *log, uint64_t icount, struct ttd_error *err);
TTD_API int ttd_log_seek_brctr(struct ttd_log *log, uint64_t brctr, struct ttd_error *err);
/* The next event is the n-th before that one, or the log's first. */
TTD_API int ttd_log_seek_before(struct ttd_log *log, uint64_t brctr, unsigned n,
	struct ttd_error *err);

/* The names for this log's kernel, from the kernel file that it was recorded with. */
TTD_API struct ttd_symbols *ttd_log_symbols(struct ttd_log *log, struct ttd_error *err);

/* One line for an event, always the same for the same event. */
enum ttd_text {
	TTD_TEXT_NAMES = 1,   /* names instead of numbers */
	TTD_TEXT_VERBOSE = 2, /* everything that the log has about it */
	TTD_TEXT_JSON = 4,    /* an object; names and everything are in it */
};
#define TTD_TEXT_MAX 2048
/* `symbols` may be NULL. */
TTD_API void ttd_event_text(const struct ttd_event *ev, const struct ttd_symbols *symbols,
	unsigned how, char text[TTD_TEXT_MAX]);

/*
 * Compares a recording with the log of its newest replay (TTD_LOG_REPLAY) or
 * of replay `which`, up to the first event that is not the same, and calls fn
 * for up to `context` events before it and of both logs behind it: side is
 * ' ' for both, '-' the recording, '+' the replay.  1: they differ; 0: they
 * do not, and nothing was said; -1: error.
 */
TTD_API int ttd_log_diff(const char *trace, int which, unsigned context, unsigned how,
	void (*fn)(void *ctx, char side, const char *text), void *ctx, struct ttd_error *err);

/*
 * Packs what somebody else needs to look into a divergence into one .tar.zst:
 * both logs and what is around the point, configuration, versions, digests.
 * It holds what was typed, and with kernel, ramdisk or binary guest files:
 * there may be secrets in it.
 */
struct ttd_report {
	size_t size;
	const char *trace;
	int which;           /* TTD_LOG_REPLAY: the newest replay */
	const char *out;     /* the file to make */
	int kernel, ramdisk; /* put these files in too */
	int binary;          /* and the program of the process that was running */
};
#define TTD_REPORT_INIT \
	{ \
		.size = sizeof(struct ttd_report), .which = TTD_LOG_REPLAY \
	}
TTD_API int ttd_report_write(const struct ttd_report *report, struct ttd_error *err);

/*
 * ttd-deviced: one process that writes the logs of many domains, so that they
 * outlive the processes that run them.
 */
struct ttd_deviced_options {
	size_t size;
	const char *log; /* one log, for one recording or for replays of it */
	const char *dir; /* or a folder of traces: DIR/NAME-N/ttd.log.NAME */
	int force;       /* replace `log` when it exists */
	int sync;        /* every commit waits for the disk */
	/* One line about what happens; one call at a time, on any thread. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
};
#define TTD_DEVICED_INIT \
	{ \
		.size = sizeof(struct ttd_deviced_options) \
	}

struct ttd_deviced;
TTD_API struct ttd_deviced *ttd_deviced_create(const struct ttd_deviced_options *opt,
	struct ttd_error *err);
TTD_API const char *ttd_deviced_socket(const struct ttd_deviced *d);
/* Serves until ttd_deviced_stop(); everything is flushed then. */
TTD_API int ttd_deviced_run(struct ttd_deviced *d);
TTD_API void ttd_deviced_stop(struct ttd_deviced *d); /* Any thread or signal handler. */
TTD_API void ttd_deviced_destroy(struct ttd_deviced *d);
TTD_API int ttd_deviced_runs(void); /* Is there one for this user? */

/*
 * Running domains.  A process that runs a machine may open a control: a socket
 * in the user's runtime folder ($XDG_RUNTIME_DIR/ttd) by which other processes
 * list, pause and end it and use its console.
 */
struct ttd_control;
/* ttd_control_open()'s flags */
enum {
	TTD_CONTROL_RENAME = 1, /* NAME is taken: be NAME-PID instead of failing */
	TTD_CONTROL_PAUSED = 2, /* machines attached start paused */
	TTD_CONTROL_WAIT = 4,   /* the first machine waits some seconds for a console */
};
TTD_API struct ttd_control *ttd_control_open(const char *name, unsigned flags,
	struct ttd_error *err);
TTD_API const char *ttd_control_name(const struct ttd_control *c);
/* Whom commands go to; NULL between two machines.  By the thread that will run it. */
TTD_API void ttd_control_attach(struct ttd_control *c, struct ttd_vm *vm);
/* Console output, for ttd_config.console_out with the control as context. */
TTD_API void ttd_control_output(void *control, const void *p, size_t n);
/* Somebody asked for the domain to be destroyed. */
TTD_API int ttd_control_destroyed(const struct ttd_control *c);
/*
 * The run has ended but the domain stays in the list, as `state`, until it is
 * destroyed or `wake_fd` (-1: none) becomes readable.
 */
TTD_API void ttd_control_keep(struct ttd_control *c, enum ttd_vm_state state, int wake_fd);
/* Consoles get what is left, and `status` and `text` about the end. */
TTD_API void ttd_control_close(struct ttd_control *c, int status, const char *text);

struct ttd_domain {
	char name[65], kind[16]; /* run, record, replay */
	int pid;
	uint32_t memory_mb;
	enum ttd_vm_state state;
	uint64_t cpu_ns; /* CPU time of its virtual CPU */
};
/* Calls fn for each running domain of this user, in the order of their names. */
TTD_API int ttd_domain_each(void (*fn)(void *ctx, const struct ttd_domain *d), void *ctx,
	struct ttd_error *err);
/* "pause", "unpause", "poweroff", "reboot", "destroy"; `wait`: until it has ended. */
TTD_API int ttd_domain_command(const char *name, const char *command, int wait,
	struct ttd_error *err);
/* Where a background domain's process may put its messages. */
TTD_API int ttd_domain_log(const char *name, char *path, size_t n);
/* Its console: a descriptor to poll, close() it to leave.  -1: *err. */
TTD_API int ttd_domain_console(const char *name, struct ttd_error *err);
TTD_API int ttd_console_write(int fd, const void *p, size_t n);
/*
 * Output of the guest; call it when fd is readable.  0: the domain has ended;
 * *status is what it ended with, and `text` says more.  -1: it is gone.
 */
TTD_API long ttd_console_read(int fd, void *p, size_t n, int *status, char text[480]);

#ifdef __cplusplus
}
#endif

#include <ttd/view.h>
#include <ttd/gdb.h>

#endif
