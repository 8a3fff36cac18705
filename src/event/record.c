/*
 * record.c - the recorder; see record.h.
 *
 *  C1. The order of records is the order in which things happened on the vCPU
 *      thread; an event is put down before the caller applies it.
 *  C2. Marks and digests make the run loop stop where it otherwise would not.
 *      The guest does not notice (xen/run.c), so they may come anywhere.
 *  C3. Once a record was lost none follows: a log has no holes.
 */
#include "event/record.h"

#include "event/detail.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

enum { WAIT_MS = 50 };

struct recorder {
	struct source source;
	struct source *inner;
	struct record_params p;
	uint64_t mark_due, digest_due;
	uint64_t place_icount; /* of the last record, */
	uint32_t place;        /* and how many there are there */
	bool lost;      /* C3 */
	bool stop;      /* the run is to end because of it */
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

static void put(struct recorder *r, const struct log_record *rec)
{
	if (r->lost)
		return;
	if (!log_is_detail(rec->type)) {
		r->place = record_place(&r->source, rec->pos.icount) + 1;
		r->place_icount = rec->pos.icount;
	}
	r->mark_due = rec->pos.icount + RECORD_MARK;
	if (!ring_put(r->p.ring, rec) && !wait_room(r, rec))
		r->lost = true;
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

	r->inner->ops->boot(r->inner, out);
	put_event(r, &zero, out, 0);
}

static uint64_t rec_horizon(struct source *s, const struct source_pos *now)
{
	struct recorder *r = (struct recorder *)s;
	uint64_t at = r->inner->ops->horizon(r->inner, now);

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

	/* A consumer that gave up is noticed here even while nothing happens. */
	if (!r->lost && ring_failed(r->p.ring) != 0) {
		r->lost = true;
		r->stop = ask(r, 0, ring_failed(r->p.ring)) != STALL_GO_ON;
	}
	if (r->p.witnesses >> LOG_MARK & 1)
		put(r, &rec);
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
	if (!r->inner->ops->next(r->inner, now, out))
		return false;
	put_event(r, now, out, 0);
	return true;
}

static void rec_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	struct recorder *r = (struct recorder *)s;

	r->inner->ops->idle(r->inner, now, deadline, out);
	put_event(r, now, out, LOG_IDLE);
}

static int rec_push(struct source *s, const struct event *ev)
{
	struct recorder *r = (struct recorder *)s;

	return r->inner->ops->push(r->inner, ev);
}

static void rec_stop(struct source *s)
{
	struct recorder *r = (struct recorder *)s;

	r->inner->ops->stop(r->inner);
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
	struct log_record rec;

	if (w->detail != NULL)
		detail_records(w->detail, now, put_detail, r);
	if (r->p.witnesses >> w->type & 1) {
		log_record_witness(&rec, now, w);
		put(r, &rec);
	}
	if (r->inner->ops->witness == NULL)
		return WITNESS_OK;
	return r->inner->ops->witness(r->inner, now, w);
}

static void rec_destroy(struct source *s)
{
	struct recorder *r = (struct recorder *)s;

	r->inner->ops->destroy(r->inner);
	free(r);
}

static const struct source_ops record_ops = {
	.boot = rec_boot,
	.horizon = rec_horizon,
	.next = rec_next,
	.idle = rec_idle,
	.push = rec_push,
	.stop = rec_stop,
	.witness = rec_witness,
	.destroy = rec_destroy,
};

struct source *record_create(struct source *inner, const struct record_params *p, struct err *e)
{
	struct recorder *r = calloc(1, sizeof *r);

	if (r == NULL) {
		err_set(e, ST_HOST, "out of memory for the recorder");
		inner->ops->destroy(inner);
		return NULL;
	}
	r->source.ops = &record_ops;
	r->inner = inner;
	r->p = *p;
	r->mark_due = RECORD_MARK;
	r->digest_due = p->interval != 0 ? p->interval : SOURCE_NEVER;
	return &r->source;
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

uint32_t record_place(const struct source *s, uint64_t icount)
{
	const struct recorder *r = (const struct recorder *)s;

	return r->place_icount == icount ? r->place : 0;
}

bool record_complete(const struct source *s)
{
	return !((const struct recorder *)s)->lost;
}
