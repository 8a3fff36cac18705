/*
 * reverse.h - moving by steps and to debug points, forwards and backwards.
 *
 * A step leads to the next place (timeline.h): over one instruction, or from an
 * instruction that an exception or interrupt takes the vCPU away from to the first
 * one of its handler.
 *
 * Where a point stops one:
 *  - a breakpoint, both ways, before its instruction;
 *  - a watch, forwards, after the access: where the instruction has retired, or
 *    what interrupted it begins; backwards at the place before that, where the
 *    access is just undone.
 *  A move leaves the place where it starts: a breakpoint there does not count.
 *
 * Backwards is done by running forwards: the segment between two checkpoints that
 * ends where we are is run through and the last point met is remembered; if there
 * is none, the segment before it.
 */
#ifndef TTD_TIMELINE_REVERSE_H
#define TTD_TIMELINE_REVERSE_H

#include <stdatomic.h>

#include "cpu/cpu.h"
#include "timeline/timeline.h"

struct timeline_points {
	const struct cpu_break *breaks;
	size_t nbreaks;
	const struct mem_watch *watches;
	size_t nwatches;
	/* Looks at a point that was met, the domain standing there.  NULL: all count. */
	bool (*wanted)(void *ctx, const struct cpu_debug *at);
	void *ctx;
	const atomic_bool *interrupted; /* set by who calls timeline_interrupt() */
};

enum move_why {
	MOVE_DONE,    /* the step */
	MOVE_POINT,   /* debug tells which */
	MOVE_BEGIN,   /* of the recording: there is nothing before */
	MOVE_END,
	MOVE_INTERRUPTED,
	MOVE_FAILED,  /* err */
};

struct move_end {
	enum move_why why;
	struct cpu_debug debug;
	struct ttd_error err;
};

void timeline_step(struct timeline *tl, const struct timeline_points *p, struct move_end *end);
void timeline_continue(struct timeline *tl, const struct timeline_points *p,
	struct move_end *end);
void timeline_step_back(struct timeline *tl, const struct timeline_points *p,
	struct move_end *end);
void timeline_continue_back(struct timeline *tl, const struct timeline_points *p,
	struct move_end *end);

#endif
