/*
 * overlay.h - what a guest wrote to a disk, in a sparse file beside the base
 * (doc/spec/overlay.md).  Whole clusters only; used by one thread at a time.
 *
 * An overlay with a path is kept and has a journal; one without a path is a
 * file that has no name and vanishes.
 */
#ifndef TTD_DEV_OVERLAY_H
#define TTD_DEV_OVERLAY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "util/bytes.h"
#include "util/err.h"

enum { OVERLAY_CLUSTER = 4096, OVERLAY_RUN_ID = 16, OVERLAY_NAME = 16 };

struct overlay;

struct overlay_info {
	uint8_t run_id[OVERLAY_RUN_ID];
	char disk[OVERLAY_NAME];
	uint64_t size;       /* of the disk, in bytes */
	uint64_t base_mtime; /* ns since 1970; 0: not known */
};

/*
 * path NULL: nameless, in `dir` (NULL: $TMPDIR or /var/tmp).  sync: a commit
 * waits for the host's disk.  An existing file is an error unless `force`.
 */
struct overlay *overlay_create(const char *path, const char *dir, const struct overlay_info *info,
	bool sync, bool force, struct ttd_error *e);
/* Where nameless ones go: `dir`, or what stands for NULL. */
const char *overlay_folder(const char *dir);

/* One that is there, as its last commit left it.  For reading. */
struct overlay *overlay_open(const char *path, struct ttd_error *e);
/* What is not committed is lost. */
void overlay_close(struct overlay *o); /* NULL is fine */

const struct overlay_info *overlay_info(const struct overlay *o);
uint64_t overlay_clusters(const struct overlay *o); /* in it */
uint64_t overlay_content(const struct overlay *o);  /* digest */

bool overlay_has(const struct overlay *o, uint64_t cluster);
/* The lowest cluster in it at or above `cluster`; UINT64_MAX: none. */
uint64_t overlay_next(struct overlay *o, uint64_t cluster);

/* 0 or an errno; EBADMSG: a digest is wrong.  read: all of them must be in it. */
int overlay_read(struct overlay *o, uint64_t cluster, size_t n, void *p);
int overlay_write(struct overlay *o, uint64_t cluster, size_t n, const void *p);
int overlay_zero(struct overlay *o, uint64_t cluster, uint64_t n);
int overlay_commit(struct overlay *o);

/*
 * Snapshots.  After overlay_freeze() no block that is in use now is ever
 * written again, so that what overlay_save() writes then can be loaded again
 * later, any number of times: into this overlay, or into another one that reads
 * this one's file (overlay_back()).  The overlay goes on as a branch from there.
 * A map of any other overlay does not load.  0, or an errno: it could not be committed, and
 * nothing is frozen.
 */
int overlay_freeze(struct overlay *o);
void overlay_save(const struct overlay *o, struct wbuf *w);
int overlay_load(struct overlay *o, struct rbuf *r);
/*
 * Maps saved by the overlay at `path`, of the same run and disk, load too:
 * their blocks are read from there, new ones go to our own file.  For replays
 * that begin at a checkpoint of the recording.
 */
int overlay_back(struct overlay *o, const char *path, struct ttd_error *e);

/*
 * In the child of a fork: what was written and saved before is shared with the parent, what is
 * written from here on goes to a file of its own.  For nameless ones, once.  0 or an errno.
 */
int overlay_forked(struct overlay *o);

#endif
