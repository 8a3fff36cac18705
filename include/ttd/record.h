/*
 * record.h - recording and replaying.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_RECORD_H
#define TTD_RECORD_H

#include <ttd/confine.h>
#include <ttd/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

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

/*
 * Checkpoints: whole states of the machine at some places, kept beside the log so
 * that a session (ttd_session_open()) gets anywhere at once.  All zero: the
 * defaults.
 */
struct ttd_checkpointing {
	int off;              /* take none */
	uint64_t every_ns;    /* of the CPU's work; wider apart where they cost too much... */
	uint64_t every_insns; /* ...or exactly this many instructions */
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
	uint64_t log_limit;  /* bytes that the log may have, or one of these: */
};
#define TTD_LOG_TO_RESERVE 0 /* any, as long as a twentieth of the disk, or 1 GiB, is left */
#define TTD_LOG_UNLIMITED UINT64_MAX /* until it cannot be written */
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
	struct ttd_files files;
	/* The process is confined before anything of the trace is read: see there.  NULL: it is not. */
	const struct ttd_confinement *confine;
	struct ttd_checkpointing checkpoints; /* takes them anew, replacing the trace's */
	/* One line about them, if there is something to say.  May be NULL. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
	int untrusted;        /* as in ttd_config; what this user did not record is so in any case, */
	int trusted;          /* except for this */
	uint64_t space_after; /* as in ttd_config */
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
	TTD_RECORDED_LIMIT, /* the log is complete; the run was ended as text says */
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

#ifdef __cplusplus
}
#endif

#endif
