/*
 * autosave.h - a domain's run with checkpoints taken now and then.
 */
#ifndef TTD_TIMELINE_AUTOSAVE_H
#define TTD_TIMELINE_AUTOSAVE_H

#include "timeline/cksave.h"

struct autosave;

#define AUTOSAVE_NS UINT64_C(500000000) /* when nobody says */

struct autosave_params {
	struct cksave_params writer;
	/* How far apart: CPU time of the vCPU, stretched where checkpoints would cost
	 * more than a 32nd of it in all and the next one more than a 48th of what it
	 * covers: to 4 times up to a 7th and a 12th, to 24 times at most; or
	 * instructions, exactly. */
	uint64_t every_ns, every_insns; /* both 0: the default time */
	/* How many records of the log at this icount, where the run is, come
	 * before it; UINT32_MAX: the log is not complete, take no more. */
	uint32_t (*records_at)(void *ctx, uint64_t icount);
	/* [vCPU thread] One line, once: no more are stored, and why.  May be NULL. */
	void (*note)(void *ctx, const char *line);
	void *ctx;
};

/* The domain is at icount 0.  NULL and *e on failure. */
struct autosave *autosave_create(const struct autosave_params *p, struct ttd_error *e);
/* domain_run(), with checkpoints. */
enum domain_end autosave_run(struct autosave *a);
/* The run is over: waits until all is written.  NULL is fine. */
void autosave_free(struct autosave *a, struct cksave_result *r);

#endif
