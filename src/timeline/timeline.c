/*
 * timeline.c - going to a place, and running from there; see timeline.h.
 *
 * Near where one is going checkpoints are left on the way, the closer the
 * denser, so that the next small step back is a short run.
 */
#include "timeline/internal.h"

#include <stdlib.h>
#include <time.h>

#include "cpu/cpu.h"
#include "util/clock.h"

enum {
	NEAR_LAST = 1 << 13,   /* the nearest checkpoint before a place, */
	NEAR_FIRST = 1 << 27,  /* and the farthest that is put there for its sake */
	LEG = 1 << 24,         /* instructions between looks at the clock */
	PLANT_NS = 300000000,
	MEMORY = 512 << 20,
};

/* A file that is of no use is left aside. */
static int open_file(struct timeline *tl)
{
	struct ck_id id;
	struct ttd_error none;

	if (tl->p.checkpoints == NULL || tl->p.none)
		return 0;
	id = *tl->p.id;
	id.frames = pages_frames(tl->pages);
	tl->file = ckread_open(tl->p.checkpoints, &id, &none);
	return tl->file != NULL ? ckpt_stored(tl) : 0;
}

struct timeline *timeline_open(const struct timeline_params *p, struct ttd_error *e)
{
	struct timeline *tl = calloc(1, sizeof *tl);

	if (tl == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	tl->p = *p;
	tl->mem = domain_mem(p->domain);
	tl->pages = pages_create(tl->mem, p->memory != 0 ? p->memory : MEMORY, e);
	if (tl->pages == NULL) {
		free(tl);
		return NULL;
	}
	tl->now = calloc(pages_frames(tl->pages), sizeof *tl->now);
	if (tl->now == NULL || mem_epoch_begin(tl->mem, MEM_FOR_CHECKPOINT) != 0 ||
		snapshot_take(tl) != 0) {
		err_set(e, TTD_HOST, "out of memory for checkpoints");
		timeline_close(tl);
		return NULL;
	}
	tl->planted = clock_ns(CLOCK_MONOTONIC);
	if (open_file(tl) != 0) {
		err_set(e, TTD_HOST, "out of memory for checkpoints");
		timeline_close(tl);
		return NULL;
	}
	tl->p.checkpoints = NULL; /* the caller's */
	tl->p.id = NULL;
	return tl;
}

void timeline_close(struct timeline *tl)
{
	if (tl == NULL)
		return;
	for (size_t i = 0; i < tl->n; i++)
		ckpt_free(tl, tl->list[i]);
	ckread_close(tl->file);
	free(tl->list);
	free(tl->now);
	pages_free(tl->pages);
	free(tl);
}

struct domain *timeline_domain(const struct timeline *tl)
{
	return tl->p.domain;
}

struct timeline_pos timeline_pos(const struct timeline *tl)
{
	return (struct timeline_pos){ domain_cpu(tl->p.domain)->icount,
		domain_moment(tl->p.domain) };
}

uint64_t timeline_end(const struct timeline *tl)
{
	return tl->p.end;
}

void timeline_interrupt(struct timeline *tl)
{
	atomic_store(&tl->interrupt, true);
	domain_interrupt(tl->p.domain);
}

/* The domain ended, or the log: is that as it should be? */
static enum timeline_why ended(struct timeline *tl, struct ttd_error *e)
{
	char line[400];

	switch (replay_status(tl->p.replay)) {
	case REPLAY_DIVERGED:
		tl->diverged = true;
		divergence_line(replay_divergence(tl->p.replay), line, sizeof line);
		err_set(e, TTD_DIVERGED, "%s", line);
		return TIMELINE_FAILED;
	case REPLAY_DAMAGED:
		*e = *replay_error(tl->p.replay);
		return TIMELINE_FAILED;
	case REPLAY_STOPPED:
		replay_resume(tl->p.replay);
		return TIMELINE_INTERRUPTED;
	case REPLAY_RUNNING:
	case REPLAY_LOG_END:
		break;
	}
	return TIMELINE_END;
}

static enum timeline_why leg(struct timeline *tl, struct timeline_pos to, struct ttd_error *e)
{
	struct domain_until until = tl->until;

	until.icount = to.icount;
	until.moment = to.moment;
	if (atomic_exchange(&tl->interrupt, false))
		return TIMELINE_INTERRUPTED;
	switch (domain_run_to(tl->p.domain, &until)) {
	case HALT_REACHED:
		return TIMELINE_REACHED;
	case HALT_ENDED:
		return ended(tl, e);
	case HALT_DEBUG:
		return TIMELINE_DEBUG;
	case HALT_INTERRUPTED:
		atomic_store(&tl->interrupt, false);
		break;
	}
	return TIMELINE_INTERRUPTED;
}

/* The next halt on the way: at a checkpoint to be, or a look at the clock. */
static struct timeline_pos next_halt(const struct timeline *tl, struct timeline_pos to, bool *plant)
{
	uint64_t here = timeline_pos(tl).icount, far = to.icount - here;
	struct timeline_pos at = { here + LEG, 0 };

	*plant = false;
	if (to.icount == UINT64_MAX || far > 2 * (uint64_t)NEAR_FIRST)
		return at;
	for (uint64_t d = NEAR_FIRST; d >= NEAR_LAST; d /= 4)
		if (d < far) {
			at.icount = to.icount - d;
			*plant = true;
			return at;
		}
	return to;
}

static void plant(struct timeline *tl, bool now)
{
	uint64_t ns = clock_ns(CLOCK_MONOTONIC);

	if (tl->p.none || tl->p.end <= timeline_pos(tl).icount || domain_moment(tl->p.domain) != 0 ||
		(!now && ns - tl->planted < PLANT_NS))
		return;
	snapshot_take(tl);
	tl->planted = ns;
}

static enum timeline_why forward(struct timeline *tl, struct timeline_pos to, struct ttd_error *e)
{
	enum timeline_why why;
	bool due;

	for (;;) {
		struct timeline_pos at = next_halt(tl, to, &due);

		if (timeline_cmp(at, to) >= 0)
			return leg(tl, to, e);
		why = leg(tl, at, e);
		if (why != TIMELINE_REACHED || timeline_cmp(timeline_pos(tl), at) < 0)
			return why;
		plant(tl, due);
	}
}

/* The index of the last checkpoint that has less of a count that never falls. */
static size_t last_below(const struct timeline *tl, uint64_t n,
	uint64_t (*count)(const struct timeline_mark *m))
{
	size_t lo = 0, hi = tl->n;

	while (hi - lo > 1) {
		size_t mid = lo + (hi - lo) / 2;

		if (count(&tl->list[mid]->at) < n)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

/* To checkpoint k, or where that is damaged to the last good one before it. */
static int go_back(struct timeline *tl, size_t k, struct ttd_error *e)
{
	for (;;) {
		if (snapshot_restore(tl, tl->list[k], e) == 0)
			return 0;
		if (!tl->list[k]->at.stored)
			return -1;
		ckpt_forget(tl, k--);
	}
}

/* From checkpoint k on to where tl->until says, and there to the first moment. */
static int seek_until(struct timeline *tl, size_t k, struct domain_until until,
	struct ttd_error *e)
{
	struct timeline_pos never = { UINT64_MAX, 0 }, there;
	enum timeline_why why;

	if (go_back(tl, k, e) != 0)
		return -1;
	tl->until = until;
	do
		why = forward(tl, never, e);
	while (why == TIMELINE_DEBUG);
	tl->until = (struct domain_until){0};
	if (why == TIMELINE_FAILED)
		return -1;
	if (why == TIMELINE_INTERRUPTED)
		return err_set(e, TTD_OK, "interrupted");
	if (why == TIMELINE_END)
		return 0;
	there = timeline_pos(tl);
	if (timeline_seek(tl, (struct timeline_pos){ there.icount, 0 }, e) != 0)
		return -1;
	/* An input that sets the clock comes between the first moment and the next. */
	if (domain_where(tl->p.domain).tsc < until.tsc)
		return timeline_seek(tl, there, e);
	return 0;
}

static uint64_t mark_brctr(const struct timeline_mark *m)
{
	return m->brctr;
}

static uint64_t mark_time(const struct timeline_mark *m)
{
	return m->guest_ns;
}

int timeline_seek_brctr(struct timeline *tl, uint64_t brctr, struct ttd_error *e)
{
	return seek_until(tl, last_below(tl, brctr, mark_brctr),
		(struct domain_until){ .brctr = brctr }, e);
}

int timeline_seek_time(struct timeline *tl, uint64_t guest_ns, struct ttd_error *e)
{
	return seek_until(tl, last_below(tl, guest_ns, mark_time),
		(struct domain_until){ .tsc = guest_ns }, e);
}

/* Is the domain, as it stands, on the way to that place, and nothing nearer to it? */
static bool on_the_way(const struct timeline *tl, struct timeline_pos to, long before)
{
	struct timeline_pos here = timeline_pos(tl);

	return !tl->broken && !tl->diverged && timeline_cmp(here, to) <= 0 &&
		(!domain_inside(tl->p.domain) || here.icount < to.icount) &&
		tl->list[before]->at.icount <= here.icount + LEG;
}

int timeline_seek(struct timeline *tl, struct timeline_pos to, struct ttd_error *e)
{
	enum timeline_why why;
	long before;

	if (to.icount > tl->p.end)
		to = (struct timeline_pos){ tl->p.end, 0 };
	before = ckpt_before(tl, to.icount);
	if (!on_the_way(tl, to, before) && go_back(tl, (size_t)before, e) != 0)
		return -1;
	do
		why = forward(tl, to, e);
	while (why == TIMELINE_DEBUG);
	switch (why) {
	case TIMELINE_FAILED:
		return -1;
	case TIMELINE_INTERRUPTED:
		return err_set(e, TTD_OK, "interrupted");
	default:
		return 0;
	}
}

void timeline_run(struct timeline *tl, struct timeline_pos until, struct timeline_stop *stop)
{
	*stop = (struct timeline_stop){ .why = TIMELINE_REACHED };
	if (timeline_cmp(timeline_pos(tl), until) < 0)
		stop->why = forward(tl, until, &stop->err);
	stop->pos = timeline_pos(tl);
}

void timeline_checkpoint(struct timeline *tl)
{
	if (!tl->broken && !tl->diverged && !domain_inside(tl->p.domain))
		plant(tl, true);
}

void timeline_each(const struct timeline *tl, void (*fn)(void *ctx, const struct timeline_mark *m),
	void *ctx)
{
	for (size_t i = 0; i < tl->n; i++)
		fn(ctx, &tl->list[i]->at);
}

bool timeline_segment(const struct timeline *tl, uint64_t icount, uint64_t *from, uint64_t *to)
{
	size_t i = (size_t)ckpt_before(tl, icount);

	*from = tl->list[i]->at.icount;
	*to = i + 1 < tl->n ? tl->list[i + 1]->at.icount : tl->p.end;
	return i + 1 < tl->n;
}

bool timeline_silent(const struct timeline *tl, uint64_t from, uint64_t to)
{
	const struct timeline_mark *a = &tl->list[ckpt_before(tl, from)]->at;
	const struct timeline_mark *b = &tl->list[ckpt_before(tl, to)]->at;

	return a->icount == from && b->icount == to && a->console_bytes == b->console_bytes;
}
