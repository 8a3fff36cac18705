/*
 * lastwrite.c - the search for a last writer; see lastwrite.h.
 *
 *  LW1. Segments are numbered from the beginning; that of the wanted write is the
 *      highest in which there is one, so a process for a lower one is ended when
 *      a higher one has found something.
 *  LW2. A process has a copy of this one's machine: it restores the checkpoint,
 *      runs, writes its answer to a pipe and is gone.
 */
#include "timeline/lastwrite.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "timeline/internal.h"
#include "util/child.h"
#include "util/thread.h"

enum { JOBS_MAX = 64 };

struct segment {
	struct timeline_pos from, to;
	bool skip;
};

/* What a process says; it is this program, so the bytes may be of its form. */
struct answer {
	int status; /* 1 found, 0 not, -1: err */
	struct last_write w;
	struct ttd_error err;
};

struct job {
	size_t segment;
	pid_t pid;
	int fd;
};

struct search {
	struct timeline *tl;
	const struct last_write_query *q;
	struct segment *seg;
	size_t n, next; /* segments below next have not been given out */
	struct job job[JOBS_MAX];
	unsigned jobs, done, skipped;
	bool found, failed;
	size_t in;      /* the segment it was found in */
	struct last_write w;
	struct ttd_error err;
};

/* ---- one segment ---- */

static void note(struct timeline *tl, struct last_write *w)
{
	const struct cpu_debug *d = domain_debug(tl->p.domain);

	w->at = timeline_pos(tl);
	w->brctr = domain_where(tl->p.domain).brctr;
	w->rip = d->rip;
	w->by = d->hit.by;
	w->va = d->hit.va;
	w->machine = d->hit.mfn != MFN_NONE ? d->hit.mfn << PAGE_SHIFT | d->hit.off : UINT64_MAX;
	w->size = d->hit.size;
}

/* The last write in (from, to]. */
static int look(struct timeline *tl, const struct last_write_query *q, const struct segment *s,
	struct last_write *w, struct ttd_error *e)
{
	struct timeline_stop stop;
	int found = 0;

	if (timeline_seek(tl, s->from, e) != 0)
		return -1;
	if (mem_set_watches(tl->mem, q->ranges, q->n) != 0)
		return err_set(e, TTD_HOST, "out of memory");
	for (;;) {
		timeline_run(tl, s->to, &stop);
		if (stop.why != TIMELINE_DEBUG)
			break;
		if (domain_debug(tl->p.domain)->watch) {
			note(tl, w);
			found = 1;
		}
	}
	mem_set_watches(tl->mem, NULL, 0);
	if (stop.why == TIMELINE_FAILED)
		*e = stop.err;
	else if (stop.why == TIMELINE_INTERRUPTED)
		err_set(e, TTD_OK, "interrupted");
	else
		return found;
	return -1;
}

/* ---- the segments ---- */

static bool holds(const uint8_t *dirty, const struct last_write_query *q, uint64_t frames)
{
	for (size_t i = 0; i < q->n; i++) {
		uint64_t f = (q->ranges[i].addr >> PAGE_SHIFT) - MEM_FIRST_MFN;

		if (f >= frames || (dirty[f / 8] >> f % 8 & 1))
			return true;
	}
	return false;
}

/* Was the frame written between the stored checkpoint before k and k? */
static bool may_write(struct search *s, const struct ckpt *k, uint8_t *dirty)
{
	struct ck_meta m = { .dirty = dirty };
	struct wbuf raw = {0};
	struct ttd_error none;
	bool may = true;

	if (ckread_load(s->tl->file, k->number, &m, &raw, &none) == 0)
		may = holds(dirty, s->q, pages_frames(s->tl->pages));
	wbuf_free(&raw);
	return may;
}

/* From each stored checkpoint to the next, and from the last one to here. */
static int make_segments(struct search *s, struct timeline_pos here, struct ttd_error *e)
{
	struct timeline *tl = s->tl;
	uint8_t *dirty = malloc((pages_frames(tl->pages) + 7) / 8);
	struct timeline_pos from = { 0, 0 };
	size_t number = 0;

	s->seg = calloc(tl->n + 1, sizeof *s->seg);
	if (s->seg == NULL || dirty == NULL) {
		free(dirty);
		return err_set(e, TTD_HOST, "out of memory");
	}
	for (size_t i = 1; i < tl->n && tl->list[i]->at.icount < here.icount; i++) {
		const struct ckpt *k = tl->list[i];

		if (!k->at.stored)
			continue;
		s->seg[s->n] = (struct segment){ from, { k->at.icount, 0 }, false };
		/* What it says is of the time since the one before it in the file. */
		if (k->number == number && !may_write(s, k, dirty)) {
			s->seg[s->n].skip = true;
			s->skipped++;
		}
		from = s->seg[s->n++].to;
		number = k->number + 1;
	}
	s->seg[s->n++] = (struct segment){ from, here, false };
	s->next = s->n;
	free(dirty);
	return 0;
}

/* ---- processes ---- */

/* The parent has closed its end, or is no more.  (Confined, it may not kill.) */
static void *wait_for_end(void *arg)
{
	struct pollfd p = { .fd = (int)(intptr_t)arg };

	while (poll(&p, 1, -1) < 0 && errno == EINTR)
		;
	_exit(1);
}

static void run_job(struct search *s, size_t segment, int fd)
{
	static struct answer a; /* its padding is written too: zero */
	pthread_t t;

	signal(SIGINT, SIG_IGN); /* the parent ends us */
	thread_start(&t, wait_for_end, (void *)(intptr_t)fd);
	s->tl->p.none = true; /* checkpoints on the way would serve nobody */
	a.status = domain_forked(s->tl->p.domain, &a.err) == 0 ?
		look(s->tl, s->q, &s->seg[segment], &a.w, &a.err) : -1;
	_exit(write(fd, &a, sizeof a) == (ssize_t)sizeof a ? 0 : 1);
}

static int start_job(struct search *s, size_t segment)
{
	struct job *j = &s->job[s->jobs];
	int fds[2];

	_Static_assert(sizeof(struct answer) <= 4096, "one write to a pipe, at once or not");
	if (pipe(fds) != 0)
		return -1;
	domain_quiet(s->tl->p.domain);
	j->pid = fork();
	if (j->pid == 0) {
		close(fds[0]);
		for (unsigned i = 0; i < s->jobs; i++)
			close(s->job[i].fd); /* the parent's only: wait_for_end() */
		run_job(s, segment, fds[1]);
	}
	close(fds[1]);
	if (j->pid < 0) {
		close(fds[0]);
		return -1;
	}
	j->segment = segment;
	j->fd = fds[0];
	s->jobs++;
	return 0;
}

/* Where it has not answered, it is ended by that. */
static void end_job(struct search *s, unsigned i)
{
	struct job j = s->job[i];

	close(j.fd);
	child_wait(j.pid);
	s->job[i] = s->job[--s->jobs];
}

static void take_answer(struct search *s, unsigned i)
{
	size_t segment = s->job[i].segment;
	struct answer a;

	if (read(s->job[i].fd, &a, sizeof a) != (ssize_t)sizeof a) {
		a.status = -1;
		err_set(&a.err, TTD_HOST, "a process that searched for the last write has died");
	}
	end_job(s, i);
	s->done++;
	if (a.status < 0 && !s->failed) {
		s->failed = true;
		s->err = a.err;
	} else if (a.status > 0 && (!s->found || segment > s->in)) {
		s->found = true;
		s->in = segment;
		s->w = a.w;
	}
	if (s->q->progress != NULL)
		s->q->progress(s->q->ctx, s->done, (unsigned)s->n - s->skipped);
}

/* LW1: what can no longer matter. */
static void end_useless(struct search *s)
{
	for (unsigned i = s->jobs; i-- > 0;)
		if (s->failed || (s->found && s->job[i].segment < s->in))
			end_job(s, i);
}

static void start_more(struct search *s)
{
	unsigned max = s->q->jobs < 1 ? 1 : s->q->jobs < JOBS_MAX ? s->q->jobs : JOBS_MAX;

	while (s->jobs < max && s->next > 0 && !s->found && !s->failed) {
		size_t i = s->next - 1;

		if (!s->seg[i].skip && start_job(s, i) != 0) {
			if (s->jobs == 0) {
				s->failed = true;
				err_set(&s->err, TTD_HOST, "cannot start a process: %s", strerror(errno));
			}
			return; /* with those that run */
		}
		s->next--;
	}
}

/* The one process case, and the search's heart. */
static void run_all(struct search *s)
{
	struct pollfd p[JOBS_MAX];

	for (;;) {
		start_more(s);
		if (s->jobs == 0)
			return;
		for (unsigned i = 0; i < s->jobs; i++)
			p[i] = (struct pollfd){ .fd = s->job[i].fd, .events = POLLIN };
		if (poll(p, s->jobs, 200) < 0 && errno != EINTR) {
			s->failed = true;
			err_set(&s->err, TTD_HOST, "poll: %s", strerror(errno));
		}
		for (unsigned i = s->jobs; i-- > 0;)
			if (!s->failed && p[i].revents != 0)
				take_answer(s, i);
		if (atomic_exchange(&s->tl->interrupt, false) && !s->failed) {
			s->failed = true;
			err_set(&s->err, TTD_OK, "interrupted");
		}
		end_useless(s);
	}
}

int timeline_last_write(struct timeline *tl, const struct last_write_query *q,
	struct last_write *w, struct ttd_error *e)
{
	struct search s = { .tl = tl, .q = q };

	if (make_segments(&s, timeline_pos(tl), e) != 0) {
		free(s.seg);
		return -1;
	}
	run_all(&s);
	free(s.seg);
	if (s.failed) {
		*e = s.err;
		return -1;
	}
	s.w.segments = s.done;
	s.w.skipped = s.skipped;
	*w = s.w;
	if (!s.found)
		return 0;
	return timeline_seek(tl, s.w.at, e) == 0 ? 1 : -1;
}
