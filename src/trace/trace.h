/*
 * trace.h - folders that hold traces.
 */
#ifndef TTD_TRACE_TRACE_H
#define TTD_TRACE_TRACE_H

#include <ttd/ttd.h>

#include <stdbool.h>

#include "event/log.h"
#include "util/err.h"
#include "util/path.h"

/* An overlay is LOG.DISK.overlay. */
#define TRACE_OVERLAY ".overlay"
/* Its checkpoints are LOG.checkpoints. */
#define CHECKPOINTS_SUFFIX ".checkpoints"

/*
 * Makes the folder of a new trace: `want`, or NAME-N in the traces' folder.
 * `log` is the path for its log.  An existing folder with a log in it is an
 * error unless `force`.
 */
int trace_create(const char *want, const char *name, bool force, char dir[TTD_PATH_MAX],
	char log[TTD_PATH_MAX], struct ttd_error *e);
/* Is a file of this name in a trace's folder a part of the trace? */
bool trace_owns(const char *name);
/* Undoes trace_create(): nothing came of it.  What was replaced comes back by trace_put_back(). */
void trace_discard(const char *dir, const char *log);
/* Lets `latest` name it; a failure does not matter. */
void trace_set_latest(const char *dir);

/* Is it a packed one?  Then *file is where; nothing is unpacked. */
bool trace_packed(const char *trace, char file[TTD_PATH_MAX]);

int trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct ttd_error *e);

/* The log of NAME-N with the highest N in a folder of traces. */
int trace_newest(const char *folder, const char *name, char log[TTD_PATH_MAX],
	struct ttd_error *e);

/* Size and digest of what is in a file, read no further than `max`.  -1: errno; EINTR: we are to end. */
int trace_digest(int fd, uint64_t max, struct log_file *f);
/* Absolute path, size and digest of a file. */
int trace_file(const char *what, const char *path, struct log_file *f, struct ttd_error *e);

#endif
