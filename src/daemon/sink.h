/*
 * sink.h - where a recording's records go: a thread of this process that
 * writes the log, or ttd-deviced.
 *
 * With the daemon a thread keeps the connection.  When the daemon is gone
 * the guest is held (nothing more than what the ring holds could be lost),
 * and goes on when there is a daemon again; or, when the caller prefers that
 * or the run is to end, this process takes the log over.  Either way the log
 * goes on after its last whole chunk: every record is in it exactly once.
 */
#ifndef TTD_DAEMON_SINK_H
#define TTD_DAEMON_SINK_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "event/ring.h"

struct sink;

struct sink_params {
	const struct log_meta *meta; /* used by the opening call only */
	bool force, sync;
	uint64_t limit; /* log_set_limit() */
	bool fallback;  /* without its daemon this process writes at once */
	void (*note)(void *ctx, const char *line); /* on any thread; not NULL */
	/* The guest is to be held, or let go.  Any thread.  Not NULL. */
	void (*hold)(void *ctx, bool on);
	void *ctx;
};

struct sink *sink_local(const char *path, const struct sink_params *p, struct ttd_error *e);
/* `replayed`: the log that is replayed, or NULL when this is a recording. */
struct sink *sink_deviced(const char *replayed, const struct sink_params *p, struct ttd_error *e);

struct ring *sink_ring(const struct sink *s);
const uint8_t *sink_run_id(const struct sink *s); /* RUN_ID bytes */
const char *sink_path(const struct sink *s); /* of the log */
const char *sink_dir(const struct sink *s);  /* the trace's folder; "": it has none of its own */

/* [any thread, async-signal-safe] The run is to end: wait for no daemon. */
void sink_ending(struct sink *s);

struct sink_result {
	uint64_t inputs, witnesses, digests, bytes;
};
/* The ring has been closed: waits until all is written.  -1: it is not complete, *e. */
int sink_finish(struct sink *s, struct sink_result *r, struct ttd_error *e);
void sink_free(struct sink *s); /* NULL is fine; what is there is kept */

/* Asks it which log is to be replayed. */
int sink_find(const char *name, char log[TTD_PATH_MAX], struct ttd_error *e);

#endif
