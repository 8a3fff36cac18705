/*
 * outcome.h - how a run, a recording or a replay ended: in words, and as an exit status.
 * The same for a guest on this terminal and for a domain in a process of its own.
 */
#ifndef TTD_CMD_TTD_OUTCOME_H
#define TTD_CMD_TTD_OUTCOME_H

#include <ttd/ttd.h>

#include "util/diag.h"

/* Who says it. */
struct outcome {
	/* A line; more: it adds to the one before. */
	void (*say)(void *ctx, enum diag_level level, bool more, const char *line);
	void *ctx;
	const char *name; /* the guest's */
	int why;          /* console_why(): what stopped it */
};

/* What the end of a run means. */
enum ttd_status outcome_run(const struct outcome *o, struct ttd_vm *vm, enum ttd_end end);

/* What became of a recording; `status` is the run's.  A log with a hole at its end is an error. */
enum ttd_status outcome_recorded(const struct outcome *o, const struct ttd_result *r,
	enum ttd_status status);

enum ttd_status outcome_replayed(const struct outcome *o, struct ttd_vm *vm,
	const struct ttd_result *r);

/* A say() that prints at once; ctx is the struct diag. */
void outcome_print(void *ctx, enum diag_level level, bool more, const char *line);

#endif
