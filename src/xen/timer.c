/*
 * timer.c - guest time and the vCPU's two timers.  The periodic one runs from the
 * start, with 100 Hz, until the guest stops it.
 *
 * Guest time is the virtual TSC, in ns.  A deadline is an exact instant of it
 * and hence an exact icount: the first at which the TSC has reached it.  The
 * run loop stops the vCPU there, so a timer never depends on when we look.
 */
#include "xen/internal.h"

enum { DEFAULT_PERIOD = 10000000 };

void timer_init(struct timer_state *t)
{
	*t = (struct timer_state){ .deadline = SOURCE_NEVER, .period = DEFAULT_PERIOD };
}

/* While the vCPU is blocked the periodic timer stands still, as Xen stops it then. */
uint64_t timer_next(const struct vcpu *v)
{
	const struct timer_state *t = &v->timer;
	uint64_t next = sched_next(v);

	if (t->deadline < next)
		next = t->deadline;
	if (t->period != 0 && !v->blocked && t->period_last + t->period < next)
		next = t->period_last + t->period;
	return next;
}

/* A new period counts from the last tick: it may be over already. */
void timer_set_period(struct vcpu *v, uint64_t ns)
{
	v->timer.period = ns;
	run_look_again(v->d);
}

void timer_set(struct vcpu *v, uint64_t deadline)
{
	v->timer.deadline = deadline;
	run_look_again(v->d);
}

uint64_t icount_at(struct vcpu *v, uint64_t deadline)
{
	const struct cpu_state *s = regs_of(v);
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

uint64_t timer_icount(struct vcpu *v)
{
	return icount_at(v, timer_next(v));
}

void timer_expire(struct vcpu *v)
{
	struct timer_state *t = &v->timer;
	uint64_t now = cpu_tsc(regs_of(v));
	bool due = false;

	if (t->deadline <= now) {
		t->deadline = SOURCE_NEVER;
		due = true;
	}
	/* Ticks missed while guest time jumped are not made up for. */
	if (t->period != 0 && !v->blocked && t->period_last + t->period <= now) {
		t->period_last = now;
		due = true;
	}
	if (due)
		evtchn_raise_virq(v, VIRQ_TIMER);
	sched_expire(v);
}

void timer_advance(struct vcpu *v, uint64_t ns)
{
	regs_of(v)->tsc_offset += ns;
	run_look_again(v->d);
}

/*
 * 0 stops the timer.  What looks like wrapped arithmetic, a negative number or
 * more than 2^50 ns ahead, is a tenth of a second, as Xen does for old Linux.
 */
int64_t hc_set_timer_op(struct vcpu *v, const struct hypercall_args *h)
{
	uint64_t at = h->a[0], now = cpu_tsc(regs_of(v));

	if (at == 0)
		at = SOURCE_NEVER;
	else if ((int64_t)at < 0 || (at > now && (uint32_t)((at - now) >> 50) != 0))
		at = now + 100000000;
	timer_set(v, at);
	return 0;
}

void timer_save(const struct timer_state *t, struct wbuf *w)
{
	wbuf_u64(w, t->deadline);
	wbuf_u64(w, t->period);
	wbuf_u64(w, t->period_last);
}

int timer_load(struct timer_state *t, struct rbuf *r)
{
	t->deadline = rbuf_u64(r);
	t->period = rbuf_u64(r);
	t->period_last = rbuf_u64(r);
	return r->bad ? -1 : 0;
}
