/*
 * timer.c - guest time and the vCPU's two timers.
 *
 * Guest time is the virtual TSC, in ns.  A deadline is an exact instant of it
 * and hence an exact icount: the first at which the TSC has reached it.  The
 * run loop stops the vCPU there, so a timer never depends on when we look.
 */
#include "xen/internal.h"

void timer_init(struct timer_state *t)
{
	*t = (struct timer_state){ .deadline = SOURCE_NEVER };
}

uint64_t timer_next(const struct timer_state *t)
{
	if (t->period != 0 && t->period_next < t->deadline)
		return t->period_next;
	return t->deadline;
}

void timer_set(struct domain *d, uint64_t deadline)
{
	d->timer.deadline = deadline;
	d->due = 0;
}

uint64_t icount_at(struct domain *d, uint64_t deadline)
{
	const struct cpu_state *s = regs_of(d);
	uint64_t need;
	unsigned __int128 n;

	if (deadline == SOURCE_NEVER)
		return SOURCE_NEVER;
	if (deadline <= s->tsc_offset)
		return 0;
	need = deadline - s->tsc_offset;
	/* The smallest n with (n * mul) >> 32 >= need. */
	n = ((unsigned __int128)need << 32) + s->tsc_mul - 1;
	n = (s->tsc_mul & (s->tsc_mul - 1)) == 0 ? n >> __builtin_ctzll(s->tsc_mul) : n / s->tsc_mul;
	return n > SOURCE_NEVER ? SOURCE_NEVER : (uint64_t)n;
}

uint64_t timer_icount(struct domain *d)
{
	return icount_at(d, timer_next(&d->timer));
}

void timer_expire(struct domain *d)
{
	struct timer_state *t = &d->timer;
	uint64_t now = cpu_tsc(regs_of(d));
	bool due = false;

	if (t->deadline <= now) {
		t->deadline = SOURCE_NEVER;
		due = true;
	}
	if (t->period != 0 && t->period_next <= now) {
		/* Ticks missed while guest time jumped are not made up for. */
		t->period_next += (now - t->period_next) / t->period * t->period + t->period;
		due = true;
	}
	if (due)
		evtchn_raise_virq(d, VIRQ_TIMER);
}

void timer_advance(struct domain *d, uint64_t ns)
{
	regs_of(d)->tsc_offset += ns;
	d->due = 0;
}

/* A timeout of 0 stops the timer; otherwise as the singleshot timer. */
int64_t hc_set_timer_op(struct domain *d, const struct hypercall_args *h)
{
	timer_set(d, h->a[0] == 0 ? SOURCE_NEVER : h->a[0]);
	return 0;
}

void timer_save(const struct timer_state *t, struct wbuf *w)
{
	wbuf_u64(w, t->deadline);
	wbuf_u64(w, t->period);
	wbuf_u64(w, t->period_next);
}

int timer_load(struct timer_state *t, struct rbuf *r)
{
	t->deadline = rbuf_u64(r);
	t->period = rbuf_u64(r);
	t->period_next = rbuf_u64(r);
	return r->bad ? -1 : 0;
}
