/*
 * drain.c - from ring to log; see drain.h.
 *
 * What was taken out of the ring but not committed is forgotten by a crash of
 * this process and is still in the ring: tail moves after a commit only.  So
 * a ring that fills up is a reason to commit early.
 */
#include "event/drain.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"

enum { LAST_MAX = 4096 };

struct drain {
	struct ring *ring;
	struct log_writer *log;
	uint64_t stream;      /* after the last record in the encoder */
	uint64_t committed;
	uint64_t last_commit; /* ms */
	bool done, failed;
};

struct drain *drain_create(struct ring *r, struct log_writer *w, uint64_t stream,
	struct ttd_error *e)
{
	struct drain *d = calloc(1, sizeof *d);

	if (d == NULL) {
		err_set(e, TTD_HOST, "out of memory for the event log");
		return NULL;
	}
	d->ring = r;
	d->log = w;
	d->stream = d->committed = stream;
	d->last_commit = clock_ms();
	if (ring_start(r, stream, e) == 0)
		return d;
	free(d);
	return NULL;
}

void drain_free(struct drain *d)
{
	free(d);
}

static enum drain_status failed(struct drain *d)
{
	d->failed = true;
	ring_fail(d->ring, errno != 0 ? errno : EIO);
	return DRAIN_FAILED;
}

static int commit(struct drain *d, struct ttd_error *e)
{
	enum log_limit why;

	errno = 0;
	if (log_commit(d->log, d->stream, e) != 0)
		return -1;
	d->last_commit = clock_ms();
	why = log_look(d->log);
	if (why != LOG_NO_LIMIT)
		ring_limit(d->ring, why);
	if (d->committed != d->stream)
		ring_release(d->ring, d->stream);
	d->committed = d->stream;
	return 0;
}

/* What came before is committed without the END: a successor still finds that in the ring. */
static int finish(struct drain *d, const struct log_record *r, uint64_t stream,
	struct ttd_error *e)
{
	struct log_end end = {
		.why = r->code, .icount = r->pos.icount, .brctr = r->pos.brctr,
		.memory = r->value, .state = r->value2, .rip = r->pos.rip, .disks = r->pos.tsc,
	};

	memcpy(end.text, r->data, r->len < sizeof end.text ? r->len : sizeof end.text - 1);
	if (commit(d, e) != 0)
		return -1;
	errno = 0;
	if (log_finish(d->log, &end, stream, e) != 0)
		return -1;
	d->done = true;
	d->committed = d->stream = stream;
	ring_release(d->ring, d->stream);
	return 0;
}

/* Takes what is there, up to a chunk's worth. */
static int take(struct drain *d, bool *more, struct ttd_error *e)
{
	struct log_record r;
	uint64_t stream;
	int rc;

	*more = true;
	while (log_pending(d->log) < DRAIN_CHUNK && !ring_pressed(d->ring)) {
		errno = 0;
		rc = ring_take(d->ring, &r, &stream, e);
		if (rc < 0)
			return -1;
		if (rc == 0) {
			*more = false;
			return 0;
		}
		if (r.type == LOG_FINAL)
			return finish(d, &r, stream, e);
		if (log_put(d->log, &r, e) != 0)
			return -1;
		d->stream = stream;
	}
	return commit(d, e);
}

enum drain_status drain_step(struct drain *d, struct ttd_error *e)
{
	bool more;

	if (d->failed)
		return DRAIN_FAILED;
	if (d->done)
		return DRAIN_DONE;
	if (take(d, &more, e) != 0)
		return failed(d);
	if (d->done)
		return DRAIN_DONE;
	if (ring_closed(d->ring)) {
		d->done = true;
		return commit(d, e) != 0 ? failed(d) : DRAIN_DONE;
	}
	if (((!more && ring_full(d->ring)) || clock_ms() - d->last_commit >= DRAIN_MS) &&
	    commit(d, e) != 0)
		return failed(d);
	return more ? DRAIN_MORE : DRAIN_IDLE;
}

enum drain_status drain_last(struct drain *d, struct ttd_error *e)
{
	enum drain_status s;

	/* A ring holds less than this many chunks; one that never ends is hostile. */
	for (int i = 0; (s = drain_step(d, e)) == DRAIN_MORE && i < LAST_MAX; i++)
		;
	if (s == DRAIN_IDLE)
		s = commit(d, e) != 0 ? failed(d) : DRAIN_DONE;
	return s;
}
