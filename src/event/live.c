/*
 * live.c - the live event source.
 *
 * Producers append to a locked list; who finds it empty bumps an eventfd, so that
 * a sleeping vCPU thread wakes, and kicks a running one.  They take turns, as the bulk
 * (bulk.h) is in the list's order, but copy without holding the vCPU thread up.  stop()
 * only stores a flag and writes the eventfd: both are allowed in a signal handler.
 * Guest time and host time are compared as ns since boot(); the guest's may lag, and is
 * then moved forward by one EV_TIME.
 */
#define _GNU_SOURCE /* ppoll */
#include "event/live.h"

#include <errno.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <time.h>
#include <unistd.h>

#include "util/clock.h"

#define NS_PER_SEC UINT64_C(1000000000)

enum {
	STEP_MIN_NS = 50000,     /* smaller lags are not worth an event */
	QUEUE_MAX = 4096,        /* events; a producer that outruns the guest is refused */
	QUEUE_BYTES = 16 << 20,
};

struct item {
	struct item *next;
	enum event_type type;
	uint32_t len;
	uint64_t value;
	uint8_t *bulk; /* NULL: they are here */
	uint8_t bytes[];
};

struct live {
	struct source source;
	struct live_params p;
	uint64_t start_ns; /* host's monotonic clock at guest time 0 */
	uint64_t look_at;  /* the clock is not read before this icount */
	int wake_fd;
	atomic_bool stop;
	atomic_bool waiting; /* the queue is not empty; read without the lock */
	pthread_mutex_t turn; /* producers'; taken before the lock */
	pthread_mutex_t lock;
	struct item *head, **tail;
	unsigned queued;
	size_t queued_bytes;
	struct item *taken; /* the bytes that were handed out last */
};

static uint64_t host_ns(const struct live *l)
{
	return clock_ns(CLOCK_MONOTONIC) - l->start_ns;
}

static void wake(struct live *l)
{
	uint64_t one = 1;
	ssize_t n;

	do
		n = write(l->wake_fd, &one, sizeof one);
	while (n < 0 && errno == EINTR);
	if (l->p.kick != NULL)
		l->p.kick(l->p.kick_ctx);
}

static void live_boot(struct source *s, struct event *out)
{
	struct live *l = (struct live *)s;

	*out = (struct event){ .type = EV_WALLCLOCK, .value = l->p.wallclock_ns };
	l->start_ns = clock_ns(CLOCK_MONOTONIC) - l->p.guest_ns;
	if (out->value == 0)
		out->value = clock_ns(CLOCK_REALTIME);
}

static uint64_t live_horizon(struct source *s, const struct source_pos *now)
{
	struct live *l = (struct live *)s;

	return l->p.follow_host ? now->icount + l->p.slice : SOURCE_NEVER;
}

static void drop_taken(struct live *l)
{
	struct item *it = l->taken;

	if (it != NULL && it->bulk != NULL)
		bulk_done(l->p.bulk, it->bulk, it->len);
	free(it);
	l->taken = NULL;
}

static bool take(struct live *l, struct event *out)
{
	struct item *it;

	drop_taken(l);
	if (atomic_load(&l->stop)) {
		atomic_store(&l->stop, false);
		*out = (struct event){ .type = EV_STOP };
		return true;
	}
	if (!atomic_load(&l->waiting))
		return false;
	pthread_mutex_lock(&l->lock);
	it = l->head;
	if (it != NULL) {
		l->head = it->next;
		if (l->head == NULL)
			l->tail = &l->head;
		l->queued--;
		l->queued_bytes -= it->len;
	}
	atomic_store(&l->waiting, l->head != NULL);
	pthread_mutex_unlock(&l->lock);
	if (it == NULL)
		return false;
	*out = (struct event){ .type = it->type, .len = it->len, .value = it->value };
	if (it->len > EVENT_DATA_MAX)
		out->bytes = it->bulk != NULL ? it->bulk : it->bytes;
	else
		memcpy(out->data, it->bytes, it->len);
	l->taken = it;
	return true;
}

static bool live_next(struct source *s, const struct source_pos *now, struct event *out)
{
	struct live *l = (struct live *)s;
	uint64_t host;

	if (l->p.follow_host && now->icount >= l->look_at) {
		l->look_at = now->icount + l->p.slice / 4;
		host = host_ns(l);
		if (host > now->tsc && host - now->tsc >= STEP_MIN_NS) {
			*out = (struct event){ .type = EV_TIME, .value = host - now->tsc };
			return true;
		}
	}
	return take(l, out);
}

/* Sleeps until the eventfd is bumped or `ns` have passed (SOURCE_NEVER: no limit). */
static void nap(struct live *l, uint64_t ns)
{
	struct pollfd pfd = { .fd = l->wake_fd, .events = POLLIN };
	struct timespec ts = {
		.tv_sec = (time_t)(ns / NS_PER_SEC), .tv_nsec = (long)(ns % NS_PER_SEC)
	};
	uint64_t count;

	if (ppoll(&pfd, 1, ns == SOURCE_NEVER ? NULL : &ts, NULL) > 0)
		while (read(l->wake_fd, &count, sizeof count) < 0 && errno == EINTR)
			;
}

static bool ready(struct live *l)
{
	return atomic_load(&l->stop) || atomic_load(&l->waiting);
}

static void live_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	struct live *l = (struct live *)s;
	uint64_t host;

	if (!l->p.follow_host) {
		while (!take(l, out))
			nap(l, SOURCE_NEVER);
		return;
	}
	for (;;) {
		host = host_ns(l);
		if (host >= deadline || ready(l))
			break;
		nap(l, deadline == SOURCE_NEVER ? SOURCE_NEVER : deadline - host);
	}
	/* One event per call: the time first, then next() hands out the input. */
	*out = (struct event){ .type = EV_IDLE };
	if (host > now->tsc)
		out->value = host - now->tsc;
}

static struct item *new_item(struct live *l, const struct event *ev)
{
	uint8_t *bulk = l->p.bulk != NULL && ev->len > EVENT_DATA_MAX
		? bulk_alloc(l->p.bulk, ev->len) : NULL;
	struct item *it = malloc(sizeof *it + (bulk == NULL ? ev->len : 0));

	if (it == NULL)
		return NULL;
	it->next = NULL;
	it->type = ev->type;
	it->len = ev->len;
	it->value = ev->value;
	it->bulk = bulk;
	memcpy(bulk != NULL ? bulk : it->bytes, event_bytes(ev), ev->len);
	return it;
}

/* Requests in flight are limited, and each must come to its end. */
static bool full(const struct live *l, const struct item *it)
{
	return it->type != EV_BLOCK &&
		(l->queued >= QUEUE_MAX || l->queued_bytes + it->len > QUEUE_BYTES);
}

/* false: there is no room.  *first: the queue was empty. */
static bool append(struct live *l, struct item *it, bool *first)
{
	bool fits;

	pthread_mutex_lock(&l->lock);
	fits = !full(l, it);
	*first = l->head == NULL;
	if (fits) {
		*l->tail = it;
		l->tail = &it->next;
		l->queued++;
		l->queued_bytes += it->len;
		atomic_store(&l->waiting, true);
	}
	pthread_mutex_unlock(&l->lock);
	return fits;
}

static int live_push(struct source *s, const struct event *ev)
{
	struct live *l = (struct live *)s;
	bool first = false, fits;
	struct item *it;

	pthread_mutex_lock(&l->turn);
	it = new_item(l, ev);
	fits = it != NULL && append(l, it, &first);
	pthread_mutex_unlock(&l->turn);
	if (!fits) {
		free(it);
		return -1;
	}
	if (first)
		wake(l);
	return 0;
}

static void live_stop(struct source *s)
{
	struct live *l = (struct live *)s;
	int saved = errno;

	atomic_store(&l->stop, true);
	wake(l);
	errno = saved;
}

static void live_destroy(struct source *s)
{
	struct live *l = (struct live *)s;
	struct item *it;

	while ((it = l->head) != NULL) {
		l->head = it->next;
		free(it);
	}
	drop_taken(l);
	pthread_mutex_destroy(&l->turn);
	pthread_mutex_destroy(&l->lock);
	close(l->wake_fd);
	free(l);
}

static const struct source_ops live_ops = {
	.boot = live_boot,
	.horizon = live_horizon,
	.next = live_next,
	.idle = live_idle,
	.push = live_push,
	.stop = live_stop,
	.destroy = live_destroy,
};

struct source *live_create(const struct live_params *p, struct ttd_error *e)
{
	struct live *l = calloc(1, sizeof *l);

	if (l == NULL) {
		err_set(e, TTD_HOST, "out of memory for the event source");
		return NULL;
	}
	l->source.ops = &live_ops;
	l->p = *p;
	l->tail = &l->head;
	l->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (l->wake_fd < 0) {
		err_set(e, TTD_HOST, "eventfd: %s", strerror(errno));
		free(l);
		return NULL;
	}
	pthread_mutex_init(&l->turn, NULL);
	pthread_mutex_init(&l->lock, NULL);
	l->start_ns = clock_ns(CLOCK_MONOTONIC);
	return &l->source;
}
