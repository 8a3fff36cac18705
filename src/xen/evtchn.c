/*
 * evtchn.c - event channels: which ports are bound to what, and the hypercalls.
 *
 * There is one other domain, dom0, in whose place our backends
 * stand; an interdomain port leads there, or to another port of the guest's own.
 * How the guest is told is evtchn_2l.c's and evtchn_fifo.c's.
 *
 * Errors, and the order in which they are looked for, are Xen's.  It makes ports
 * in buckets of 64, so a port that is free but exists is not the same as one that
 * does not: to unmask the former is no error.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/event_channel.h>

#include "xen/bus.h"
#include "xen/guestcopy.h"

enum { PIRQS = 56 /* 24 of the host's and 32 more */ };

void evtchn_init(struct evtchn_state *s)
{
	for (uint32_t port = PORT_STORE; port <= PORT_CONSOLE; port++)
		s->port[port] = (struct port){
			.type = EVTCHNSTAT_interdomain, .remote_port = port,
		};
	s->valid = PORT_BUCKET;
}

static const struct port_ops *ops_of(const struct domain *d)
{
	return d->ev.fifo.on ? &ports_fifo : &ports_2l;
}

struct vcpu *evtchn_vcpu(struct domain *d, uint32_t port)
{
	return &d->vcpu[d->ev.port[port].vcpu];
}

/* Something is pending that the guest did not know of: it gets an upcall. */
void evtchn_mark_upcall(struct vcpu *v)
{
	const unsigned off = offsetof(struct vcpu_info, evtchn_upcall_pending);

	vinfo_put8(v, off, vinfo_get8(v, off) | 1);
	v->check_upcall = true;
}

static bool bound(const struct domain *d, uint32_t port)
{
	return port < d->ev.valid && d->ev.port[port].type != EVTCHNSTAT_closed;
}

void evtchn_set_pending(struct domain *d, uint32_t port)
{
	const struct port_ops *ops = ops_of(d);
	bool was;

	if (!bound(d, port))
		return;
	was = ops->is_pending(d, port);
	ops->set_pending(d, port);
	if (!was && ops->is_pending(d, port))
		sched_event(d, port);
}

int evtchn_poll(struct domain *d, uint32_t port)
{
	return bound(d, port) ? ops_of(d)->is_pending(d, port) : -EINVAL;
}

void evtchn_raise_virq(struct vcpu *v, unsigned virq)
{
	if (v->virq_port[virq] != 0)
		evtchn_set_pending(v->d, v->virq_port[virq]);
}

bool evtchn_joined(struct domain *d, uint32_t port, uint32_t remote_port)
{
	const struct port *p = &d->ev.port[port % PORTS];

	return port < d->ev.valid && p->type == EVTCHNSTAT_interdomain && p->remote_dom == 0 &&
		p->remote_port == remote_port;
}

void evtchn_raise(struct domain *d, uint32_t port, uint32_t remote_port)
{
	if (evtchn_joined(d, port, remote_port))
		evtchn_set_pending(d, port);
}

/* ---- ports come and go ---- */

/* The lowest port that is free and not in a queue; or -ENOSPC. */
static int64_t take_port(struct domain *d)
{
	uint32_t max = d->ev.fifo.on ? PORTS : PORTS_2L, port;
	const struct port_ops *ops = ops_of(d);

	for (port = 1; port < d->ev.valid && port < max; port++)
		if (d->ev.port[port].type == EVTCHNSTAT_closed &&
		    (ops->is_busy == NULL || !ops->is_busy(d, port)))
			break;
	hypercall_work(d, port / PORT_BUCKET);
	if (port == max)
		return -ENOSPC;
	if (port == d->ev.valid)
		d->ev.valid += PORT_BUCKET;
	return port;
}

static void bind(struct domain *d, uint32_t port, struct port to)
{
	struct port *p = &d->ev.port[port];

	to.last_priority = p->last_priority;
	to.pending = p->pending;
	to.priority = p->priority;
	if (d->ev.fifo.on && to.type != EVTCHNSTAT_closed)
		to.priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	*p = to;
}

static bool virq_is_global(uint32_t virq)
{
	return virq != VIRQ_TIMER && virq != VIRQ_DEBUG && virq != VIRQ_XENOPROF &&
		virq != VIRQ_XENPMU;
}

/* A global one is bound by the first vCPU, whichever is told of it. */
uint32_t *evtchn_virq_port(struct domain *d, const struct port *p)
{
	return &d->vcpu[virq_is_global(p->virq) ? 0 : p->vcpu].virq_port[p->virq];
}

static void close_port(struct domain *d, uint32_t port)
{
	struct port *p = &d->ev.port[port];

	ops_of(d)->clear_pending(d, port);
	if (p->type == EVTCHNSTAT_virq)
		*evtchn_virq_port(d, p) = 0;
	if (p->type == EVTCHNSTAT_interdomain && p->remote_dom == DOMID)
		d->ev.port[p->remote_port].type = EVTCHNSTAT_unbound; /* by us, still */
	else if (p->type == EVTCHNSTAT_interdomain)
		bus_port_closed(d, port);
	bind(d, port, (struct port){ .type = EVTCHNSTAT_closed });
}

/*
 * Which domain is meant: 1 the guest, 0 dom0, -ESRCH none.  What only a privileged
 * domain may ask of another gives -EPERM for dom0.
 */
static int domain_of(domid_t dom)
{
	return dom == DOMID_SELF || dom == DOMID ? 1 : dom == 0 ? 0 : -ESRCH;
}

static int64_t only_self(domid_t dom)
{
	int which = domain_of(dom);

	return which < 0 ? which : which == 0 ? -EPERM : 0;
}

/* ---- hypercalls ---- */

static int64_t bind_virq(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	struct evtchn_bind_virq *op = arg;
	struct port to;
	int64_t port;

	if (op->virq >= VIRQS || (virq_is_global(op->virq) && op->vcpu != 0))
		return -EINVAL;
	if (op->vcpu >= VCPUS)
		return -ENOENT;
	to = (struct port){ .type = EVTCHNSTAT_virq, .virq = (uint8_t)op->virq,
		.vcpu = (uint8_t)op->vcpu };
	if (*evtchn_virq_port(d, &to) != 0)
		return -EEXIST;
	port = take_port(d);
	if (port < 0)
		return port;
	bind(d, (uint32_t)port, to);
	*evtchn_virq_port(d, &to) = op->port = (uint32_t)port;
	return 0;
}

static int64_t bind_ipi(struct vcpu *v, void *arg)
{
	struct evtchn_bind_ipi *op = arg;
	int64_t port;

	if (op->vcpu >= VCPUS)
		return -ENOENT;
	port = take_port(v->d);
	if (port < 0)
		return port;
	bind(v->d, (uint32_t)port, (struct port){ .type = EVTCHNSTAT_ipi, .vcpu = (uint8_t)op->vcpu });
	op->port = (uint32_t)port;
	return 0;
}

static int64_t bind_pirq(struct vcpu *v, void *arg)
{
	const struct evtchn_bind_pirq *op = arg;

	(void)v;
	return op->pirq >= PIRQS ? -EINVAL : -EPERM; /* none is the guest's */
}

static int64_t alloc_unbound(struct vcpu *v, void *arg)
{
	struct evtchn_alloc_unbound *op = arg;
	int64_t port = only_self(op->dom);

	if (port == 0)
		port = take_port(v->d);
	if (port < 0)
		return port;
	bind(v->d, (uint32_t)port, (struct port){
		.type = EVTCHNSTAT_unbound,
		.remote_dom = op->remote_dom == DOMID_SELF ? DOMID : op->remote_dom,
	});
	op->port = (uint32_t)port;
	return 0;
}

/* Dom0 waits for the guest on no port: it is the guest that allocates them. */
static int64_t bind_interdomain(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	struct evtchn_bind_interdomain *op = arg;
	int which = domain_of(op->remote_dom);
	struct port *r;
	int64_t port;

	if (which < 0)
		return which;
	port = take_port(d);
	if (port < 0)
		return port;
	if (which == 0 || op->remote_port >= d->ev.valid)
		return -EINVAL;
	r = &d->ev.port[op->remote_port];
	if (r->type != EVTCHNSTAT_unbound || r->remote_dom != DOMID)
		return -EINVAL;
	bind(d, (uint32_t)port, (struct port){ .type = EVTCHNSTAT_interdomain,
		.remote_dom = DOMID, .remote_port = op->remote_port });
	r->type = EVTCHNSTAT_interdomain;
	r->remote_port = (uint32_t)port;
	evtchn_set_pending(d, (uint32_t)port); /* what was sent before is not lost */
	op->local_port = (uint32_t)port;
	return 0;
}

static int64_t op_close(struct vcpu *v, void *arg)
{
	const struct evtchn_close *op = arg;

	if (!bound(v->d, op->port))
		return -EINVAL;
	close_port(v->d, op->port);
	return 0;
}

/* Backends work inside the guest's send: when it returns they have seen it. */
static void send_interdomain(struct domain *d, uint32_t port, const struct port *p)
{
	if (p->remote_dom == DOMID)
		evtchn_set_pending(d, p->remote_port);
	else if (p->remote_port == PORT_STORE)
		xs_process(d->store);
	else if (p->remote_port == PORT_CONSOLE)
		console_kick(d);
	else
		bus_notify(d, port);
}

static int64_t op_send(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	const struct evtchn_send *op = arg;

	if (!bound(d, op->port))
		return -EINVAL;
	switch (d->ev.port[op->port].type) {
	case EVTCHNSTAT_interdomain:
		send_interdomain(d, op->port, &d->ev.port[op->port]);
		return 0;
	case EVTCHNSTAT_ipi:
		evtchn_set_pending(d, op->port);
		return 0;
	case EVTCHNSTAT_unbound:
		return 0; /* nobody there yet: silently dropped */
	default:
		return -EINVAL;
	}
}

static int64_t op_status(struct vcpu *v, void *arg)
{
	struct evtchn_status *op = arg;
	int64_t rc = only_self(op->dom);
	const struct port *p;

	if (rc < 0)
		return rc;
	if (op->port >= v->d->ev.valid)
		return -EINVAL;
	p = &v->d->ev.port[op->port];
	op->status = p->type;
	op->vcpu = p->vcpu;
	if (p->type == EVTCHNSTAT_unbound) {
		op->u.unbound.dom = p->remote_dom;
	} else if (p->type == EVTCHNSTAT_interdomain) {
		op->u.interdomain.dom = p->remote_dom;
		op->u.interdomain.port = p->remote_port;
	} else if (p->type == EVTCHNSTAT_virq) {
		op->u.virq = p->virq;
	}
	return 0;
}

static int64_t bind_vcpu(struct vcpu *v, void *arg)
{
	const struct evtchn_bind_vcpu *op = arg;
	struct port *p;

	if (op->vcpu >= VCPUS)
		return -ENOENT;
	if (!bound(v->d, op->port))
		return -EINVAL;
	/* IPIs and what is a vCPU's own stay where they are. */
	p = &v->d->ev.port[op->port];
	if (p->type == EVTCHNSTAT_ipi ||
	    (p->type == EVTCHNSTAT_virq && !virq_is_global(p->virq)))
		return -EINVAL;
	p->vcpu = (uint8_t)op->vcpu;
	return 0;
}

static int64_t op_unmask(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	const struct evtchn_unmask *op = arg;

	if (op->port >= d->ev.valid)
		return -EINVAL;
	if (bound(d, op->port))
		ops_of(d)->unmask(d, op->port);
	return 0;
}

static int64_t op_reset(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	const struct evtchn_reset *op = arg;
	int64_t rc = only_self(op->dom);

	if (rc < 0)
		return rc;
	for (uint32_t port = 1; port < d->ev.valid; port++)
		if (bound(d, port))
			close_port(d, port);
	hypercall_work(d, d->ev.valid / PORT_BUCKET);
	fifo_end(d);
	return 0;
}

/* Goes on with a reset that was interrupted, of which there is none. */
static int64_t reset_cont(struct vcpu *v, void *arg)
{
	const struct evtchn_reset *op = arg;
	int64_t rc = only_self(op->dom);

	(void)v;
	return rc < 0 ? rc : -EBUSY;
}

static int64_t init_control(struct vcpu *v, void *arg)
{
	return fifo_init_control(v, arg);
}

static int64_t expand_array(struct vcpu *v, void *arg)
{
	const struct evtchn_expand_array *op = arg;

	return fifo_expand_array(v->d, op->array_gfn);
}

static int64_t set_priority(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	const struct evtchn_set_priority *op = arg;

	if (op->port >= d->ev.valid)
		return -EINVAL;
	if (!d->ev.fifo.on)
		return -ENOSYS;
	if (!bound(d, op->port))
		return -EACCES;
	if (op->priority > EVTCHN_FIFO_PRIORITY_MIN)
		return -EINVAL;
	d->ev.port[op->port].priority = (uint8_t)op->priority;
	return 0;
}

enum { RESET_CONT = 14 };

#define OP(name, fn, out) [EVTCHNOP_##name] = { fn, sizeof(struct evtchn_##name), out }
static const struct {
	int64_t (*fn)(struct vcpu *v, void *arg);
	uint8_t size;
	bool out;
} ops[] = {
	OP(bind_interdomain, bind_interdomain, true),
	OP(bind_virq, bind_virq, true),
	OP(bind_pirq, bind_pirq, true),
	OP(close, op_close, false),
	OP(send, op_send, false),
	OP(status, op_status, true),
	OP(alloc_unbound, alloc_unbound, true),
	OP(bind_ipi, bind_ipi, true),
	OP(bind_vcpu, bind_vcpu, false),
	OP(unmask, op_unmask, false),
	OP(reset, op_reset, false),
	OP(init_control, init_control, true),
	OP(expand_array, expand_array, false),
	OP(set_priority, set_priority, false),
	[RESET_CONT] = { reset_cont, sizeof(struct evtchn_reset), false },
};

int64_t hc_event_channel_op(struct vcpu *v, const struct hypercall_args *h)
{
	uint32_t cmd = (uint32_t)h->a[0];
	uint64_t arg[8] = {0};
	int64_t rc;

	if (cmd >= sizeof ops / sizeof ops[0])
		return -ENOSYS;
	if (copy_from_guest(v, arg, h->a[1], ops[cmd].size) < 0)
		return -EFAULT;
	rc = ops[cmd].fn(v, arg);
	if (rc == 0 && ops[cmd].out && copy_to_guest(v, h->a[1], arg, ops[cmd].size) < 0)
		rc = -EFAULT;
	return rc;
}
