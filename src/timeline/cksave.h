/*
 * cksave.h - storing checkpoints while a machine runs.
 *
 * The vCPU thread copies the frames that were written since the last checkpoint;
 * a thread of the writer's finds equal pages, compresses and writes.  When there
 * are too many checkpoints, or too many bytes, every second one is given up: the
 * further a recording gets the wider they are apart, evenly.
 */
#ifndef TTD_TIMELINE_CKSAVE_H
#define TTD_TIMELINE_CKSAVE_H

#include "timeline/ckformat.h"
#include "util/err.h"
#include "xen/domain.h"

struct cksave;

struct cksave_params {
	const char *path;
	struct ck_id id;    /* except for the seed, which is made */
	struct domain *domain; /* at icount 0 */
	size_t count;       /* checkpoints at most; 0: the default */
	uint64_t bytes;     /* of the file, about; 0: the default */
};

/* Replaces what is there.  NULL and *e on failure. */
struct cksave *cksave_open(const struct cksave_params *p, struct ttd_error *e);

/* Has the thread done with the last one? */
bool cksave_idle(const struct cksave *w);
/*
 * [vCPU thread] The machine is at a moment 0; `records`: this many records of the log
 * at this icount come before it.  -1: nothing more is stored, see cksave_error().
 */
int cksave_take(struct cksave *w, uint32_t records);
/* CPU time spent so far, by both threads. */
uint64_t cksave_cost_ns(const struct cksave *w);
/* What another one would cost now, about. */
uint64_t cksave_next_ns(const struct cksave *w);
/* How many times wider apart they are now than they were taken at first. */
unsigned cksave_spacing(const struct cksave *w);

struct cksave_result {
	uint64_t checkpoints, bytes, pages, cost_ns;
	uint64_t frames; /* that had been written to, counted at each checkpoint */
};
/* Waits until all is written.  -1: not all could be, *e says why; the rest is good. */
int cksave_close(struct cksave *w, struct cksave_result *r, struct ttd_error *e);

#endif
