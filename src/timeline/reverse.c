/*
 * reverse.c - see reverse.h.
 *
 *  RV1. Points are set in the engine only while a move of this file runs through
 *      a segment; where it goes to a place that it knows, they are not.
 */
#include "timeline/reverse.h"

enum met { MET_NOTHING, MET_POINT, MET_OTHER /* end->why says what */ };

static const struct timeline_points none;

static int set_points(struct timeline *tl, const struct timeline_points *p, struct move_end *end)
{
	struct domain *d = timeline_domain(tl);

	if (cpu_set_breaks(domain_vcpu(d), p->breaks, p->nbreaks) == 0 &&
	    mem_set_watches(domain_mem(d), p->watches, p->nwatches) == 0)
		return 0;
	end->why = MOVE_FAILED;
	return err_set(&end->err, TTD_HOST, "out of memory for breakpoints");
}

static bool asked_to_stop(const struct timeline_points *p)
{
	return p->interrupted != NULL && atomic_load(p->interrupted);
}

/* What the hypervisor did last to watched memory is not told before it runs on. */
static bool pending(struct timeline *tl, struct cpu_debug *debug)
{
	struct mem *m = domain_mem(timeline_domain(tl));
	const struct mem_watch_hit *hit = mem_watch_hit(m);

	if (hit == NULL)
		return false;
	*debug = (struct cpu_debug){ .watch = true, .index = hit->index, .hit = *hit };
	mem_watch_clear(m);
	return true;
}

static enum met other(struct move_end *end, enum move_why why)
{
	end->why = why;
	return MET_OTHER;
}

/* Runs to a place or to the next point that is wanted, whichever comes first. */
static enum met run(struct timeline *tl, const struct timeline_points *p, struct timeline_pos until,
	struct move_end *end)
{
	struct timeline_stop stop;

	for (;;) {
		timeline_run(tl, until, &stop);
		switch (stop.why) {
		case TIMELINE_REACHED:
			if (!pending(tl, &end->debug))
				return MET_NOTHING;
			break;
		case TIMELINE_DEBUG:
			end->debug = *domain_debug(timeline_domain(tl));
			break;
		case TIMELINE_INTERRUPTED:
			if (asked_to_stop(p))
				return other(end, MOVE_INTERRUPTED);
			continue;
		case TIMELINE_END:
			return other(end, MOVE_END);
		case TIMELINE_FAILED:
			end->err = stop.err;
			return other(end, MOVE_FAILED);
		}
		if (p->wanted == NULL || p->wanted(p->ctx, &end->debug)) {
			end->why = MOVE_POINT;
			return MET_POINT;
		}
		if (asked_to_stop(p))
			return other(end, MOVE_INTERRUPTED);
	}
}

/* To a place that is known; false: *end says why not. */
static bool go(struct timeline *tl, const struct timeline_points *p, struct timeline_pos to,
	struct move_end *end)
{
	if (set_points(tl, &none, end) != 0)
		return false;
	while (timeline_seek(tl, to, &end->err) != 0) {
		if (end->err.status != TTD_OK) {
			end->why = MOVE_FAILED;
			return false;
		}
		if (asked_to_stop(p)) {
			end->why = MOVE_INTERRUPTED;
			return false;
		}
	}
	return true;
}

/*
 * The place before the one where we are, which must not be the first.  May move
 * to find out.  false: *end says why not.
 */
static bool before(struct timeline *tl, const struct timeline_points *p, struct timeline_pos *at,
	struct move_end *end)
{
	struct timeline_pos here = timeline_pos(tl);
	struct timeline_pos last = { here.icount - 1, UINT32_MAX };
	uint32_t moment;

	if (here.moment > 0) {
		*at = (struct timeline_pos){ here.icount, here.moment - 1 };
		return true;
	}
	if (!domain_moment_before(timeline_domain(tl), &moment)) {
		if (!go(tl, p, (struct timeline_pos){ here.icount - 1, 0 }, end) ||
		    !go(tl, p, last, end)) /* there is none such: it leads here */
			return false;
		if (!domain_moment_before(timeline_domain(tl), &moment))
			moment = 0;
	}
	*at = (struct timeline_pos){ here.icount - 1, moment };
	return true;
}

static bool at_begin(struct timeline *tl)
{
	struct timeline_pos here = timeline_pos(tl);

	return here.icount == 0 && here.moment == 0;
}

static void clear(struct timeline *tl)
{
	struct move_end ignored;

	set_points(tl, &none, &ignored); /* none need no memory */
}

/* ---- forwards ---- */

void timeline_step(struct timeline *tl, const struct timeline_points *p, struct move_end *end)
{
	struct timeline_pos here = timeline_pos(tl);
	struct timeline_points watches = *p;

	*end = (struct move_end){ .why = MOVE_DONE };
	watches.nbreaks = 0;
	here.moment++;
	if (set_points(tl, &watches, end) == 0)
		run(tl, &watches, here, end);
	clear(tl);
}

void timeline_continue(struct timeline *tl, const struct timeline_points *p,
	struct move_end *end)
{
	const struct timeline_pos far = { UINT64_MAX, 0 };

	*end = (struct move_end){ .why = MOVE_END };
	if (set_points(tl, p, end) == 0) {
		cpu_pass_break(domain_vcpu(timeline_domain(tl)));
		run(tl, p, far, end);
	}
	clear(tl);
}

/* ---- backwards ---- */

void timeline_step_back(struct timeline *tl, const struct timeline_points *p,
	struct move_end *end)
{
	struct timeline_pos here = timeline_pos(tl), at;
	struct timeline_points watches = *p;

	*end = (struct move_end){ .why = MOVE_BEGIN };
	if (at_begin(tl) || !before(tl, p, &at, end) || !go(tl, p, at, end))
		return;
	end->why = MOVE_DONE;
	watches.nbreaks = 0;
	if (p->nwatches == 0 || set_points(tl, &watches, end) != 0)
		return;
	/* Over it once more: does it touch what is watched? */
	if (run(tl, &watches, here, end) == MET_OTHER)
		clear(tl);
	else
		go(tl, p, at, end);
}

/* The last point met in [from, to) (a watch: (from, to]); `found` says whether. */
struct search {
	bool found;
	struct timeline_pos at;
	struct cpu_debug debug;
};

static enum met search(struct timeline *tl, const struct timeline_points *p,
	struct timeline_pos from, struct timeline_pos to, struct search *s, struct move_end *end)
{
	enum met met;

	s->found = false;
	if (!go(tl, p, from, end) || set_points(tl, p, end) != 0)
		return MET_OTHER;
	while ((met = run(tl, p, to, end)) == MET_POINT) {
		s->found = true;
		s->at = timeline_pos(tl);
		s->debug = end->debug;
		if (s->debug.watch && timeline_cmp(s->at, to) == 0)
			return MET_NOTHING;
	}
	return met;
}

/* To the point that a search has found. */
static void settle(struct timeline *tl, const struct timeline_points *p, const struct search *s,
	struct move_end *end)
{
	struct timeline_pos at = s->at;

	if (!go(tl, p, at, end))
		return;
	if (s->debug.watch && (!before(tl, p, &at, end) || !go(tl, p, at, end)))
		return;
	end->why = MOVE_POINT;
	end->debug = s->debug;
}

void timeline_continue_back(struct timeline *tl, const struct timeline_points *p,
	struct move_end *end)
{
	struct timeline_pos to = timeline_pos(tl), from = { 0, 0 };
	struct search s;
	uint64_t unused;

	*end = (struct move_end){ .why = MOVE_BEGIN };
	while (to.icount != 0 || to.moment != 0) {
		/* A checkpoint at `to` itself is of no use. */
		timeline_segment(tl, to.moment != 0 ? to.icount : to.icount - 1, &from.icount, &unused);
		switch (search(tl, p, from, to, &s, end)) {
		case MET_OTHER:
			if (end->why != MOVE_END) {
				clear(tl);
				return;
			}
			/* fallthrough */
		default:
			if (s.found) {
				settle(tl, p, &s, end);
				return;
			}
		}
		to = from;
	}
	go(tl, p, to, end);
}
