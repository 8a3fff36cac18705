/*
 * record.h - the recorder: a source that wraps another and writes down what
 * it hands out and what the guest does.
 *
 * It runs on the vCPU thread and only puts records into a ring (ring.h): no
 * system call, no clock, except when the ring is full or its consumer sleeps
 * while it fills up.
 */
#ifndef TTD_EVENT_RECORD_H
#define TTD_EVENT_RECORD_H

#include "event/log.h"
#include "event/ring.h"
#include "event/source.h"

enum {
	RECORD_MARK = 1 << 24,     /* instructions between marks at most */
	RECORD_INTERVAL = 1 << 28, /* between digests, when nobody says */
	/*
	 * Instructions that pay for a record of one exit, how many such may be saved up, how many
	 * there are at the start (for about all that a boot makes), and how long a fold is open:
	 * 20 bytes in 2^17 instructions, or 0.15 in a thousand.
	 */
	RECORD_PRICE = 1 << 16, RECORD_SAVED = 4096, RECORD_START = 128 << 10,
	RECORD_FOLD = 1 << 17,
};

enum record_stall {
	STALL_WAIT,  /* the guest waits too */
	STALL_GO_ON, /* record no more; the guest goes on */
	STALL_STOP,  /* stop the run here */
};

struct record_params {
	struct ring *ring;   /* borrowed; must outlive the recorder */
	uint64_t witnesses;  /* bit N: log records of type N */
	uint64_t interval;   /* instructions between digests; 0: none */
	bool passive;        /* wraps a replayer: neither marks nor digests of its own */
	/*
	 * [vCPU thread] The ring is full and has stayed so for `ms`, or its
	 * consumer gave up with `error` (an errno; 0 while it is only slow).
	 * NULL: waits while it is slow, stops the run when it gave up.
	 */
	enum record_stall (*stalled)(void *ctx, unsigned ms, int error);
	/*
	 * [vCPU thread] Whoever writes says that the recording should end, by an enum log_limit;
	 * called once.  STALL_STOP ends the run like any stop, with a complete log.  NULL: that.
	 */
	enum record_stall (*limited)(void *ctx, unsigned why);
	void *ctx;
};

/* Takes over `inner`, also when it fails. */
struct source *record_create(struct source *inner, const struct record_params *p,
	struct ttd_error *e);

/* The run has ended: puts the END and closes the ring.  `detail` may be NULL. */
void record_finish(struct source *s, const struct log_end *end, const struct detail *detail);

/* For checkpoints: how many records it has put at this icount, where the run is now. */
uint32_t record_count_at(struct source *s, uint64_t icount);

/* false: the ring failed at some time and the recording is not complete. */
bool record_complete(const struct source *s);

#endif
