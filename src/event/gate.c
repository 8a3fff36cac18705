/*
 * gate.c - holding the vCPU thread up; see gate.h.
 *
 * stop() opens the gate until the run has been stopped: one that is to end must
 * not wait.  It only stores flags and writes an eventfd, which a signal handler
 * may do.
 */
#include "event/gate.h"

#include <errno.h>
#include <poll.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

struct gate {
	struct source_wrap wrap;
	int wake;
	atomic_uint why;
	atomic_bool stop, held, idle;
	void (*kick)(void *ctx);
	void *kick_ctx;
};

static void ring(struct gate *g)
{
	uint64_t one = 1;
	int saved = errno;

	if (write(g->wake, &one, sizeof one) < 0)
		errno = saved; /* full: it is readable anyway */
}

static void pass(struct gate *g)
{
	struct pollfd p = {.fd = g->wake, .events = POLLIN};
	uint64_t count;

	if (atomic_load(&g->why) == 0 || atomic_load(&g->stop))
		return;
	atomic_store(&g->held, true);
	while (atomic_load(&g->why) != 0 && !atomic_load(&g->stop))
		if (poll(&p, 1, -1) > 0 && read(g->wake, &count, sizeof count) < 0 &&
			errno != EINTR && errno != EAGAIN)
			break;
	atomic_store(&g->held, false);
}

static bool gate_next(struct source *s, const struct source_pos *now, struct event *out)
{
	struct gate *g = (struct gate *)s;

	pass(g);
	if (!source_next(g->wrap.inner, now, out))
		return false;
	if (out->type == EV_STOP)
		atomic_store(&g->stop, false); /* a stopped run may be gone on with */
	return true;
}

static void gate_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	struct gate *g = (struct gate *)s;

	pass(g);
	atomic_store(&g->idle, true);
	source_idle(g->wrap.inner, now, deadline, out);
	atomic_store(&g->idle, false);
}

static void gate_stop(struct source *s)
{
	struct gate *g = (struct gate *)s;

	atomic_store(&g->stop, true);
	ring(g);
	source_stop(g->wrap.inner);
}

static void gate_destroy(struct source *s)
{
	struct gate *g = (struct gate *)s;

	source_destroy(g->wrap.inner);
	g->wrap.inner = NULL;
	g->kick = NULL;
}

static const struct source_ops gate_ops = {
	.boot = wrap_boot,
	.horizon = wrap_horizon,
	.next = gate_next,
	.idle = gate_idle,
	.push = wrap_push,
	.stop = gate_stop,
	.witness = wrap_witness,
	.destroy = gate_destroy,
};

struct gate *gate_create(struct ttd_error *e)
{
	struct gate *g = calloc(1, sizeof *g);

	if (g == NULL) {
		err_set(e, TTD_HOST, "out of memory for the event source");
		return NULL;
	}
	g->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (g->wake >= 0)
		return g;
	err_set(e, TTD_HOST, "eventfd: %s", strerror(errno));
	free(g);
	return NULL;
}

void gate_free(struct gate *g)
{
	if (g == NULL)
		return;
	close(g->wake);
	free(g);
}

struct source *gate_wrap(struct gate *g, struct source *inner, const struct live_params *live)
{
	source_wrap(&g->wrap, &gate_ops, inner);
	g->kick = live->kick;
	g->kick_ctx = live->kick_ctx;
	return &g->wrap.source;
}

void gate_hold(struct gate *g, enum gate_reason why, bool on)
{
	if (on) {
		atomic_fetch_or(&g->why, (unsigned)why);
		if (g->kick != NULL)
			g->kick(g->kick_ctx);
	} else {
		atomic_fetch_and(&g->why, ~(unsigned)why);
		ring(g);
	}
}

enum gate_state gate_state(const struct gate *g)
{
	if (atomic_load(&g->why) != 0 && (atomic_load(&g->held) || atomic_load(&g->idle)))
		return GATE_HELD;
	return atomic_load(&g->idle) ? GATE_IDLE : GATE_RUNNING;
}
