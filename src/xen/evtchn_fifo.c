/*
 * evtchn_fifo.c - the FIFO ABI: sixteen queues of pending ports, by priority.
 *
 * Each port has a 32-bit word in the event array, pages of the guest's that it
 * hands over one by one.  A queue is a list linked through these words; its head
 * is in the control block, another page of the guest's, its tail is known here
 * only.  We append, the guest takes off at the head.  The guest may have written
 * anything into words and heads, and handed over one page twice:
 *
 *  EF1. No list is ever followed.  An event touches its own word, the word of the
 *      tail that we remember, and the control block; ports come from our own
 *      state, never out of the guest's memory.
 *  EF2. A page that the guest no longer has counts as one that was never handed
 *      over.
 *
 * Hypercalls are atomic here, so Xen's tries of compare-and-swap, which a second
 * vCPU could spoil, succeed the first time.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/event_channel.h>

#define BIT(n) (UINT32_C(1) << (n))
#define PENDING BIT(EVTCHN_FIFO_PENDING)
#define MASKED BIT(EVTCHN_FIFO_MASKED)
#define LINKED BIT(EVTCHN_FIFO_LINKED)
#define BUSY BIT(EVTCHN_FIFO_BUSY)

enum {
	CONTROL_SIZE = sizeof(struct evtchn_fifo_control_block),
	READY = offsetof(struct evtchn_fifo_control_block, ready),
	HEAD = offsetof(struct evtchn_fifo_control_block, head),
};

/* Event word of a port. */
struct word {
	mfn_t mfn;
	unsigned off;
	uint32_t value;
};

/* false: the port has none (yet). */
static bool word_of(struct domain *d, uint32_t port, struct word *w)
{
	const struct fifo_state *f = &d->ev.fifo;

	if (port / FIFO_WORDS >= f->pages)
		return false;
	w->mfn = f->page[port / FIFO_WORDS];
	w->off = port % FIFO_WORDS * 4;
	if (!is_guests(d, w->mfn))
		return false;
	w->value = get32(mem_frame(d->mem, w->mfn) + w->off);
	return true;
}

static void put_word(struct domain *d, struct word *w, uint32_t value)
{
	if (value == w->value)
		return;
	w->value = value;
	mem_write_frame(d->mem, w->mfn, w->off, &value, 4);
}

/* Has the queue's last event `next` after it now?  Not if the guest took it off. */
static bool link_after(struct domain *d, uint32_t tail, uint32_t next)
{
	struct word w;

	if (tail == 0 || !word_of(d, tail, &w) || !(w.value & LINKED))
		return false;
	put_word(d, &w, (w.value & ~(BUSY | EVTCHN_FIFO_LINK_MASK)) | next);
	return true;
}

/* An event became the first of its queue. */
static void begin_queue(struct vcpu *v, unsigned queue, uint32_t port)
{
	const struct fifo_queues *f = &v->fifo;
	struct mem *mem = v->d->mem;
	uint32_t ready;

	mem_write_frame(mem, f->control, f->control_off + HEAD + queue * 4, &port, 4);
	ready = get32(mem_frame(mem, f->control) + f->control_off + READY);
	if (ready & BIT(queue))
		return;
	ready |= BIT(queue);
	mem_write_frame(mem, f->control, f->control_off + READY, &ready, 4);
	evtchn_mark_upcall(v);
}

static void append(struct vcpu *v, uint32_t port)
{
	struct port *p = &v->d->ev.port[port];
	uint32_t *last = &v->d->vcpu[p->last_vcpu].fifo.tail[p->last_priority];
	uint32_t *tail = &v->fifo.tail[p->priority];

	/* It was a tail and is taken off: that queue is empty. */
	if (*last == port)
		*last = 0;
	p->last_priority = p->priority;
	p->last_vcpu = (uint8_t)vcpu_id(v);
	if (!link_after(v->d, *tail, port))
		begin_queue(v, p->priority, port);
	*tail = port;
}

static void set_pending(struct domain *d, uint32_t port)
{
	struct vcpu *v = evtchn_vcpu(d, port);
	struct word w;

	if (!word_of(d, port, &w)) {
		d->ev.port[port].pending = true; /* for when the page comes */
		return;
	}
	if (!is_guests(d, v->fifo.control))
		return;
	if (w.value & (MASKED | LINKED)) {
		put_word(d, &w, w.value | PENDING);
		return;
	}
	put_word(d, &w, w.value | PENDING | LINKED);
	append(v, port);
}

/* It stays linked: the guest takes it off and finds that it is not pending. */
static void clear_pending(struct domain *d, uint32_t port)
{
	struct word w;

	if (word_of(d, port, &w))
		put_word(d, &w, w.value & ~PENDING);
}

static void unmask(struct domain *d, uint32_t port)
{
	struct word w;

	if (!word_of(d, port, &w))
		return;
	put_word(d, &w, w.value & ~MASKED);
	if (w.value & PENDING)
		set_pending(d, port);
}

static bool is_pending(struct domain *d, uint32_t port)
{
	struct word w;

	return word_of(d, port, &w) && (w.value & PENDING);
}

static bool is_busy(struct domain *d, uint32_t port)
{
	struct word w;

	return word_of(d, port, &w) && (w.value & LINKED);
}

const struct port_ops ports_fifo = {
	.set_pending = set_pending, .clear_pending = clear_pending, .unmask = unmask,
	.is_pending = is_pending, .is_busy = is_busy,
};

/* ---- hypercalls ---- */

/* The bits of the 2-level ABI go over when the event array comes. */
static void take_over(struct domain *d)
{
	for (uint32_t port = 1; port < d->ev.valid && port < PORTS_2L; port++) {
		struct port *p = &d->ev.port[port];

		if (ports_2l.is_pending(d, port))
			p->pending = true;
		p->priority = EVTCHN_FIFO_PRIORITY_DEFAULT;
	}
}

int64_t fifo_init_control(struct vcpu *v, struct evtchn_init_control *op)
{
	struct domain *d = v->d;
	struct fifo_queues *q;

	op->link_bits = EVTCHN_FIFO_LINK_BITS;
	if (op->vcpu >= VCPUS)
		return -ENOENT;
	q = &d->vcpu[op->vcpu].fifo;
	if (op->offset > PAGE_SIZE - CONTROL_SIZE || op->offset % 8 != 0)
		return -EINVAL;
	if (q->control != 0 || !is_writable(d, op->control_gfn))
		return -EINVAL;
	*q = (struct fifo_queues){ .control = op->control_gfn, .control_off = op->offset };
	if (d->ev.fifo.on)
		return 0;
	d->ev.fifo = (struct fifo_state){ .on = true };
	take_over(d);
	return 0;
}

int64_t fifo_expand_array(struct domain *d, mfn_t mfn)
{
	struct fifo_state *f = &d->ev.fifo;
	uint32_t port;

	if (!f->on)
		return -EOPNOTSUPP;
	if (f->pages == FIFO_PAGES)
		return -ENOSPC;
	if (!is_writable(d, mfn))
		return -EINVAL;
	port = f->pages * FIFO_WORDS;
	f->page[f->pages++] = mfn;
	for (; port < f->pages * FIFO_WORDS && port < d->ev.valid; port++)
		if (d->ev.port[port].pending)
			set_pending(d, port);
	return 0;
}

void fifo_end(struct domain *d)
{
	const struct fifo_state old = d->ev.fifo;

	d->ev.fifo = (struct fifo_state){ .on = false };
	for (unsigned i = 0; i < VCPUS; i++) {
		mfn_t control = d->vcpu[i].fifo.control;

		d->vcpu[i].fifo = (struct fifo_queues){0};
		memory_unused(d, control);
	}
	for (uint32_t i = 0; i < old.pages; i++)
		memory_unused(d, old.page[i]);
}
