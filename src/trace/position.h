/*
 * position.h - how people write a place in a recording; the same for every
 * command.
 *
 *	N, N.M          instruction count N; the M-th moment there (timeline.h)
 *	brctr:N         the first place with N branches retired
 *	N%              of the instructions; a fraction may follow the point
 *	start, end
 *	event:N         where the log's event N (from 1) happens
 *	time:SECONDS    the first place with so much guest time since boot
 *	console:TEXT    the next place where the guest's console had printed TEXT
 *	panic           the next place where the guest's kernel panics or oopses
 *	before:...      console:TEXT or panic: the last such place before here
 */
#ifndef TTD_TRACE_POSITION_H
#define TTD_TRACE_POSITION_H

#include <stdbool.h>
#include <stdint.h>

#include "util/err.h"

enum position_kind {
	POSITION_ICOUNT, POSITION_BRCTR, POSITION_END, POSITION_EVENT, POSITION_TIME,
	POSITION_CONSOLE, POSITION_PANIC,
};

struct position {
	enum position_kind kind;
	uint64_t n;       /* count, number of the event, ns */
	uint32_t moment;  /* ICOUNT */
	const char *text; /* CONSOLE: a part of what was parsed */
	bool back;        /* CONSOLE, PANIC: the last one before here */
};

/* Where the recording ends: what lies after it is refused. */
int position_parse(const char *text, uint64_t icount, uint64_t brctr, struct position *p,
	struct ttd_error *e);

#endif
