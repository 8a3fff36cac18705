/*
 * sched.c - sched_op: waiting, watchdogs, the end.
 *
 * A vCPU that polls is woken by what becomes pending while it waits, masked or
 * not: by its port when it named one, by any when it named more or none, and by
 * the upcall flag, whatever port set it; that is Xen's way, not a matter of what
 * the list says.  Watchdogs and the poll's timeout are guest time, like timers.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/sched.h>

#include "xen/guestcopy.h"

enum { POLL_PORTS_MAX = 128 };
#define NS_PER_SEC UINT64_C(1000000000)

void sched_init(struct sched_state *s)
{
	*s = (struct sched_state){
		.shutdown_code = NO_SHUTDOWN_CODE, .watchdog = { SOURCE_NEVER, SOURCE_NEVER },
	};
}

void sched_init_vcpu(struct vcpu *v)
{
	v->poll.until = SOURCE_NEVER;
}

uint64_t sched_next(const struct vcpu *v)
{
	const struct sched_state *s = &v->d->sched;
	uint64_t next = v->poll.on ? v->poll.until : SOURCE_NEVER;

	for (unsigned i = 0; i < WATCHDOGS; i++)
		if (s->watchdog[i] < next)
			next = s->watchdog[i];
	return next;
}

void sched_expire(struct vcpu *v)
{
	uint64_t now = cpu_tsc(regs_of(v));

	for (unsigned i = 0; i < WATCHDOGS; i++)
		if (v->d->sched.watchdog[i] <= now)
			domain_crash(v->d, "the guest's watchdog %u fired (shutdown reason %u, "
				"rip %#llx)", i + 1, SHUTDOWN_watchdog,
				(unsigned long long)regs_of(v)->rip);
}

void sched_event(struct domain *d, uint32_t port)
{
	for (unsigned i = 0; i < VCPUS; i++) {
		struct poll_state *p = &d->vcpu[i].poll;

		if (p->on && (p->port == 0 || p->port == port))
			p->woken = true;
	}
}

bool sched_awake(struct vcpu *v)
{
	struct poll_state *p = &v->poll;

	if (!p->on)
		return upcall_pending(v);
	if (!p->woken && p->until > cpu_tsc(regs_of(v)) && (p->upcall_was || !upcall_pending(v)))
		return false;
	p->on = false;
	return true;
}

static int64_t yield(struct vcpu *v, gva_t va)
{
	(void)v;
	(void)va;
	return 0;
}

/* Unmasks events and sleeps until one is there; run.c does the sleeping. */
static int64_t block(struct vcpu *v, gva_t va)
{
	(void)va;
	set_upcall_mask(v, 0);
	v->blocked = !upcall_pending(v);
	return 0;
}

static void begin_poll(struct vcpu *v, uint32_t port, uint64_t timeout)
{
	struct poll_state *p = &v->poll;

	p->on = v->blocked = true;
	p->woken = false;
	p->upcall_was = upcall_pending(v);
	p->port = port;
	/* 0: for ever.  Xen's times are signed: a negative one is over. */
	p->until = timeout == 0 ? SOURCE_NEVER : (int64_t)timeout < 0 ? 0 : timeout;
	run_look_again(v->d);
}

static int64_t poll(struct vcpu *v, gva_t va)
{
	struct sched_poll p;
	uint64_t ports;
	uint32_t port = 0;

	if (copy_from_guest(v, &p, va, sizeof p) < 0)
		return -EFAULT;
	memcpy(&ports, &p.ports, sizeof ports);
	if (p.nr_ports > POLL_PORTS_MAX)
		return -EINVAL;
	if (!is_guest_address(ports))
		return -EFAULT;
	if (upcall_pending(v) && upcall_mask(v) == 0)
		return 0;
	for (uint32_t i = 0; i < p.nr_ports; i++) {
		int pending;

		if (copy_from_guest(v, &port, ports + i * sizeof port, sizeof port) < 0)
			return -EFAULT;
		pending = evtchn_poll(v->d, port);
		if (pending != 0)
			return pending < 0 ? pending : 0;
	}
	begin_poll(v, p.nr_ports == 1 ? port : 0, p.timeout);
	return 0;
}

void sched_shutdown(struct vcpu *v, uint8_t reason)
{
	static const enum domain_end end[] = {
		[SHUTDOWN_poweroff] = DOMAIN_POWEROFF,
		[SHUTDOWN_reboot] = DOMAIN_REBOOT,
		[SHUTDOWN_suspend] = DOMAIN_SUSPEND,
	};
	struct domain *d = v->d;

	if (d->sched.shutdown_code != NO_SHUTDOWN_CODE)
		reason = d->sched.shutdown_code;
	if (reason < sizeof end / sizeof end[0])
		domain_end_with(d, end[reason]);
	else if (reason == SHUTDOWN_soft_reset)
		domain_end_with(d, DOMAIN_REBOOT);
	else
		domain_crash(d, "the guest kernel reported a crash (shutdown reason %u, rip %#llx)",
			reason, (unsigned long long)regs_of(v)->rip);
}

static int64_t op_shutdown(struct vcpu *v, gva_t va)
{
	struct sched_shutdown op;

	if (copy_from_guest(v, &op, va, sizeof op) < 0)
		return -EFAULT;
	sched_shutdown(v, (uint8_t)op.reason);
	return 0;
}

/* The first code given is that of the shutdown that may follow. */
static int64_t op_shutdown_code(struct vcpu *v, gva_t va)
{
	struct sched_shutdown op;

	if (copy_from_guest(v, &op, va, sizeof op) < 0)
		return -EFAULT;
	if (v->d->sched.shutdown_code == NO_SHUTDOWN_CODE)
		v->d->sched.shutdown_code = (uint8_t)op.reason;
	return 0;
}

/* There are this domain and dom0, and it may shut down neither in this way. */
static int64_t remote_shutdown(struct vcpu *v, gva_t va)
{
	struct sched_remote_shutdown op;

	if (copy_from_guest(v, &op, va, sizeof op) < 0)
		return -EFAULT;
	return op.domain_id == 0 || op.domain_id == DOMID ? -EPERM : -ESRCH;
}

static int64_t watchdog(struct vcpu *v, gva_t va)
{
	uint64_t *w = v->d->sched.watchdog, now = cpu_tsc(regs_of(v));
	struct sched_watchdog op;
	uint32_t i;

	if (copy_from_guest(v, &op, va, sizeof op) < 0)
		return -EFAULT;
	if (op.id > WATCHDOGS)
		return -EINVAL;
	run_look_again(v->d);
	if (op.id == 0) {
		for (i = 0; i < WATCHDOGS && w[i] != SOURCE_NEVER; i++)
			;
		if (i == WATCHDOGS)
			return -ENOSPC;
		w[i] = now + op.timeout * NS_PER_SEC;
		return i + 1;
	}
	i = op.id - 1;
	if (w[i] == SOURCE_NEVER)
		return -EINVAL;
	w[i] = op.timeout == 0 ? SOURCE_NEVER : now + op.timeout * NS_PER_SEC;
	return 0;
}

static int64_t pin_override(struct vcpu *v, gva_t va)
{
	(void)v;
	(void)va;
	return -EPERM;
}

static int64_t (*const ops[])(struct vcpu *v, gva_t va) = {
	[SCHEDOP_yield] = yield,
	[SCHEDOP_block] = block,
	[SCHEDOP_shutdown] = op_shutdown,
	[SCHEDOP_poll] = poll,
	[SCHEDOP_remote_shutdown] = remote_shutdown,
	[SCHEDOP_shutdown_code] = op_shutdown_code,
	[SCHEDOP_watchdog] = watchdog,
	[SCHEDOP_pin_override] = pin_override,
};

int64_t hc_sched_op(struct vcpu *v, const struct hypercall_args *h)
{
	uint32_t cmd = (uint32_t)h->a[0];

	return cmd < sizeof ops / sizeof ops[0] ? ops[cmd](v, h->a[1]) : -ENOSYS;
}

/* Before Xen 3.0.2: the reason of a shutdown is the argument itself. */
int64_t hc_sched_op_compat(struct vcpu *v, const struct hypercall_args *h)
{
	switch ((uint32_t)h->a[0]) {
	case SCHEDOP_yield:
		return yield(v, 0);
	case SCHEDOP_block:
		return block(v, 0);
	case SCHEDOP_shutdown:
		sched_shutdown(v, (uint8_t)h->a[1]);
		return 0;
	default:
		return -ENOSYS;
	}
}

static void poll_save(const struct poll_state *p, struct wbuf *w)
{
	wbuf_u8(w, p->on);
	wbuf_u8(w, p->woken);
	wbuf_u8(w, p->upcall_was);
	wbuf_u32(w, p->port);
	wbuf_u64(w, p->until);
}

static void poll_load(struct poll_state *p, struct rbuf *r)
{
	p->on = rbuf_u8(r) != 0;
	p->woken = rbuf_u8(r) != 0;
	p->upcall_was = rbuf_u8(r) != 0;
	p->port = rbuf_u32(r);
	p->until = rbuf_u64(r);
}

void sched_save(const struct domain *d, struct wbuf *w)
{
	const struct sched_state *s = &d->sched;

	wbuf_u8(w, s->shutdown_code);
	for (unsigned i = 0; i < VCPUS; i++)
		poll_save(&d->vcpu[i].poll, w);
	for (unsigned i = 0; i < WATCHDOGS; i++)
		wbuf_u64(w, s->watchdog[i]);
}

int sched_load(struct domain *d, struct rbuf *r)
{
	struct sched_state *s = &d->sched;

	s->shutdown_code = rbuf_u8(r);
	for (unsigned i = 0; i < VCPUS; i++)
		poll_load(&d->vcpu[i].poll, r);
	for (unsigned i = 0; i < WATCHDOGS; i++)
		s->watchdog[i] = rbuf_u64(r);
	return r->bad ? -1 : 0;
}
