/*
 * drain_thread.c - a thread that drains; see drain.h.
 *
 * A guest with a network logs most when every other thread is busy too: the guest's, the
 * network's, and whatever it talks to.  The log alone can wait.  So this thread has a helper
 * of class SCHED_IDLE, which gives way to all of them at once.  On a machine that is busy with
 * other programs, though, such a helper may not run for seconds.  If it makes no progress, it
 * is left alone for a while, and this thread does the work itself.
 *
 *  DT1. While the helper is BUSY, only the helper drains; otherwise only the thread does.
 */
#define _GNU_SOURCE /* SCHED_IDLE */
#include "event/drain.h"

#include <sched.h>
#include <stdlib.h>
#include <string.h>

#include "util/clock.h"
#include "util/thread.h"

enum {
	LOOK_MS = 40,     /* between looks at the helper */
	STAND_MS = 1000,  /* it may stand so long while there is no haste */
	ALONE_MS = 250,   /* then it is left alone for so long, each time twice as long */
	ALONE_MAX_MS = 32000,
};

enum helper { NONE, FREE, ASKED, BUSY, TO_END };

struct progress {
	uint64_t released;
	unsigned stood_ms;
};

struct drain_thread {
	struct ring *ring;
	struct drain *drain;
	pthread_t thread, help;
	pthread_mutex_t lock;
	pthread_cond_t changed;
	enum helper helper;
	bool leave;            /* the helper is to come back soon */
	uint64_t alone_until;  /* ms */
	unsigned alone_ms;     /* the next time */
	enum drain_status status;
	struct ttd_error err;
};

static void set_helper(struct drain_thread *t, enum helper to)
{
	t->helper = to;
	pthread_cond_broadcast(&t->changed);
}

/* Until there is nothing to do. */
static void work(struct drain_thread *t)
{
	do
		t->status = drain_step(t->drain, &t->err);
	while (t->status == DRAIN_MORE && !__atomic_load_n(&t->leave, __ATOMIC_RELAXED));
}

static void *help(void *arg)
{
	struct drain_thread *t = arg;
	const struct sched_param none = {0};
	int rc = pthread_setschedparam(pthread_self(), SCHED_IDLE, &none);

	pthread_mutex_lock(&t->lock);
	set_helper(t, rc == 0 ? FREE : TO_END);
	while (t->helper != TO_END) {
		if (t->helper != ASKED) {
			pthread_cond_wait(&t->changed, &t->lock);
			continue;
		}
		set_helper(t, BUSY);
		pthread_mutex_unlock(&t->lock);
		work(t);
		pthread_mutex_lock(&t->lock);
		set_helper(t, FREE);
	}
	pthread_mutex_unlock(&t->lock);
	return NULL;
}

/* Waits until it has nothing to do, at most so long (0: for ever). */
static bool wait_for_helper(struct drain_thread *t, unsigned ms)
{
	const struct timespec until = thread_until(ms);
	int rc = 0;

	while ((t->helper == ASKED || t->helper == BUSY) && rc == 0)
		rc = ms == 0 ? pthread_cond_wait(&t->changed, &t->lock)
			: pthread_cond_timedwait(&t->changed, &t->lock, &until);
	return t->helper == FREE;
}

/* The helper is not done yet.  Does it get on, or is there no haste? */
static bool in_time(struct drain_thread *t, struct progress *was)
{
	struct progress is = { .released = ring_released(t->ring) };

	if (is.released == was->released)
		is.stood_ms = was->stood_ms + LOOK_MS;
	*was = is;
	return !ring_full(t->ring) &&
		is.stood_ms < (ring_urgent(t->ring) ? LOOK_MS : STAND_MS);
}

/* false: it gets no time for it, or so little that the guest would have to wait. */
static bool helped(struct drain_thread *t)
{
	struct progress was = { .released = ring_released(t->ring) };
	bool done;

	pthread_mutex_lock(&t->lock);
	set_helper(t, ASKED);
	while (!(done = wait_for_helper(t, LOOK_MS)) && in_time(t, &was))
		;
	if (t->helper == ASKED)
		set_helper(t, FREE);
	__atomic_store_n(&t->leave, !done, __ATOMIC_RELAXED);
	wait_for_helper(t, 0);
	__atomic_store_n(&t->leave, false, __ATOMIC_RELAXED);
	pthread_mutex_unlock(&t->lock);
	return done;
}

static void turn(struct drain_thread *t)
{
	if (t->helper != NONE && clock_ms() >= t->alone_until) {
		if (helped(t)) {
			t->alone_ms = ALONE_MS;
			return;
		}
		t->alone_until = clock_ms() + t->alone_ms;
		t->alone_ms = t->alone_ms < ALONE_MAX_MS ? 2 * t->alone_ms : ALONE_MAX_MS;
	}
	work(t);
}

static void *run(void *arg)
{
	struct drain_thread *t = arg;

	for (;;) {
		turn(t);
		if (t->status == DRAIN_DONE || t->status == DRAIN_FAILED)
			return NULL;
		ring_sleep(t->ring, DRAIN_MS);
	}
}

/* It does without one where there is none to be had. */
static void start_helper(struct drain_thread *t)
{
	if (ring_bulk(t->ring)->size == 0 || thread_start(&t->help, help, t) != 0)
		return;
	pthread_mutex_lock(&t->lock);
	while (t->helper == NONE)
		pthread_cond_wait(&t->changed, &t->lock);
	pthread_mutex_unlock(&t->lock);
	if (t->helper == TO_END) {
		pthread_join(t->help, NULL);
		t->helper = NONE;
	}
}

static void end_helper(struct drain_thread *t)
{
	if (t->helper == NONE)
		return;
	pthread_mutex_lock(&t->lock);
	set_helper(t, TO_END);
	pthread_mutex_unlock(&t->lock);
	pthread_join(t->help, NULL);
}

static void free_thread(struct drain_thread *t)
{
	end_helper(t);
	drain_free(t->drain);
	ring_free(t->ring);
	pthread_cond_destroy(&t->changed);
	pthread_mutex_destroy(&t->lock);
	free(t);
}

struct drain_thread *drain_start(struct ring *r, struct log_writer *w, uint64_t stream,
	struct ttd_error *e)
{
	struct drain_thread *t = calloc(1, sizeof *t);
	int rc;

	if (t == NULL) {
		err_set(e, TTD_HOST, "out of memory for the event log");
		return NULL;
	}
	thread_lock_init(&t->lock, &t->changed);
	t->alone_ms = ALONE_MS;
	t->ring = ring_attach_own(r, e);
	if (t->ring != NULL)
		t->drain = drain_create(t->ring, w, stream, e);
	if (t->drain != NULL) {
		start_helper(t);
		rc = thread_start(&t->thread, run, t);
		if (rc == 0)
			return t;
		err_set(e, TTD_HOST, "cannot start the log's thread: %s", strerror(rc));
	}
	free_thread(t);
	return NULL;
}

int drain_join(struct drain_thread *t, struct ttd_error *e)
{
	int rc = 0;

	pthread_join(t->thread, NULL);
	if (t->status == DRAIN_FAILED) {
		*e = t->err;
		rc = -1;
	}
	free_thread(t);
	return rc;
}
