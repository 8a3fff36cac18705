/*
 * evtchn.c - event channels with the 2-level ABI.
 *
 * Which ports are bound to what is state here; the pending and mask bits live
 * in shared_info, the selector word and the upcall flag in vcpu_info, and the
 * guest changes them without telling us.  There is one vCPU and one other
 * domain, dom0, in whose place our backends stand.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/event_channel.h>

#define BITMAP_PENDING offsetof(struct shared_info, evtchn_pending)
#define BITMAP_MASK offsetof(struct shared_info, evtchn_mask)

void evtchn_init(struct evtchn_state *s)
{
	*s = (struct evtchn_state){ .port = { [PORT_STORE] = {
		.type = EVTCHNSTAT_interdomain, .remote_port = PORT_STORE } } };
	s->port[PORT_CONSOLE] = s->port[PORT_STORE];
	s->port[PORT_CONSOLE].remote_port = PORT_CONSOLE;
}

/* One bit of a bitmap in shared_info: sets or clears it, returns its old value. */
static bool change_bit(struct domain *d, size_t map, uint32_t port, bool on)
{
	unsigned off = (unsigned)map + port / 64 * 8;
	uint64_t word = get64(mem_frame(d->mem, d->area.shared_info) + off);
	uint64_t bit = UINT64_C(1) << (port % 64);
	uint64_t next = on ? word | bit : word & ~bit;

	if (next != word)
		mem_write_frame(d->mem, d->area.shared_info, off, &next, 8);
	return (word & bit) != 0;
}

static bool test_bit(struct domain *d, size_t map, uint32_t port)
{
	const uint8_t *si = mem_frame(d->mem, d->area.shared_info);

	return get64(si + map + port / 64 * 8) >> (port % 64) & 1;
}

static void mark_pending(struct domain *d, uint32_t port)
{
	const unsigned off = offsetof(struct vcpu_info, evtchn_pending_sel);
	uint64_t sel = vinfo_get64(d, off), bit = UINT64_C(1) << (port / 64);

	if (sel & bit)
		return;
	vinfo_put64(d, off, sel | bit);
	vinfo_put8(d, offsetof(struct vcpu_info, evtchn_upcall_pending), 1);
	d->check_upcall = true;
}

void evtchn_set_pending(struct domain *d, uint32_t port)
{
	if (change_bit(d, BITMAP_PENDING, port, true))
		return;
	if (!test_bit(d, BITMAP_MASK, port))
		mark_pending(d, port);
}

void evtchn_raise_virq(struct domain *d, unsigned virq)
{
	if (d->ev.virq_port[virq] != 0)
		evtchn_set_pending(d, d->ev.virq_port[virq]);
}

static uint32_t lowest_free(struct domain *d)
{
	for (uint32_t port = 1; port < PORTS; port++)
		if (d->ev.port[port].type == EVTCHNSTAT_closed)
			return port;
	return 0;
}

static struct port *port_of(struct domain *d, uint32_t port)
{
	if (port == 0 || port >= PORTS || d->ev.port[port].type == EVTCHNSTAT_closed)
		return NULL;
	return &d->ev.port[port];
}

static int64_t bind_virq(struct domain *d, void *arg)
{
	struct evtchn_bind_virq *op = arg;
	uint32_t port;

	if (op->virq >= VIRQS)
		return -EINVAL;
	if (op->vcpu != 0)
		return -ENOENT;
	if (d->ev.virq_port[op->virq] != 0)
		return -EEXIST;
	port = lowest_free(d);
	if (port == 0)
		return -ENOSPC;
	d->ev.port[port] = (struct port){
		.type = EVTCHNSTAT_virq, .virq = (uint8_t)op->virq,
	};
	d->ev.virq_port[op->virq] = (uint16_t)port;
	op->port = port;
	return 0;
}

static int64_t bind_ipi(struct domain *d, void *arg)
{
	struct evtchn_bind_ipi *op = arg;
	uint32_t port;

	if (op->vcpu != 0)
		return -ENOENT;
	port = lowest_free(d);
	if (port == 0)
		return -ENOSPC;
	d->ev.port[port] = (struct port){ .type = EVTCHNSTAT_ipi };
	op->port = port;
	return 0;
}

static int64_t alloc_unbound(struct domain *d, void *arg)
{
	struct evtchn_alloc_unbound *op = arg;
	uint32_t port;

	if (op->dom != DOMID_SELF && op->dom != DOMID)
		return -EPERM;
	port = lowest_free(d);
	if (port == 0)
		return -ENOSPC;
	d->ev.port[port] = (struct port){
		.type = EVTCHNSTAT_unbound,
		.remote_dom = op->remote_dom == DOMID_SELF ? DOMID : op->remote_dom,
	};
	op->port = port;
	return 0;
}

static void close_port(struct domain *d, uint32_t port)
{
	struct port *p = &d->ev.port[port];

	if (p->type == EVTCHNSTAT_virq)
		d->ev.virq_port[p->virq] = 0;
	if (p->type == EVTCHNSTAT_interdomain)
		bus_port_closed(d, port);
	*p = (struct port){ .type = EVTCHNSTAT_closed };
	change_bit(d, BITMAP_PENDING, port, false);
}

static int64_t op_close(struct domain *d, void *arg)
{
	const struct evtchn_close *op = arg;

	if (port_of(d, op->port) == NULL)
		return -EINVAL;
	close_port(d, op->port);
	return 0;
}

/* Backends work inside the guest's send: when it returns they have seen it. */
static void notify_backend(struct domain *d, uint32_t port)
{
	if (port == PORT_STORE)
		xs_process(d->store);
	else if (port == d->con.port)
		console_kick(d);
	else
		bus_notify(d, port);
}

static int64_t op_send(struct domain *d, void *arg)
{
	const struct evtchn_send *op = arg;
	struct port *p = port_of(d, op->port);

	if (p == NULL)
		return -EINVAL;
	switch (p->type) {
	case EVTCHNSTAT_interdomain:
		notify_backend(d, op->port);
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

static int64_t op_status(struct domain *d, void *arg)
{
	struct evtchn_status *op = arg;
	const struct port *p;

	if (op->dom != DOMID_SELF && op->dom != DOMID)
		return -EPERM;
	if (op->port == 0 || op->port >= PORTS)
		return -EINVAL;
	p = &d->ev.port[op->port];
	op->status = p->type;
	op->vcpu = 0;
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

static int64_t bind_vcpu(struct domain *d, void *arg)
{
	const struct evtchn_bind_vcpu *op = arg;
	const struct port *p;

	if (op->vcpu != 0)
		return -ENOENT;
	p = port_of(d, op->port);
	if (p == NULL)
		return -EINVAL;
	/* VIRQ_TIMER, VIRQ_DEBUG and IPIs belong to their vCPU for good. */
	if (p->type == EVTCHNSTAT_ipi)
		return -EINVAL;
	if (p->type == EVTCHNSTAT_virq && (p->virq == VIRQ_TIMER || p->virq == VIRQ_DEBUG))
		return -EINVAL;
	return 0;
}

static int64_t op_unmask(struct domain *d, void *arg)
{
	const struct evtchn_unmask *op = arg;

	if (port_of(d, op->port) == NULL)
		return -EINVAL;
	if (change_bit(d, BITMAP_MASK, op->port, false) && test_bit(d, BITMAP_PENDING, op->port))
		mark_pending(d, op->port);
	return 0;
}

static int64_t op_reset(struct domain *d, void *arg)
{
	const struct evtchn_reset *op = arg;

	if (op->dom != DOMID_SELF && op->dom != DOMID)
		return -EPERM;
	for (uint32_t port = 1; port < PORTS; port++)
		if (d->ev.port[port].type != EVTCHNSTAT_closed)
			close_port(d, port);
	return 0;
}

/* The FIFO calls and bind_interdomain, bind_pirq have no entry: -ENOSYS. */
static const struct {
	int64_t (*fn)(struct domain *d, void *arg);
	uint8_t size;
	bool out;
} ops[] = {
	[EVTCHNOP_bind_virq] = { bind_virq, sizeof(struct evtchn_bind_virq), true },
	[EVTCHNOP_close] = { op_close, sizeof(struct evtchn_close), false },
	[EVTCHNOP_send] = { op_send, sizeof(struct evtchn_send), false },
	[EVTCHNOP_status] = { op_status, sizeof(struct evtchn_status), true },
	[EVTCHNOP_alloc_unbound] = { alloc_unbound, sizeof(struct evtchn_alloc_unbound), true },
	[EVTCHNOP_bind_ipi] = { bind_ipi, sizeof(struct evtchn_bind_ipi), true },
	[EVTCHNOP_bind_vcpu] = { bind_vcpu, sizeof(struct evtchn_bind_vcpu), false },
	[EVTCHNOP_unmask] = { op_unmask, sizeof(struct evtchn_unmask), false },
	[EVTCHNOP_reset] = { op_reset, sizeof(struct evtchn_reset), false },
};

int64_t hc_event_channel_op(struct domain *d, const struct hypercall_args *h)
{
	uint32_t cmd = (uint32_t)h->a[0];
	uint64_t arg[8] = {0};
	int64_t rc;

	if (cmd >= sizeof(ops) / sizeof(ops[0]) || ops[cmd].fn == NULL)
		return -ENOSYS;
	if (copy_from_guest(d, arg, h->a[1], ops[cmd].size) < 0)
		return -EFAULT;
	rc = ops[cmd].fn(d, arg);
	if (rc == 0 && ops[cmd].out && copy_to_guest(d, h->a[1], arg, ops[cmd].size) < 0)
		rc = -EFAULT;
	return rc;
}

void evtchn_save(const struct evtchn_state *s, struct wbuf *w)
{
	for (unsigned i = 0; i < PORTS; i++) {
		wbuf_u8(w, s->port[i].type);
		wbuf_u8(w, s->port[i].virq);
		wbuf_u16(w, s->port[i].remote_dom);
		wbuf_u32(w, s->port[i].remote_port);
	}
	for (unsigned i = 0; i < VIRQS; i++)
		wbuf_u16(w, s->virq_port[i]);
}

int evtchn_load(struct evtchn_state *s, struct rbuf *r)
{
	for (unsigned i = 0; i < PORTS; i++) {
		s->port[i].type = rbuf_u8(r);
		s->port[i].virq = rbuf_u8(r);
		s->port[i].remote_dom = rbuf_u16(r);
		s->port[i].remote_port = rbuf_u32(r);
		if (s->port[i].type > EVTCHNSTAT_ipi || s->port[i].virq >= VIRQS)
			return -1;
	}
	for (unsigned i = 0; i < VIRQS; i++) {
		s->virq_port[i] = rbuf_u16(r);
		if (s->virq_port[i] >= PORTS)
			return -1;
	}
	return r->bad ? -1 : 0;
}
