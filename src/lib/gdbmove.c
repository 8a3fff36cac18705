/*
 * gdbmove.c - moving a session for gdb: over the timeline while it is a recording,
 * by simply running once it has left it.
 */
#include "lib/debuggee.h"

#include <stdio.h>
#include <string.h>

#include "lib/vm.h"

void debuggee_interrupt(void *ctx)
{
	struct debuggee *g = ctx;

	atomic_store(&g->interrupted, true);
	if (g->live)
		domain_stop(g->domain);
	else
		timeline_interrupt(g->s->tl);
}

/* ---- points ---- */

/* A point counts in every process, or in one; kernel threads have one of their own. */
static bool wanted(void *ctx, const struct cpu_debug *at)
{
	struct debuggee *g = ctx;
	const struct guest_view *v;
	struct guest_task t;

	(void)at;
	if (!g->limited)
		return true;
	v = debuggee_view(g);
	if (v == NULL || !guest_current(v, &t))
		return false;
	return g->pid != 0 ? t.pid == g->pid || t.tid == g->pid : strcmp(t.comm, g->comm) == 0;
}

static void prepare(struct debuggee *g, struct timeline_points *p)
{
	size_t breaks = 0, watches = 0;

	for (size_t i = 0; i < g->npoints; i++) {
		const struct debuggee_point *k = &g->points[i];

		if (k->type == GDB_SW_BREAK || k->type == GDB_HW_BREAK) {
			g->of_break[breaks] = i;
			g->breaks[breaks++] = (struct cpu_break){ .va = k->addr, .root = MFN_NONE };
			continue;
		}
		g->of_watch[watches] = i;
		g->watches[watches++] = (struct mem_watch){ .addr = k->addr, .len = k->len,
			.root = MFN_NONE, .access = k->type == GDB_WATCH ? WATCH_WRITE
			: k->type == GDB_RWATCH ? WATCH_READ : WATCH_READ | WATCH_WRITE };
	}
	*p = (struct timeline_points){ .breaks = g->breaks, .nbreaks = breaks,
		.watches = g->watches, .nwatches = watches, .wanted = wanted, .ctx = g,
		.interrupted = &g->interrupted };
}

static void tell_point(const struct debuggee *g, const struct cpu_debug *at, struct gdb_stop *out)
{
	size_t i = at->watch ? g->of_watch[at->index] : g->of_break[at->index];

	out->why = GDB_AT_POINT;
	out->point = g->points[i].type;
	out->addr = g->points[i].addr;
	if (at->watch && at->hit.by == WATCH_BY_HYPERVISOR)
		snprintf(out->text, sizeof out->text, "(written by the hypervisor)");
}

static void tell(const struct debuggee *g, const struct move_end *end, struct gdb_stop *out)
{
	switch (end->why) {
	case MOVE_DONE:
		out->why = GDB_STOPPED;
		break;
	case MOVE_POINT:
		tell_point(g, &end->debug, out);
		break;
	case MOVE_BEGIN:
		out->why = GDB_AT_BEGIN;
		break;
	case MOVE_END:
		out->why = GDB_AT_END;
		break;
	case MOVE_INTERRUPTED:
		out->why = GDB_INTERRUPTED;
		break;
	case MOVE_FAILED:
		out->why = GDB_AT_END;
		snprintf(out->text, sizeof out->text, "%.*s", (int)sizeof out->text - 1, end->err.text);
		break;
	}
}

/* ---- on the timeline ---- */

static void range(struct debuggee *g, const struct timeline_points *p, uint64_t from, uint64_t to,
	struct move_end *end)
{
	do
		timeline_step(g->s->tl, p, end);
	while (end->why == MOVE_DONE && domain_cpu(g->domain)->rip - from < to - from &&
		!atomic_load(&g->interrupted));
	if (end->why == MOVE_DONE && atomic_load(&g->interrupted))
		end->why = MOVE_INTERRUPTED;
}

static void move_recorded(struct debuggee *g, enum gdb_move how, uint64_t from, uint64_t to,
	struct move_end *end)
{
	struct timeline_points p;

	prepare(g, &p);
	switch (how) {
	case GDB_STEP:
		timeline_step(g->s->tl, &p, end);
		break;
	case GDB_RANGE:
		range(g, &p, from, to, end);
		break;
	case GDB_CONTINUE:
		timeline_continue(g->s->tl, &p, end);
		break;
	case GDB_STEP_BACK:
		timeline_step_back(g->s->tl, &p, end);
		break;
	case GDB_CONTINUE_BACK:
		timeline_continue_back(g->s->tl, &p, end);
		break;
	}
}

/* ---- beyond it ---- */

#define GOING_ON ((enum gdb_why)-1)

static void set_live_points(struct debuggee *g, const struct timeline_points *p, bool breaks)
{
	cpu_set_breaks(domain_vcpu(g->domain), p->breaks, breaks ? p->nbreaks : 0);
	mem_set_watches(domain_mem(g->domain), p->watches, p->nwatches);
}

static void one_live(struct debuggee *g, bool step, struct gdb_stop *out)
{
	struct domain *d = g->domain;
	const struct domain_until until = {
		.icount = step ? domain_cpu(d)->icount : UINT64_MAX,
		.moment = step ? domain_moment(d) + 1 : 0,
	};

	switch (domain_run_to(d, &until)) {
	case HALT_REACHED:
		out->why = GDB_STOPPED;
		break;
	case HALT_DEBUG:
		if (wanted(g, domain_debug(d)))
			tell_point(g, domain_debug(d), out);
		break;
	case HALT_ENDED:
		if (domain_over(d)) {
			out->why = GDB_EXITED;
			out->status = domain_crash_reason(d)[0] != '\0' ? TTD_CRASHED : TTD_OK;
		}
		break;
	case HALT_INTERRUPTED:
		break;
	}
	if (out->why == GOING_ON && atomic_load(&g->interrupted))
		out->why = GDB_INTERRUPTED;
}

static void move_live(struct debuggee *g, enum gdb_move how, uint64_t from, uint64_t to,
	struct gdb_stop *out)
{
	struct timeline_points p;

	if (how == GDB_STEP_BACK || how == GDB_CONTINUE_BACK) {
		out->why = GDB_AT_BEGIN;
		snprintf(out->text, sizeof out->text,
			"This machine has left its recording: there is no way back.");
		return;
	}
	prepare(g, &p);
	set_live_points(g, &p, how == GDB_CONTINUE);
	cpu_pass_break(domain_vcpu(g->domain));
	do {
		out->why = GOING_ON;
		one_live(g, how != GDB_CONTINUE, out);
		if (how == GDB_RANGE && out->why == GDB_STOPPED &&
		    domain_cpu(g->domain)->rip - from < to - from)
			out->why = atomic_load(&g->interrupted) ? GDB_INTERRUPTED : GOING_ON;
	} while (out->why == GOING_ON);
	set_live_points(g, &(struct timeline_points){ .nbreaks = 0 }, false);
}

/* The recorded run stays what it is; this machine is another one from here on. */
int debuggee_fork(struct debuggee *g, struct ttd_error *e)
{
	const struct timeline_points none = { .nbreaks = 0 };

	if (g->live)
		return err_set(e, TTD_USAGE, "it has left the recording already");
	if (domain_over(g->domain))
		return err_set(e, TTD_USAGE, "the machine has ended here: go back first");
	if (domain_go_live(g->domain, e) != 0)
		return -1;
	set_live_points(g, &none, false);
	g->live = true;
	return 0;
}

void debuggee_move(void *ctx, enum gdb_move how, uint64_t from, uint64_t to, struct gdb_stop *out)
{
	struct debuggee *g = ctx;
	struct move_end end;

	atomic_store(&g->interrupted, false);
	if (g->live) {
		move_live(g, how, from, to, out);
	} else {
		move_recorded(g, how, from, to, &end);
		tell(g, &end, out);
	}
}
