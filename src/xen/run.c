/*
 * run.c - the run loop: take inputs, fire timers, deliver the upcall, run the
 * vCPU up to the next of all these, handle why it came back.
 *
 * What happens to the guest must depend on its own state and on the source's
 * events at their positions, never on where a slice happened to end:
 *
 *  R1. Inputs are taken at most once per icount while the guest runs, and
 *      never at an icount at which an exception or interrupt was already
 *      handled without retiring an instruction: a replay that stops the vCPU
 *      at that icount would come before it.  `polled` is the last icount that
 *      is used up.  A kick that arrives at such a place asks for one more
 *      instruction.
 *  R2. While the guest is blocked nothing is executed and any number of
 *      inputs may be taken; guest time orders them.  Once it is woken its
 *      icount is used up.
 *  R3. A timer fires at the first icount at which guest time has reached it;
 *      the vCPU is stopped exactly there.
 *  R4. A guest whose exceptions lead to nothing but exceptions would never come
 *      to an icount at which it can be stopped: STUCK_MAX of them in a row end
 *      it.  (A kernel stack is full after a few hundred.)
 *  R5. Exits come a hundred times more often than inputs and timers.  So what is
 *      due next is worked out once (`due`) and looked at again only there, after
 *      a kick, when the guest is blocked, or when a timer or the clock was set.
 *  R6. The upcall is looked at after something that a replay repeats: an exit
 *      that the guest's own instruction caused, or an event bit set here
 *      (check_upcall).  A guest that unmasks by a plain store is not
 *      interrupted by the end of a slice before it looks itself.
 */
#include "xen/internal.h"

#include <time.h>

enum { STUCK_MAX = 100000, STOP_GRACE_NS = 500000000 };

struct source_pos position(struct domain *d)
{
	const struct cpu_state *s = regs_of(d);

	return (struct source_pos){
		.icount = s->icount, .brctr = s->brctr, .rip = s->rip, .rcx = s->gpr[RCX],
		.tsc = cpu_tsc(s),
	};
}

struct source_pos domain_where(struct domain *d)
{
	return position(d);
}

bool domain_inside(const struct domain *d)
{
	return d->unfinished;
}

static void control(struct domain *d, const char *key, const struct event *ev)
{
	char path[64] = "/local/domain/1/control/";

	_Static_assert(DOMID == 1, "the path above");
	strcat(path, key);
	xs_write(d->store, path, ev->data, ev->len);
}

/*
 * R6: a recorder that was kicked behind an exit has looked for an upcall before
 * it stops, a replayer that knew where it stops has not.  Where there is none to
 * be found that is no difference, and must not be one in the digest.
 */
static void forget_check(struct domain *d)
{
	if (!d->blocked && !trap_upcall_due(d))
		d->check_upcall = false;
}

void apply_event(struct domain *d, const struct event *ev)
{
	switch (ev->type) {
	case EV_TIME:
	case EV_IDLE:
		timer_advance(d, ev->value);
		break;
	case EV_CONSOLE:
		console_input(d, ev->data, ev->len);
		break;
	case EV_CONTROL:
		control(d, "shutdown", ev);
		break;
	case EV_SYSRQ:
		control(d, "sysrq", ev);
		break;
	case EV_STOP:
		forget_check(d);
		domain_end_with(d, ev->value != 0 ? DOMAIN_DIVERGED : DOMAIN_STOPPED);
		break;
	case EV_DIGEST:
		witness_digest(d);
		break;
	case EV_BLOCK:
	case EV_NET:
		bus_apply(d, ev);
		break;
	case EV_WALLCLOCK:
	case EV_TYPES:
		break;
	}
}

/* R1, R2. */
static void take_inputs(struct domain *d)
{
	uint64_t icount = regs_of(d)->icount;
	struct source_pos now;
	struct event ev;

	if (icount == d->polled && !d->blocked)
		return;
	d->polled = icount;
	d->kicked = false;
	bus_expire(d);
	for (;;) {
		now = position(d);
		if (d->ended != RUNNING || !d->source->ops->next(d->source, &now, &ev))
			return;
		apply_event(d, &ev);
	}
}

/* Nothing to run: time passes until a timer or an input wakes the guest. */
static void idle(struct domain *d)
{
	uint64_t deadline = timer_next(&d->timer), due = bus_due(d);
	struct source_pos now = position(d);
	struct event ev;

	if (due < deadline)
		deadline = due;
	if (d->clock == CLOCK_VIRTUAL && deadline != SOURCE_NEVER) {
		if (deadline > now.tsc)
			timer_advance(d, deadline - now.tsc);
		return;
	}
	d->source->ops->idle(d->source, &now, deadline, &ev);
	apply_event(d, &ev);
}

/* An instruction is at most one branch: this never goes too far. */
static uint64_t before_brctr(struct domain *d, uint64_t brctr, uint64_t target)
{
	const struct cpu_state *s = regs_of(d);

	return brctr > s->brctr && brctr - s->brctr < target - s->icount
		? s->icount + (brctr - s->brctr) : target;
}

static uint64_t next_stop(struct domain *d)
{
	struct source_pos now = position(d);
	uint64_t target = d->source->ops->horizon(d->source, &now);
	uint64_t timer = timer_icount(d), due = icount_at(d, bus_due(d));

	if (timer < target)
		target = timer;
	if (due < target)
		target = due;
	if (d->stop_icount != 0 && d->stop_icount < target)
		target = d->stop_icount;
	if (d->until.icount < target)
		target = d->until.icount;
	if (d->until.tsc != 0 && icount_at(d, d->until.tsc) < target)
		target = icount_at(d, d->until.tsc);
	target = before_brctr(d, d->stop_brctr, target);
	target = before_brctr(d, d->until.brctr, target);
	if (d->kicked || target <= now.icount)
		target = now.icount + 1;
	return target;
}

void handle_exit(struct domain *d, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(d);
	uint64_t cr2 = x->cr2;
	uint32_t error = x->error;

	switch (x->reason) {
	case CPU_EXIT_TARGET:
	case CPU_EXIT_KICK:
		return;
	case CPU_EXIT_DEBUG:
		d->debug = x->debug;
		domain_end_with(d, DOMAIN_DEBUG);
		return;
	case CPU_EXIT_EXCEPTION:
		if (x->vector != 14)
			trap_exception(d, x->vector, x->has_error, x->error);
		else if (!ptwr_fault(d, cr2, error)) /* which may end *x */
			trap_page_fault(d, cr2, error);
		break;
	case CPU_EXIT_INT:
		trap_int(d, x->vector, x->len);
		break;
	case CPU_EXIT_SYSCALL:
		if (s->mode == MEM_USER) {
			trap_syscall(d, x->len);
		} else {
			cpu_retire(d->cpu, x->len);
			hypercall(d);
		}
		break;
	case CPU_EXIT_SYSENTER:
		trap_sysenter(d, x->len);
		break;
	case CPU_EXIT_PRIV:
		priv_emulate(d, x);
		break;
	}
	d->check_upcall = true;
}

static uint64_t host_now(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000 + (uint64_t)ts.tv_nsec;
}

uint32_t domain_moment(const struct domain *d)
{
	return d->moment_at == cpu_state(d->cpu)->icount ? d->moment : 0;
}

bool domain_moment_before(const struct domain *d, uint32_t *moment)
{
	uint64_t icount = cpu_state(d->cpu)->icount;

	*moment = d->moment_at == icount - 1 ? d->moment : 0;
	return icount != d->loaded_at && d->moment_at != icount;
}

bool run_reached(const struct domain *d)
{
	const struct cpu_state *s = cpu_state(d->cpu);
	const struct domain_until *u = &d->until;

	return s->icount > u->icount || (s->icount == u->icount && domain_moment(d) >= u->moment) ||
		(u->brctr != 0 && s->brctr >= u->brctr) || (u->tsc != 0 && cpu_tsc(s) >= u->tsc);
}

static void next_moment(struct domain *d)
{
	d->moment = domain_moment(d) + 1;
	d->moment_at = regs_of(d)->icount;
}

/* R1, R4: the vCPU came back and stands where it stood. */
static void not_moved(struct domain *d)
{
	uint64_t icount = regs_of(d)->icount;

	next_moment(d);
	d->polled = icount;
	d->stuck = d->stuck_at == icount ? d->stuck + 1 : 0;
	d->stuck_at = icount;
	if (d->stuck > STUCK_MAX)
		domain_crash(d, "%u exceptions in a row without an instruction between them "
			"(rip %#llx, cr2 %#llx)", d->stuck, (unsigned long long)regs_of(d)->rip,
			(unsigned long long)d->ctl.cr2);
}

/*
 * A replay could not end inside of a string instruction, so a stop waits for its
 * end; but not for hours.
 */
static void stop_unfinished(struct domain *d)
{
	uint64_t now = host_now();

	if (d->unfinished_since == 0)
		d->unfinished_since = now;
	if (now - d->unfinished_since < STOP_GRACE_NS)
		cpu_kick(d->cpu);
	else
		domain_end_with(d, DOMAIN_STOPPED);
}

/* R5. */
static bool something_due(struct domain *d)
{
	return regs_of(d)->icount >= d->due || d->kicked || d->blocked;
}

static void run_vcpu(struct domain *d)
{
	struct cpu_state *s = regs_of(d);
	const struct cpu_exit *x;
	enum cpu_exit_reason reason;
	uint64_t came_back, t = 0;

	if (something_due(d))
		d->due = next_stop(d);
	x = cpu_run(d->cpu, d->due);
	reason = x->reason;
	came_back = s->icount;
	d->unfinished = x->unfinished;
	if (reason == CPU_EXIT_KICK) {
		d->kicked = true;
		if (x->unfinished)
			d->polled = came_back; /* inputs wait; a stop need not */
		if (x->unfinished && d->stop_asked)
			stop_unfinished(d);
	}
	if (d->profile)
		t = host_now();
	handle_exit(d, x);
	if (d->profile)
		d->stats.host_exit_ns[reason & 7] += host_now() - t;
	if (reason != CPU_EXIT_TARGET && reason != CPU_EXIT_KICK &&
	    reason != CPU_EXIT_DEBUG && s->icount == came_back)
		not_moved(d);
}

static bool stop_reached(struct domain *d)
{
	const struct cpu_state *s = regs_of(d);

	return (d->stop_icount != 0 && s->icount >= d->stop_icount) ||
		(d->stop_brctr != 0 && s->brctr >= d->stop_brctr);
}

void run_step(struct domain *d)
{
	if (something_due(d)) {
		take_inputs(d);
		timer_expire(d);
		if (stop_reached(d))
			domain_end_with(d, DOMAIN_STOPPED);
	}
	if (d->ended != RUNNING)
		return;
	if (d->blocked) {
		if (!upcall_pending(d)) {
			idle(d);
			return;
		}
		d->blocked = false;
		d->check_upcall = true;
	}
	if (d->check_upcall) {
		d->check_upcall = false;
		if (trap_upcall(d)) {
			next_moment(d);
			d->polled = regs_of(d)->icount; /* R1: a kick may come right now */
		}
		if (d->ended != RUNNING || run_reached(d))
			return;
	}
	run_vcpu(d);
}
