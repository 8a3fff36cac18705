/*
 * timeline.h - a recorded run as something one can go to and fro in.
 *
 * A timeline sits on a domain that replays a log, and puts the domain at any
 * place of the recording: backwards by restoring the checkpoint before it and
 * running on from there, forwards by running.  Between two calls the domain
 * stands still, and its memory and vCPU may be looked at (domain_mem(),
 * domain_cpu()); they must not be changed.
 *
 * Positions.  A place is an icount and a moment there (xen/domain.h): moment 0
 * is where the vCPU has just retired this many instructions, with everything
 * that the last of them did (a whole hypercall, say), and before any input,
 * timer, upcall or exception that is handled there.  Each upcall or exception
 * that is delivered there leads to the next moment, at the handler's first
 * instruction.  So "before instruction N+1, as the guest executes it" is the
 * last moment of icount N; where nothing happens, which is nearly everywhere,
 * that is moment 0.  While the guest idles guest time passes within moment 0.
 *
 *  TL1. At a place all state is that of the recorded run: what a straight replay
 *      has there.  It does not depend on how one came there.
 *  TL2. Looking never changes the run: checkpoints, stops and debug points are
 *      not noticed by the guest.
 *
 * One thread uses a timeline; only timeline_interrupt() is for others.
 */
#ifndef TTD_TIMELINE_TIMELINE_H
#define TTD_TIMELINE_TIMELINE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/replay.h"
#include "util/err.h"
#include "xen/domain.h"

struct ck_id;
struct timeline;

struct timeline_pos {
	uint64_t icount;
	uint32_t moment;
};

static inline int timeline_cmp(struct timeline_pos a, struct timeline_pos b)
{
	if (a.icount != b.icount)
		return a.icount < b.icount ? -1 : 1;
	return a.moment == b.moment ? 0 : a.moment < b.moment ? -1 : 1;
}

struct timeline_params {
	struct domain *domain;   /* just created, at icount 0; borrowed */
	struct source *replay;   /* replay_create()'s that feeds it */
	struct log_reader *log;  /* that one's */
	uint64_t end;            /* icount of the log's END, or of its last record */
	const char *checkpoints; /* file to take them from; NULL: none */
	const struct ck_id *id;  /* whose they must be, except for the frames */
	bool none;               /* take none but the start, and use none */
	size_t memory;           /* bytes for checkpoints of this session; 0: the default */
};

/* NULL and *e on failure.  A checkpoint file that is of no use is left aside. */
struct timeline *timeline_open(const struct timeline_params *p, struct ttd_error *e);
void timeline_close(struct timeline *tl);

struct domain *timeline_domain(const struct timeline *tl);
struct timeline_pos timeline_pos(const struct timeline *tl);
uint64_t timeline_end(const struct timeline *tl); /* the icount at which the recording ends */

/*
 * Puts the domain at a place, wherever it is now.  An icount after the end
 * leads to the end, a moment that there is not to where the run is next: look
 * at timeline_pos().  Debug points are ignored on the way.  -1: the replay
 * diverged or the log is damaged, or TIMELINE_INTERRUPTED (e->status is
 * TTD_OK then, and the domain is somewhere before the place).
 */
int timeline_seek(struct timeline *tl, struct timeline_pos to, struct ttd_error *e);
/* The first place with this many branches retired, or so much guest time. */
int timeline_seek_brctr(struct timeline *tl, uint64_t brctr, struct ttd_error *e);
int timeline_seek_time(struct timeline *tl, uint64_t guest_ns, struct ttd_error *e);

enum timeline_why {
	TIMELINE_REACHED,     /* `until` */
	TIMELINE_END,         /* of the recording */
	TIMELINE_DEBUG,       /* a breakpoint or watch: domain_debug() */
	TIMELINE_INTERRUPTED, /* timeline_interrupt() */
	TIMELINE_FAILED,      /* diverged, or a damaged log: *e */
};

struct timeline_stop {
	enum timeline_why why;
	struct timeline_pos pos;
	struct ttd_error err; /* FAILED */
};

/* Runs forward until there (UINT64_MAX: the end) or something stops it. */
void timeline_run(struct timeline *tl, struct timeline_pos until, struct timeline_stop *stop);

/* Makes seek or run come back soon.  Any thread or signal handler. */
void timeline_interrupt(struct timeline *tl);

/* Remembers this place, so that going back here is quick.  Only a hint. */
void timeline_checkpoint(struct timeline *tl);

struct timeline_mark {
	uint64_t icount, brctr;
	uint64_t guest_ns;
	uint64_t console_bytes; /* that the guest had written */
	bool stored;            /* in the file, not of this session only */
};
/* The places of the checkpoints, in order. */
void timeline_each(const struct timeline *tl, void (*fn)(void *ctx, const struct timeline_mark *m),
	void *ctx);

/*
 * The place of the last checkpoint at or before an icount, and of the first
 * after it: the segment that is run again to look at what happened between.
 * false: there is none after.
 */
bool timeline_segment(const struct timeline *tl, uint64_t icount, uint64_t *from, uint64_t *to);
/* Both are places of checkpoints, and the guest printed nothing between them. */
bool timeline_silent(const struct timeline *tl, uint64_t from, uint64_t to);

#endif
