/*
 * drain.h - from ring to log: takes records out, encodes them, commits them
 * at least every DRAIN_MS, and finishes the log when the END comes.
 *
 * drain_step() is for a process that serves several rings with one loop;
 * drain_start() runs it in a thread of its own.
 */
#ifndef TTD_EVENT_DRAIN_H
#define TTD_EVENT_DRAIN_H

#include "event/log.h"
#include "event/ring.h"

enum { DRAIN_MS = 40 /* between commits */, DRAIN_CHUNK = 256 << 10 /* bytes, encoded */ };

struct drain;

enum drain_status {
	DRAIN_MORE,   /* call again */
	DRAIN_IDLE,   /* nothing to do now */
	DRAIN_DONE,   /* the END is written, or the ring was closed without one */
	DRAIN_FAILED, /* *e; the ring's producer has been told */
};

/*
 * Borrows both; `r` is the consumer's end (ring_attach()).  `stream` is where the log ends:
 * 0 for a new one.
 */
struct drain *drain_create(struct ring *r, struct log_writer *w, uint64_t stream,
	struct ttd_error *e);
enum drain_status drain_step(struct drain *d, struct ttd_error *e);
/* The producer is gone: takes what is left and commits it. */
enum drain_status drain_last(struct drain *d, struct ttd_error *e);
void drain_free(struct drain *d);

/* The same in a thread, which sleeps in between; it attaches to the ring by itself. */
struct drain_thread;
struct drain_thread *drain_start(struct ring *r, struct log_writer *w, uint64_t stream,
	struct ttd_error *e);
/* Waits until everything is written; the ring must have been closed.  -1: *e. */
int drain_join(struct drain_thread *t, struct ttd_error *e);

#endif
