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

#include "util/clock.h"
#include "xen/bus.h"
#include "xen/emulate.h"
#include "xen/mmu.h"
#include "xen/witness.h"

enum { STUCK_MAX = 100000, STOP_GRACE_NS = 500000000 };

struct source_pos position(struct vcpu *v)
{
	const struct cpu_state *s = regs_of(v);

	return (struct source_pos){
		.icount = s->icount, .brctr = s->brctr, .rip = s->rip, .rcx = s->gpr[RCX],
		.tsc = cpu_tsc(s),
	};
}

struct source_pos domain_where(struct domain *d)
{
	return position(current_vcpu(d));
}

bool domain_inside(const struct domain *d)
{
	return current_vcpu(d)->unfinished;
}

static void control(struct domain *d, const char *key, const struct event *ev)
{
	char path[64] = "/local/domain/1/control/";

	_Static_assert(DOMID == 1, "the path above");
	strcat(path, key);
	xs_write(d->store, path, ev->data, ev->len);
}

/*
 * R6: a recorder that was kicked after an exit has already looked for an upcall when it
 * stops here; a replayer, which knew beforehand where to stop, has not.  If there is no
 * upcall to deliver, both are in the same state, and check_upcall must not make their digests differ.
 */
static void forget_check(struct domain *d)
{
	struct vcpu *v = current_vcpu(d);

	if (!v->blocked && !trap_upcall_due(v))
		v->check_upcall = false;
}

static void apply_event(struct domain *d, const struct event *ev)
{
	switch (ev->type) {
	case EV_TIME:
	case EV_IDLE:
		timer_advance(current_vcpu(d), ev->value);
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
	case EV_MEMORY:
		memory_set_target(d, ev->value);
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
	struct vcpu *v = current_vcpu(d);
	uint64_t icount = regs_of(v)->icount;
	struct source_pos now;
	struct event ev;

	if (icount == v->run.polled && !v->blocked)
		return;
	v->run.polled = icount;
	d->run.kicked = false;
	bus_expire(d);
	for (;;) {
		now = position(v);
		if (d->ended != RUNNING || !source_next(d->source, &now, &ev))
			return;
		apply_event(d, &ev);
	}
}

/* Nothing to run: time passes until a timer or an input wakes the guest. */
static void idle(struct domain *d)
{
	struct vcpu *v = current_vcpu(d);
	uint64_t deadline = timer_next(v), due = bus_due(d);
	struct source_pos now = position(v);
	struct event ev;

	if (due < deadline)
		deadline = due;
	if (d->clock == CLOCK_VIRTUAL && deadline != SOURCE_NEVER) {
		if (deadline > now.tsc)
			timer_advance(v, deadline - now.tsc);
		return;
	}
	source_idle(d->source, &now, deadline, &ev);
	apply_event(d, &ev);
}

void run_look_again(struct domain *d)
{
	for (unsigned i = 0; i < VCPUS; i++)
		d->vcpu[i].run.due = 0;
}

/* An instruction is at most one branch: this never goes too far. */
static uint64_t before_brctr(struct vcpu *v, uint64_t brctr, uint64_t target)
{
	const struct cpu_state *s = regs_of(v);

	return brctr > s->brctr && brctr - s->brctr < target - s->icount
		? s->icount + (brctr - s->brctr) : target;
}

static uint64_t next_stop(struct domain *d)
{
	const struct run_state *r = &d->run;
	struct vcpu *v = current_vcpu(d);
	struct source_pos now = position(v);
	uint64_t target = source_horizon(d->source, &now);
	uint64_t timer = timer_icount(v), due = icount_at(v, bus_due(d));

	if (timer < target)
		target = timer;
	if (due < target)
		target = due;
	if (r->stop_icount != 0 && r->stop_icount < target)
		target = r->stop_icount;
	if (r->until.icount < target)
		target = r->until.icount;
	if (r->until.tsc != 0 && icount_at(v, r->until.tsc) < target)
		target = icount_at(v, r->until.tsc);
	target = before_brctr(v, r->stop_brctr, target);
	target = before_brctr(v, r->until.brctr, target);
	if (r->kicked || target <= now.icount)
		target = now.icount + 1;
	return target;
}

bool run_must_look(struct vcpu *v, uint64_t due)
{
	if (v->run.due == 0)
		v->run.due = next_stop(v->d);
	return v->d->ended != RUNNING || v->run.due < due;
}

void handle_exit(struct vcpu *v, const struct cpu_exit *x)
{
	struct cpu_state *s = regs_of(v);
	uint64_t cr2 = x->cr2;
	uint32_t error = x->error;

	switch (x->reason) {
	case CPU_EXIT_TARGET:
	case CPU_EXIT_KICK:
		return;
	case CPU_EXIT_DEBUG:
		v->debug = x->debug;
		domain_end_with(v->d, DOMAIN_DEBUG);
		return;
	case CPU_EXIT_EXCEPTION:
		if (x->vector != VEC_PF)
			trap_exception(v, x->vector, x->has_error, x->error);
		else if (!ptwr_fault(v, cr2, error)) /* which may end *x */
			trap_page_fault(v, cr2, error);
		break;
	case CPU_EXIT_INT:
		trap_int(v, x->vector, x->len);
		break;
	case CPU_EXIT_SYSCALL:
		if (s->mode == MEM_USER) {
			trap_syscall(v, x->len);
		} else {
			cpu_retire(v->cpu, x->len);
			hypercall(v);
		}
		break;
	case CPU_EXIT_SYSENTER:
		trap_sysenter(v, x->len);
		break;
	case CPU_EXIT_PRIV:
		priv_emulate(v, x);
		break;
	}
	v->check_upcall = true;
}

uint32_t domain_moment(const struct domain *d)
{
	const struct vcpu *v = current_vcpu(d);

	return v->moment_at == cpu_state(v->cpu)->icount ? v->moment : 0;
}

bool domain_moment_before(const struct domain *d, uint32_t *moment)
{
	const struct vcpu *v = current_vcpu(d);
	uint64_t icount = cpu_state(v->cpu)->icount;

	*moment = v->moment_at == icount - 1 ? v->moment : 0;
	return icount != v->loaded_at && v->moment_at != icount;
}

bool run_reached(const struct domain *d)
{
	const struct cpu_state *s = cpu_state(current_vcpu(d)->cpu);
	const struct domain_until *u = &d->run.until;

	return s->icount > u->icount || (s->icount == u->icount && domain_moment(d) >= u->moment) ||
		(u->brctr != 0 && s->brctr >= u->brctr) || (u->tsc != 0 && cpu_tsc(s) >= u->tsc);
}

static void next_moment(struct vcpu *v)
{
	v->moment = domain_moment(v->d) + 1;
	v->moment_at = regs_of(v)->icount;
}

/* R1, R4: the vCPU came back and stands where it stood. */
static void not_moved(struct vcpu *v)
{
	struct vcpu_run *r = &v->run;
	uint64_t icount = regs_of(v)->icount;

	next_moment(v);
	r->polled = icount;
	r->stuck = r->stuck_at == icount ? r->stuck + 1 : 0;
	r->stuck_at = icount;
	if (r->stuck > STUCK_MAX)
		domain_crash(v->d, "%u exceptions in a row without an instruction between them "
			"(rip %#llx, cr2 %#llx)", r->stuck, (unsigned long long)regs_of(v)->rip,
			(unsigned long long)v->ctl.cr2);
}

/*
 * A replay could not end inside of a string instruction, so a stop waits for its
 * end; but not for hours.
 */
static void stop_unfinished(struct domain *d)
{
	struct run_state *r = &d->run;
	uint64_t now = clock_ns(CLOCK_MONOTONIC);

	if (r->unfinished_since == 0)
		r->unfinished_since = now;
	if (now - r->unfinished_since < STOP_GRACE_NS)
		cpu_kick(current_vcpu(d)->cpu);
	else
		domain_end_with(d, DOMAIN_STOPPED);
}

/* R5. */
static bool something_due(struct vcpu *v)
{
	return regs_of(v)->icount >= v->run.due || v->d->run.kicked || v->blocked;
}

static void run_vcpu(struct vcpu *v)
{
	struct domain *d = v->d;
	struct run_state *r = &d->run;
	struct cpu_state *s = regs_of(v);
	const struct cpu_exit *x;
	enum cpu_exit_reason reason;
	uint64_t came_back, t = 0;

	if (something_due(v))
		v->run.due = next_stop(d);
	x = cpu_run(v->cpu, v->run.due);
	reason = x->reason;
	came_back = s->icount;
	v->unfinished = x->unfinished;
	if (reason == CPU_EXIT_KICK) {
		r->kicked = true;
		if (x->unfinished)
			v->run.polled = came_back; /* inputs wait; a stop need not */
		if (x->unfinished && r->stop_asked)
			stop_unfinished(d);
	}
	if (r->profile)
		t = clock_ns(CLOCK_MONOTONIC);
	handle_exit(v, x);
	if (r->profile)
		d->stats.host_exit_ns[reason & 7] += clock_ns(CLOCK_MONOTONIC) - t;
	if (reason != CPU_EXIT_TARGET && reason != CPU_EXIT_KICK &&
	    reason != CPU_EXIT_DEBUG && s->icount == came_back)
		not_moved(v);
}

static bool stop_reached(struct domain *d)
{
	const struct cpu_state *s = regs_of(current_vcpu(d));
	const struct run_state *r = &d->run;

	return (r->stop_icount != 0 && s->icount >= r->stop_icount) ||
		(r->stop_brctr != 0 && s->brctr >= r->stop_brctr);
}

void run_step(struct domain *d)
{
	struct vcpu *v = current_vcpu(d);

	if (something_due(v)) {
		take_inputs(d);
		timer_expire(v);
		if (stop_reached(d))
			domain_end_with(d, DOMAIN_STOPPED);
	}
	if (d->ended != RUNNING)
		return;
	if (v->blocked) {
		if (!sched_awake(v)) {
			idle(d);
			return;
		}
		v->blocked = false;
		timer_expire(v); /* a tick that fell due meanwhile */
		v->check_upcall = true;
	}
	if (v->check_upcall && !cpu_debug_due(v->cpu)) {
		if (trap_upcall(v)) {
			next_moment(v);
			v->run.polled = regs_of(v)->icount; /* R1: a kick may come right now */
		}
		if (d->ended != RUNNING || run_reached(d) || v->check_upcall)
			return;
	}
	run_vcpu(v);
}

/* Of the rest nothing outlives a load. */
void run_save(const struct vcpu_run *r, struct wbuf *w)
{
	wbuf_u64(w, r->polled);
	wbuf_u64(w, r->stuck_at);
	wbuf_u32(w, r->stuck);
}

void run_load(struct vcpu_run *r, struct rbuf *b)
{
	r->polled = rbuf_u64(b);
	r->stuck_at = rbuf_u64(b);
	r->stuck = rbuf_u32(b);
}

void run_forget(struct run_state *r)
{
	r->kicked = r->stop_asked = r->interrupted = false;
	r->unfinished_since = 0;
}
