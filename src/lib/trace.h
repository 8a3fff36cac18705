/*
 * trace.h - folders that hold traces.
 */
#ifndef TTD_LIB_TRACE_H
#define TTD_LIB_TRACE_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "util/err.h"

/* An overlay is LOG.DISK.overlay. */
#define TRACE_OVERLAY ".overlay"

/*
 * Makes the folder of a new trace: `want`, or NAME-N in the traces' folder.
 * `log` is the path for its log.  An existing folder with a log in it is an
 * error unless `force`.
 */
int trace_create(const char *want, const char *name, bool force, char dir[TTD_PATH_MAX],
	char log[TTD_PATH_MAX], struct err *e);
/* Undoes trace_create(): nothing came of it. */
void trace_discard(const char *dir, const char *log);
/* Lets `latest` name it; a failure does not matter. */
void trace_set_latest(const char *dir);

int trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct err *e);

/* The log of NAME-N with the highest N in a folder of traces. */
int trace_newest(const char *folder, const char *name, char log[TTD_PATH_MAX], struct err *e);

/* Absolute path, size and digest of a file. */
int trace_file(const char *what, const char *path, struct log_file *f, struct err *e);

/* a + b + c; -1 and *e when too long. */
int trace_join(char out[TTD_PATH_MAX], const char *a, const char *b, const char *c,
	struct err *e);

/* The folder and those above it, for the user alone. */
int trace_make_folders(const char *path, struct err *e);

/* ~/.cache/ttd/KIND, where what can be made again is kept; make: also the folder. */
int trace_cache(char path[TTD_PATH_MAX], const char *kind, bool make, struct err *e);

#endif
