/*
 * replay.c - the replayer; see replay.h.
 *
 *  Y1. `rec` (when `have`) is the next record; all before it have matched, and
 *      the log's order is the order in which this run must ask for them.
 *  Y2. A record with a door (input, mark, digest) is handed out when icount,
 *      tsc and the way of asking are the recorded ones, and must then match in
 *      brctr, rip and rcx too.  A record that lies after us was missed.
 *  Y3. horizon() stops the vCPU exactly at a door.  Before a witness it stops
 *      some way after it: the witness makes the vCPU come back by itself, and
 *      when it does not, that is a miss.
 *  Y4. status only ever leaves REPLAY_RUNNING; after that nothing is compared.
 *  Y6. `fold` holds what has been seen of the exits of `rec`; it is open while `have` is
 *      set and `rec` is such a record, and takes what comes before the last of them.
 *      A replay that begins in their midst (replay_seek()) counts them only.
 *  Y5. `detail` is what stood between the digest consumed last and `rec`; it is
 *      looked at when the digest after it differs, and else forgotten.
 */
#include "event/replay.h"

#include <stdlib.h>
#include <string.h>

enum {
	SLACK = 1024,            /* Y3: longer than any translated block */
	LOOK = 1 << 22,          /* instructions between looks at stop(), at least */
};

struct replayer {
	struct source source;
	struct replay_params p;
	uint64_t witnesses;
	enum replay_status status;
	bool have, end;          /* end: nothing follows; log_at_end() may have an END */
	volatile bool stop;
	struct log_record rec;
	uint64_t last_icount;    /* of the last record consumed, */
	uint32_t count_there;    /* and how many were consumed there */
	struct divergence div;
	struct detail detail;    /* Y5 */
	struct fold fold;        /* Y6 */
	uint32_t into;           /* this many exits of the next record were before the start */
	struct replay_counts counts;
	struct ttd_error err;
};

/* Y6: `rec` is new. */
static void open_fold(struct replayer *r)
{
	r->fold = (struct fold){0};
	if (r->rec.type == LOG_EXITS) {
		r->fold.until = r->rec.pos.icount;
		r->fold.n = r->into;
	} else {
		r->into = 0;
	}
}

/* The next record, NULL when there is none; then status may have changed. */
static const struct log_record *peek(struct replayer *r)
{
	int rc;

	if (r->have)
		return &r->rec;
	if (r->end || r->status != REPLAY_RUNNING)
		return NULL;
	while ((rc = log_next(r->p.log, &r->rec, &r->err)) == 1 && log_is_detail(r->rec.type))
		detail_take(&r->detail, &r->rec);
	if (rc == 1) {
		r->have = true;
		open_fold(r);
		return &r->rec;
	}
	r->end = true;
	if (rc < 0)
		r->status = REPLAY_DAMAGED;
	return NULL;
}

static uint32_t count_at(const struct replayer *r, uint64_t icount)
{
	return r->last_icount == icount ? r->count_there : 0;
}

static void consume(struct replayer *r)
{
	r->counts.type[r->rec.type]++;
	r->count_there = count_at(r, r->rec.pos.icount) + 1;
	r->last_icount = r->rec.pos.icount;
	if (r->rec.type == LOG_DIGEST)
		detail_clear(&r->detail);
	r->div.last = log_record_brief(&r->rec);
	r->have = false;
	r->fold = (struct fold){0};
	r->into = 0;
}

static void diverged(struct replayer *r, const struct source_pos *now,
	const struct log_record *expected, const struct log_record *actual)
{
	if (r->status != REPLAY_RUNNING)
		return;
	r->status = REPLAY_DIVERGED;
	r->fold.until = 0;
	r->div.now = *now;
	if (expected != NULL)
		r->div.expected = log_record_brief(expected);
	if (actual != NULL)
		r->div.actual = log_record_brief(actual);
}

/* The log has no more.  With an END the run must end by itself now. */
static bool log_is_over(struct replayer *r)
{
	if (r->status == REPLAY_RUNNING && log_at_end(r->p.log) == NULL)
		r->status = REPLAY_LOG_END;
	return r->status != REPLAY_RUNNING;
}

static bool leave(struct replayer *r, struct event *out)
{
	*out = (struct event){ .type = EV_STOP };
	out->value = r->status == REPLAY_DIVERGED;
	return true;
}

static bool is_behind(const struct log_record *rec, const struct source_pos *now)
{
	return rec->pos.icount < now->icount || (rec->pos.icount == now->icount &&
		log_has_door(rec->type) && (int64_t)(rec->pos.tsc - now->tsc) < 0);
}

static bool is_here(const struct log_record *rec, const struct source_pos *now, unsigned flags)
{
	return log_has_door(rec->type) && rec->flags == flags &&
		rec->pos.icount == now->icount && rec->pos.tsc == now->tsc;
}

/* Y2: at the right count, but is it the right place? */
static bool same_place(struct replayer *r, const struct log_record *rec,
	const struct source_pos *now)
{
	struct log_record actual = *rec;

	actual.pos = *now;
	if (log_record_equal(rec, &actual))
		return true;
	diverged(r, now, rec, &actual);
	return false;
}

static void hand_out(const struct log_record *rec, struct event *out)
{
	out->type = (enum event_type)rec->code;
	out->value = rec->value;
	out->len = rec->len;
	out->bytes = rec->bytes;
	if (rec->bytes == NULL)
		memcpy(out->data, rec->data, rec->len);
}

static void rep_boot(struct source *s, struct event *out)
{
	struct replayer *r = (struct replayer *)s;
	const struct log_record *rec = peek(r);
	struct source_pos zero = {0};

	*out = (struct event){ .type = EV_WALLCLOCK };
	if (rec == NULL) {
		log_is_over(r);
	} else if (rec->type != LOG_INPUT || rec->code != EV_WALLCLOCK) {
		diverged(r, &zero, rec, NULL);
	} else {
		hand_out(rec, out);
		consume(r);
	}
}

static uint64_t rep_horizon(struct source *s, const struct source_pos *now)
{
	struct replayer *r = (struct replayer *)s;
	const struct log_record *rec = peek(r);
	const struct log_end *end;
	uint64_t at = now->icount + LOOK, want;

	if (r->status != REPLAY_RUNNING || r->stop)
		return now->icount + 1;
	if (rec != NULL) {
		want = rec->pos.icount + (log_has_door(rec->type) ? 0 : SLACK);
	} else {
		end = log_at_end(r->p.log);
		if (end == NULL)
			return now->icount + 1;
		want = end->icount + SLACK;
	}
	if (want < at)
		at = want;
	return at > now->icount ? at : now->icount + 1;
}

/* Nothing is recorded for here.  true: leave the run loop. */
static bool nothing(struct replayer *r, const struct source_pos *now)
{
	const struct log_end *end;

	if (r->have)
		return false;
	if (log_is_over(r))
		return true;
	end = log_at_end(r->p.log);
	if (end->icount >= now->icount)
		return false;
	r->div.final = true;
	diverged(r, now, NULL, NULL);
	r->div.expected.pos.icount = end->icount;
	r->div.expected.pos.brctr = end->brctr;
	r->div.expected.pos.rip = end->rip;
	r->div.expected.code = end->why;
	return true;
}

static bool rep_next(struct source *s, const struct source_pos *now, struct event *out)
{
	struct replayer *r = (struct replayer *)s;
	const struct log_record *rec;

	if (r->p.progress != NULL)
		r->p.progress(r->p.progress_ctx, now);
	if (r->stop && r->status == REPLAY_RUNNING)
		r->status = REPLAY_STOPPED;
	while (r->status == REPLAY_RUNNING) {
		rec = peek(r);
		if (rec == NULL)
			return nothing(r, now) ? leave(r, out) : false;
		if (is_behind(rec, now)) {
			diverged(r, now, rec, NULL);
			break;
		}
		if (!is_here(rec, now, 0))
			return false;
		if (!same_place(r, rec, now))
			break;
		if (rec->type == LOG_DIGEST) {
			*out = (struct event){ .type = EV_DIGEST };
			return true; /* witness() consumes it */
		}
		consume(r);
		if (rec->type == LOG_INPUT) {
			hand_out(rec, out);
			return true;
		}
	}
	return leave(r, out);
}

static void rep_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	struct replayer *r = (struct replayer *)s;
	const struct log_record *rec;

	(void)deadline;
	if (r->stop && r->status == REPLAY_RUNNING)
		r->status = REPLAY_STOPPED;
	rec = peek(r);
	if (rec == NULL && !log_is_over(r)) {
		/* It idles where the recorded guest had ended. */
		nothing(r, now);
		r->div.final = true;
		diverged(r, now, NULL, NULL);
	} else if (rec != NULL && !is_here(rec, now, LOG_IDLE)) {
		diverged(r, now, rec, NULL);
	} else if (rec != NULL && r->status == REPLAY_RUNNING && same_place(r, rec, now)) {
		consume(r);
		hand_out(rec, out);
		return;
	}
	leave(r, out);
}

/* One of several that are in one record, perhaps the last. */
static enum witness_answer one_of_exits(struct replayer *r, const struct source_pos *now,
	const struct witness *w)
{
	const struct log_record *rec = &r->rec;
	struct log_record actual;

	if (now->icount <= rec->pos.icount && r->fold.n < rec->error &&
	    w->type != WITNESS_FRAME && w->type != WITNESS_DIGEST) {
		witness_fold(&r->fold, now, w);
		if (r->fold.n < rec->error)
			return WITNESS_OK;
		log_record_exits(&actual, &r->fold);
		if (r->into != 0)
			actual.value = rec->value;
	} else {
		log_record_witness(&actual, now, w);
	}
	if (log_record_equal(rec, &actual)) {
		consume(r);
		return WITNESS_MOVED;
	}
	diverged(r, now, rec, &actual);
	return WITNESS_DIVERGED;
}

static enum witness_answer rep_witness(struct source *s, const struct source_pos *now,
	const struct witness *w)
{
	struct replayer *r = (struct replayer *)s;
	struct log_record actual;
	const struct log_record *rec;

	if (r->status != REPLAY_RUNNING)
		return r->status == REPLAY_DIVERGED ? WITNESS_DIVERGED : WITNESS_LOG_END;
	if (!(r->witnesses >> w->type & 1))
		return WITNESS_OK;
	rec = peek(r);
	if (rec == NULL && log_is_over(r))
		return WITNESS_LOG_END;
	if (rec != NULL && rec->type == LOG_EXITS)
		return one_of_exits(r, now, w);
	log_record_witness(&actual, now, w);
	if (rec != NULL && log_record_equal(rec, &actual)) {
		consume(r);
		return WITNESS_MOVED; /* Y3 */
	}
	diverged(r, now, rec, &actual);
	if (w->detail != NULL && rec != NULL && rec->type == LOG_DIGEST)
		detail_compare(&r->detail, w->detail, &r->div.detail);
	return WITNESS_DIVERGED;
}

/* Typing at a replay does nothing. */
static int rep_push(struct source *s, const struct event *ev)
{
	(void)s;
	(void)ev;
	return 0;
}

static void rep_stop(struct source *s)
{
	struct replayer *r = (struct replayer *)s;

	r->stop = true;
	if (r->p.kick != NULL)
		r->p.kick(r->p.kick_ctx);
}

static void rep_destroy(struct source *s)
{
	free(s);
}

static const struct source_ops replay_ops = {
	.boot = rep_boot,
	.horizon = rep_horizon,
	.next = rep_next,
	.idle = rep_idle,
	.push = rep_push,
	.stop = rep_stop,
	.witness = rep_witness,
	.destroy = rep_destroy,
};

struct source *replay_create(const struct replay_params *p, struct ttd_error *e)
{
	struct replayer *r = calloc(1, sizeof *r);

	if (r == NULL) {
		err_set(e, TTD_HOST, "out of memory for the replayer");
		return NULL;
	}
	r->source.ops = &replay_ops;
	r->source.fold = &r->fold;
	r->p = *p;
	r->witnesses = log_meta(p->log)->witnesses;
	r->source.witnessed = (r->witnesses & ~(uint64_t)(1 << LOG_INPUT)) != 0;
	return &r->source;
}

enum replay_status replay_status(const struct source *s)
{
	return ((const struct replayer *)s)->status;
}

const struct divergence *replay_divergence(const struct source *s)
{
	return &((const struct replayer *)s)->div;
}

const struct ttd_error *replay_error(const struct source *s)
{
	return &((const struct replayer *)s)->err;
}

void replay_counts(const struct source *s, struct replay_counts *c)
{
	*c = ((const struct replayer *)s)->counts;
}

uint32_t replay_count_at(const struct source *s, uint64_t icount)
{
	const struct replayer *r = (const struct replayer *)s;

	return count_at(r, icount) | (r->have ? (uint32_t)r->fold.n << COUNT_BITS : 0);
}

int replay_seek(struct source *s, uint64_t icount, uint32_t records, struct ttd_error *e)
{
	struct replayer *r = (struct replayer *)s;

	r->have = r->end = r->stop = false;
	r->status = REPLAY_RUNNING;
	detail_clear(&r->detail);
	r->div = (struct divergence){0};
	r->fold = (struct fold){0};
	r->into = 0;
	if (log_version(r->p.log) >= LOG_EXITS_SINCE) {
		r->into = records >> COUNT_BITS;
		records &= (1 << COUNT_BITS) - 1;
	}
	r->last_icount = icount;
	r->count_there = records;
	return log_seek_record(r->p.log, icount, records, e);
}

void replay_resume(struct source *s)
{
	struct replayer *r = (struct replayer *)s;

	r->stop = false;
	if (r->status == REPLAY_STOPPED)
		r->status = REPLAY_RUNNING;
}

bool replay_finish(struct source *s, const struct log_end *actual, struct detail *detail)
{
	struct replayer *r = (struct replayer *)s;
	struct source_pos now = { .icount = actual->icount, .brctr = actual->brctr,
		.rip = actual->rip, .tsc = actual->disks };
	const struct log_record *rec = peek(r);
	const struct log_end *end;
	struct log_record mine = {
		.code = actual->why, .pos = now, .value = actual->memory, .value2 = actual->state,
	}, theirs = {0};

	if (r->status != REPLAY_RUNNING || (rec == NULL && log_is_over(r)))
		return false;
	end = rec == NULL ? log_at_end(r->p.log) : NULL;
	if (end != NULL && end->why == actual->why && end->icount == actual->icount &&
		end->brctr == actual->brctr && end->memory == actual->memory &&
		end->state == actual->state && end->disks == actual->disks)
		return true;
	if (end != NULL) {
		theirs.code = end->why;
		theirs.pos.icount = end->icount;
		theirs.pos.brctr = end->brctr;
		theirs.pos.rip = end->rip;
		theirs.value = end->memory;
		theirs.value2 = end->state;
		theirs.pos.tsc = end->disks;
	}
	r->div.final = true;
	diverged(r, &now, rec != NULL ? rec : &theirs, &mine);
	if (detail != NULL && end != NULL && end->icount == actual->icount)
		detail_compare(&r->detail, detail, &r->div.detail);
	return false;
}
