/*
 * record.c - the recorder; see record.h.
 *
 *  RC1. The order of records is the order in which things happened on the vCPU
 *      thread; an event is put down before the caller applies it.
 *  RC2. Marks and digests make the run loop stop where it otherwise would not.
 *      The guest does not notice (xen/run.c), so they may come anywhere.
 *  RC3. Once a record was lost none follows: a log has no holes.
 *  RC4. Witnesses in the fold (fold.h) come before whatever record is put next; where
 *      there may be checkpoints it is empty.  What can be lost with it by a crash is
 *      less than RECORD_FOLD or RECORD_MARK instructions.
 */
#include "event/record.h"

#include "event/detail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 50 };

struct recorder {
	struct source_wrap wrap;
	struct record_params p;
	uint64_t mark_due, digest_due;
	uint64_t last_icount;  /* of the last record, */
	uint32_t count_there;  /* and how many there are there */
	struct fold fold;
	uint64_t left;  /* records of single exits that can be paid, */
	uint64_t earned; /* as of this icount */
	bool lost;      /* RC3 */
	bool stop;      /* the run is to end because of it */
	bool limited;   /* that has been looked after */
};

static enum record_stall ask(struct recorder *r, unsigned ms, int error)
{
	if (r->p.stalled != NULL)
		return r->p.stalled(r->p.ctx, ms, error);
	return error != 0 ? STALL_STOP : STALL_WAIT;
}

/* The ring is full.  false: the record is lost. */
static bool wait_room(struct recorder *r, const struct log_record *rec)
{
	unsigned ms = 0;

	for (;;) {
		int error = ring_failed(r->p.ring);
		enum record_stall what = STALL_WAIT;

		if (error != 0 || ms > 0)
			what = ask(r, ms, error);
		if (what == STALL_WAIT && error != 0)
			what = STALL_STOP; /* nothing to wait for */
		if (what != STALL_WAIT) {
			r->stop = what == STALL_STOP;
			return false;
		}
		ring_wait_room(r->p.ring, WAIT_MS);
		if (ring_put(r->p.ring, rec))
			return true;
		ms += WAIT_MS;
	}
}

/* The stop is an event of the inner source's, so it is in the log, and all before it. */
static void limited(struct recorder *r)
{
	enum record_stall what = STALL_STOP;

	r->limited = true;
	if (r->p.limited != NULL)
		what = r->p.limited(r->p.ctx, ring_limited(r->p.ring));
	if (what == STALL_STOP)
		source_stop(r->wrap.inner);
	else
		r->lost = true;
}

static uint32_t count_at(const struct recorder *r, uint64_t icount)
{
	return r->last_icount == icount ? r->count_there : 0;
}

static void put_one(struct recorder *r, const struct log_record *rec)
{
	if (r->lost)
		return;
	if (ring_limited(r->p.ring) != LOG_NO_LIMIT && !r->limited && rec->type != LOG_FINAL) {
		limited(r);
		if (r->lost)
			return;
	}
	if (!log_is_detail(rec->type)) {
		r->count_there = count_at(r, rec->pos.icount) + 1;
		r->last_icount = rec->pos.icount;
	}
	r->mark_due = rec->pos.icount + RECORD_MARK;
	if (!ring_put(r->p.ring, rec) && !wait_room(r, rec))
		r->lost = true;
}

/* RC4: an exit by itself is a record like another. */
static void close_fold(struct recorder *r)
{
	const struct fold f = r->fold;
	struct log_record rec;

	r->fold = (struct fold){0};
	if (f.n == 0)
		return;
	log_record_exits(&rec, &f);
	put_one(r, &rec);
}

static void put(struct recorder *r, const struct log_record *rec)
{
	close_fold(r);
	put_one(r, rec);
}

/* Is there something left to pay a record of its own with?  No clock may decide that. */
static bool pays(struct recorder *r, uint64_t icount)
{
	uint64_t n = (icount - r->earned) / RECORD_PRICE;

	r->earned += n * RECORD_PRICE;
	if (r->left < RECORD_SAVED)
		r->left = r->left + n < RECORD_SAVED ? r->left + n : RECORD_SAVED;
	if (r->left == 0)
		return false;
	r->left--;
	return true;
}

static bool folds(const struct recorder *r, unsigned type)
{
	return (r->p.witnesses >> LOG_EXITS & 1) && !r->p.passive && type != WITNESS_FRAME &&
		type != WITNESS_DIGEST;
}

static void put_witness(struct recorder *r, const struct source_pos *now, const struct witness *w)
{
	struct log_record rec;

	if (folds(r, w->type)) {
		if (fold_takes(&r->fold, now->icount)) {
			witness_fold(&r->fold, now, w);
			return;
		}
		close_fold(r);
		if (!pays(r, now->icount)) {
			r->fold.until = now->icount + RECORD_FOLD;
			witness_fold(&r->fold, now, w);
			return;
		}
	}
	log_record_witness(&rec, now, w);
	put(r, &rec);
}

static void put_event(struct recorder *r, const struct source_pos *now, const struct event *ev,
	unsigned flags)
{
	struct log_record rec;

	if (ev->type == EV_DIGEST)
		return; /* witness() gets the answer */
	rec.type = LOG_INPUT;
	rec.flags = (uint8_t)flags;
	rec.check = 0;
	rec.code = ev->type;
	rec.error = 0;
	rec.pos = *now;
	rec.value = ev->value;
	rec.value2 = 0;
	rec.len = ev->len;
	rec.bytes = ev->bytes;
	if (ev->bytes == NULL)
		memcpy(rec.data, ev->data, ev->len);
	put(r, &rec);
}

static void rec_boot(struct source *s, struct event *out)
{
	struct recorder *r = (struct recorder *)s;
	struct source_pos zero = {0};

	source_boot(r->wrap.inner, out);
	put_event(r, &zero, out, 0);
}

static uint64_t rec_horizon(struct source *s, const struct source_pos *now)
{
	struct recorder *r = (struct recorder *)s;
	uint64_t at = source_horizon(r->wrap.inner, now);

	if (r->p.passive)
		return at;
	if (r->mark_due < at)
		at = r->mark_due;
	if (r->digest_due < at)
		at = r->digest_due;
	return at > now->icount ? at : now->icount + 1;
}

static void mark(struct recorder *r, const struct source_pos *now)
{
	struct log_record rec = { .type = LOG_MARK, .pos = *now };

	close_fold(r);
	/* A consumer that gave up is noticed here even while nothing happens. */
	if (!r->lost && ring_failed(r->p.ring) != 0) {
		r->lost = true;
		r->stop = ask(r, 0, ring_failed(r->p.ring)) != STALL_GO_ON;
	}
	if (r->p.witnesses >> LOG_MARK & 1)
		put(r, &rec);
	else if (!r->lost && !r->limited && ring_limited(r->p.ring) != LOG_NO_LIMIT)
		limited(r);
	r->mark_due = now->icount + RECORD_MARK;
}

static bool rec_next(struct source *s, const struct source_pos *now, struct event *out)
{
	struct recorder *r = (struct recorder *)s;

	if (r->stop) {
		r->stop = false;
		*out = (struct event){ .type = EV_STOP };
		return true;
	}
	if (!r->p.passive && now->icount >= r->digest_due) {
		r->digest_due = (now->icount / r->p.interval + 1) * r->p.interval;
		*out = (struct event){ .type = EV_DIGEST };
		return true;
	}
	if (!r->p.passive && now->icount >= r->mark_due)
		mark(r, now);
	if (!source_next(r->wrap.inner, now, out))
		return false;
	put_event(r, now, out, 0);
	return true;
}

static void rec_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	struct recorder *r = (struct recorder *)s;

	close_fold(r); /* that may last */
	source_idle(r->wrap.inner, now, deadline, out);
	put_event(r, now, out, LOG_IDLE);
}

static void put_detail(void *ctx, const struct log_record *rec)
{
	struct recorder *r = ctx;

	if (r->p.witnesses >> rec->type & 1)
		put(r, rec);
}

static enum witness_answer rec_witness(struct source *s, const struct source_pos *now,
	const struct witness *w)
{
	struct recorder *r = (struct recorder *)s;

	if (w->detail != NULL)
		detail_records(w->detail, now, put_detail, r);
	if (r->p.witnesses >> w->type & 1)
		put_witness(r, now, w);
	return source_witness(r->wrap.inner, now, w);
}

static const struct source_ops record_ops = {
	.boot = rec_boot,
	.horizon = rec_horizon,
	.next = rec_next,
	.idle = rec_idle,
	.push = wrap_push,
	.stop = wrap_stop,
	.witness = rec_witness,
	.destroy = wrap_destroy,
};

struct source *record_create(struct source *inner, const struct record_params *p,
	struct ttd_error *e)
{
	struct recorder *r = calloc(1, sizeof *r);

	if (r == NULL) {
		err_set(e, TTD_HOST, "out of memory for the recorder");
		source_destroy(inner);
		return NULL;
	}
	source_wrap(&r->wrap, &record_ops, inner);
	r->wrap.source.witnessed |= (p->witnesses & ~(uint64_t)(1 << LOG_INPUT)) != 0;
	r->wrap.source.fold = p->passive ? NULL : &r->fold;
	r->p = *p;
	r->mark_due = RECORD_MARK;
	r->left = RECORD_START;
	r->digest_due = p->interval != 0 ? p->interval : SOURCE_NEVER;
	return &r->wrap.source;
}

void record_finish(struct source *s, const struct log_end *end, const struct detail *detail)
{
	struct recorder *r = (struct recorder *)s;
	struct log_record rec = {
		.type = LOG_FINAL, .code = end->why, .value = end->memory, .value2 = end->state,
		.pos = { .icount = end->icount, .brctr = end->brctr, .rip = end->rip,
			.tsc = end->disks },
	};

	if (detail != NULL)
		detail_records(detail, &rec.pos, put_detail, r);
	rec.len = (uint32_t)strnlen(end->text, EVENT_DATA_MAX - 1);
	memcpy(rec.data, end->text, rec.len);
	put(r, &rec);
	ring_close(r->p.ring);
}

uint32_t record_count_at(struct source *s, uint64_t icount)
{
	struct recorder *r = (struct recorder *)s;

	close_fold(r);
	return count_at(r, icount);
}

bool record_complete(const struct source *s)
{
	return !((const struct recorder *)s)->lost;
}
