/*
 * evtchn_state.c - save and load of event channels.  Only ports that exist are
 * written.  What is loaded is looked through as if an enemy had written it: no
 * port may lead to one that does not lead back.
 */
#include "xen/internal.h"

#include <xen/event_channel.h>

/* A port's type and its vCPU are one byte; so are the last queue and whose that was. */
enum {
	TYPE_BITS = 3, TYPE_MASK = (1 << TYPE_BITS) - 1,
	QUEUE_BITS = 4, QUEUE_MASK = (1 << QUEUE_BITS) - 1,
};
_Static_assert(EVTCHNSTAT_ipi <= TYPE_MASK && VCPUS <= 1 << (8 - TYPE_BITS), "both fit");
_Static_assert(FIFO_QUEUES <= QUEUE_MASK + 1 && VCPUS <= 1 << (8 - QUEUE_BITS), "both fit");

static void save_queues(const struct fifo_queues *q, struct wbuf *w)
{
	wbuf_u64(w, q->control);
	wbuf_u32(w, q->control_off);
	for (unsigned i = 0; i < FIFO_QUEUES; i++)
		wbuf_u32(w, q->tail[i]);
}

static void save_fifo(const struct domain *d, struct wbuf *w)
{
	const struct fifo_state *f = &d->ev.fifo;

	wbuf_u8(w, f->on);
	if (!f->on)
		return;
	for (unsigned i = 0; i < VCPUS; i++)
		save_queues(&d->vcpu[i].fifo, w);
	wbuf_u32(w, f->pages);
	for (unsigned i = 0; i < f->pages; i++)
		wbuf_u64(w, f->page[i]);
}

void evtchn_save(const struct domain *d, struct wbuf *w)
{
	const struct evtchn_state *s = &d->ev;

	wbuf_u32(w, s->valid);
	for (uint32_t i = 1; i < s->valid; i++) {
		const struct port *p = &s->port[i];

		wbuf_u8(w, (uint8_t)(p->type | p->vcpu << TYPE_BITS));
		wbuf_u8(w, p->virq);
		wbuf_u16(w, p->remote_dom);
		wbuf_u32(w, p->remote_port);
		wbuf_u8(w, p->priority);
		wbuf_u8(w, (uint8_t)(p->last_priority | p->last_vcpu << QUEUE_BITS));
		wbuf_u8(w, p->pending);
	}
	for (unsigned k = 0; k < VCPUS; k++)
		for (unsigned i = 0; i < VIRQS; i++)
			wbuf_u32(w, d->vcpu[k].virq_port[i]);
	save_fifo(d, w);
}

static int load_queues(struct fifo_queues *q, struct rbuf *r)
{
	q->control = rbuf_u64(r);
	q->control_off = rbuf_u32(r);
	for (unsigned i = 0; i < FIFO_QUEUES; i++) {
		q->tail[i] = rbuf_u32(r);
		if (q->tail[i] >= PORTS)
			return -1;
	}
	return q->control_off % 8 != 0 ||
		q->control_off > PAGE_SIZE - sizeof(struct evtchn_fifo_control_block) ? -1 : 0;
}

static int load_fifo(struct domain *d, struct rbuf *r)
{
	struct fifo_state *f = &d->ev.fifo;

	for (unsigned i = 0; i < VCPUS; i++)
		d->vcpu[i].fifo = (struct fifo_queues){0};
	*f = (struct fifo_state){ .on = rbuf_u8(r) != 0 };
	if (!f->on)
		return 0;
	for (unsigned i = 0; i < VCPUS; i++)
		if (load_queues(&d->vcpu[i].fifo, r) < 0)
			return -1;
	f->pages = rbuf_u32(r);
	if (f->pages > FIFO_PAGES)
		return -1;
	for (unsigned i = 0; i < f->pages; i++)
		f->page[i] = rbuf_u64(r);
	return 0;
}

static void load_port(struct port *p, struct rbuf *r)
{
	uint8_t b = rbuf_u8(r);

	p->type = b & TYPE_MASK;
	p->vcpu = b >> TYPE_BITS;
	p->virq = rbuf_u8(r);
	p->remote_dom = rbuf_u16(r);
	p->remote_port = rbuf_u32(r);
	p->priority = rbuf_u8(r);
	b = rbuf_u8(r);
	p->last_priority = b & QUEUE_MASK;
	p->last_vcpu = b >> QUEUE_BITS;
	p->pending = rbuf_u8(r) != 0;
}

static bool port_ok(struct domain *d, uint32_t port)
{
	const struct evtchn_state *s = &d->ev;
	const struct port *p = &s->port[port], *q;

	if (p->vcpu >= VCPUS || p->last_vcpu >= VCPUS || p->type > EVTCHNSTAT_ipi ||
	    p->type == EVTCHNSTAT_pirq || p->virq >= VIRQS || p->priority >= FIFO_QUEUES)
		return false;
	if (p->type == EVTCHNSTAT_virq)
		return *evtchn_virq_port(d, p) == port;
	if (p->type != EVTCHNSTAT_interdomain)
		return true;
	if (p->remote_dom != DOMID)
		return p->remote_dom == 0;
	q = &s->port[p->remote_port % PORTS];
	return p->remote_port < s->valid && q->type == EVTCHNSTAT_interdomain &&
		q->remote_dom == DOMID && q->remote_port == port;
}

static bool virqs_ok(struct domain *d, const struct vcpu *v)
{
	const struct evtchn_state *s = &d->ev;

	for (unsigned i = 0; i < VIRQS; i++) {
		uint32_t port = v->virq_port[i];

		if (port != 0 && (port >= s->valid || s->port[port].type != EVTCHNSTAT_virq ||
			s->port[port].virq != i || evtchn_virq_port(d, &s->port[port]) != &v->virq_port[i]))
			return false;
	}
	return true;
}

int evtchn_load(struct domain *d, struct rbuf *r)
{
	struct evtchn_state *s = &d->ev;
	uint32_t before = s->valid;

	s->valid = rbuf_u32(r);
	if (r->bad || s->valid > PORTS || s->valid == 0 || s->valid % PORT_BUCKET != 0) {
		s->valid = PORT_BUCKET;
		return -1;
	}
	for (uint32_t i = 1; i < s->valid; i++)
		load_port(&s->port[i], r);
	for (uint32_t i = s->valid; i < before; i++)
		s->port[i] = (struct port){ .type = EVTCHNSTAT_closed };
	for (unsigned k = 0; k < VCPUS; k++)
		for (unsigned i = 0; i < VIRQS; i++)
			d->vcpu[k].virq_port[i] = rbuf_u32(r);
	if (load_fifo(d, r) < 0)
		return -1;
	for (uint32_t i = 1; i < s->valid; i++)
		if (!port_ok(d, i))
			return -1;
	for (unsigned k = 0; k < VCPUS; k++)
		if (!virqs_ok(d, &d->vcpu[k]))
			return -1;
	return r->bad ? -1 : 0;
}
