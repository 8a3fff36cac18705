/*
 * trace.h - traces when nothing runs: what they are, their disks, packing them
 * into one file.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_TRACE_H
#define TTD_TRACE_H

#include <ttd/vm.h>

#ifdef __cplusplus
extern "C" {
#endif

struct ttd_trace_info {
	/* name: as it was asked for, "latest" for NULL. */
	char name[256], path[TTD_PATH_MAX], log[TTD_PATH_MAX];
	char domain[65], version[64], vendor[16];
	char kernel[TTD_PATH_MAX], ramdisk[TTD_PATH_MAX], cmdline[TTD_PATH_MAX];
	char vifs[TTD_PATH_MAX]; /* network interfaces, one a line */
	char kernel_digest[33], ramdisk_digest[33], run_id[33];
	uint32_t memory_mb, maxmem_mb, strict_mmu, engine, abi, cpu, format;
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
	char guest_cpu[64];     /* "v2", "v3", or "max (v3 sha_ni)" */
	/* Not empty: it begins with a saved guest, `kernel` is its image, and of this host: "Xen 4.17". */
	char restored[64];
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
	struct ttd_files files; /* the bases are of use */
	int confine; /* the process, for good, before anything that the trace's maker wrote is read */
	void (*progress)(void *ctx, uint64_t done, uint64_t total);
	void (*writes)(void *ctx, const char *disk, const char *target); /* a commit does now */
	void *progress_ctx; /* of both */
};
#define TTD_DISK_JOB_INIT \
	{ \
		.size = sizeof(struct ttd_disk_job) \
	}
/*
 * Writes an overlay into its base, which must be as it was when the recording
 * began.  The trace cannot be replayed afterwards.  The base of a trace that this
 * user did not record must be named, and a packed trace's is never written.
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
	struct ttd_files files;
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
/*
 * Into folder `dir`, NULL: among the traces; *trace is the new trace's folder.  max: bytes
 * that may come of it; 0: a limit that keeps small files from becoming huge ones.
 */
TTD_API int ttd_pack_unpack(const char *file, const char *dir, uint64_t max,
	char trace[TTD_PATH_MAX], struct ttd_error *err);

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

#ifdef __cplusplus
}
#endif

#endif
