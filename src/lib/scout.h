/*
 * scout.h - what has to be known of a stranger's trace before it can be read confined.
 *
 * META says which files a trace needs, and to read META takes the code that a damaged
 * log would attack.  So a child that may do nothing but read that one file looks first, and
 * hands back META; the process itself only compares and copies what it was given.
 */
#ifndef TTD_LIB_SCOUT_H
#define TTD_LIB_SCOUT_H

#include <stdbool.h>
#include <ttd/ttd.h>

#include "event/log.h"
#include "util/err.h"

enum { SCOUT_FILES = 64 };

struct scouted {
	char *file[SCOUT_FILES]; /* and folders, to be read; scouted_free() them */
	unsigned n;
};

/* What a log says it is: META's strings end, its numbers are in their ranges.  -1: *e. */
int scout_meta(const char *log, struct log_meta *m, uint8_t run_id[RUN_ID],
	struct ttd_error *e);

/*
 * Adds what reading the trace needs: its folder, or the log and what belongs to it where the
 * log was named; files that META names when the trace is this user's own.  A packed one is
 * unpacked into the cache, unless it is only to be looked at.  -1: there is no such trace.
 * `names`: those of its kernel are put into the cache.
 */
int scout_trace(struct scouted *s, const char *trace, bool unpack, bool names,
	struct ttd_error *e);
/* The folder of all traces. */
void scout_traces(struct scouted *s);
void scouted_free(struct scouted *s);

#endif
