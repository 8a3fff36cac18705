/*
 * vif_rx.c - frames for the guest: into the buffers that it has granted, or
 * into the backlog until it grants more.
 */
#include "dev/vif_internal.h"

#include <stdlib.h>
#include <string.h>

#include <xen/xen.h>
#include <xen/io/netif.h>

#include "util/bytes.h"

static bool wanted(const struct vif *v, const struct net_frame *f)
{
	static const uint8_t all[6] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff };

	if (!v->s.mcast_control || !(f->p[0] & 1) || memcmp(f->p, all, 6) == 0)
		return true;
	for (unsigned i = 0; i < v->s.nmcast; i++)
		if (memcmp(v->s.mcast[i], f->p, 6) == 0)
			return true;
	return false;
}

static unsigned slots_for(const struct vif *v, const struct net_frame *f)
{
	unsigned each = DEV_PAGE - v->s.headroom;

	return (f->len + each - 1) / each + (f->gso != NET_GSO_NONE);
}

/* Gives the next request's slot this response. */
static void respond(struct vif *v, const uint8_t b[RX_SLOT])
{
	struct vif_ring *r = &v->s.rx;

	v->dev.bus->ops->page_out(&v->dev, r->page, RING_HEAD + r->cons % RING_SLOTS * RX_SLOT, b,
		RX_SLOT);
	r->prod = ++r->cons;
}

static void put_extra(struct vif *v, const struct net_frame *f)
{
	uint8_t b[RX_SLOT] = { XEN_NETIF_EXTRA_TYPE_GSO };

	put16(b + 2, f->gso_size);
	b[4] = f->gso == NET_GSO_TCP4 ? XEN_NETIF_GSO_TYPE_TCPV4 : XEN_NETIF_GSO_TYPE_TCPV6;
	respond(v, b);
}

static void put_part(struct vif *v, const uint8_t *p, unsigned n, unsigned flags)
{
	const struct vif_ring *r = &v->s.rx;
	uint8_t q[RX_SLOT] = {0}, b[RX_SLOT];
	int status = (int)n;

	v->dev.bus->ops->page_in(&v->dev, r->page, RING_HEAD + r->cons % RING_SLOTS * RX_SLOT, q,
		RX_SLOT);
	if (v->dev.bus->ops->copy_out(&v->dev, get32(q + 4), v->s.headroom, p, n) != 0)
		status = NETIF_RSP_ERROR;
	put16(b, get16(q));
	put16(b + 2, v->s.headroom);
	put16(b + 4, (uint16_t)flags);
	put16(b + 6, (uint16_t)status);
	respond(v, b);
}

/* There are slots enough. */
static void deliver(struct vif *v, const struct net_frame *f)
{
	unsigned flags = (f->csum_blank ? NETRXF_csum_blank : 0) |
		(f->csum_blank || f->csum_ok ? NETRXF_data_validated : 0) |
		(f->gso != NET_GSO_NONE ? NETRXF_extra_info : 0);
	unsigned each = DEV_PAGE - v->s.headroom;
	const uint8_t *p = f->p;
	uint32_t left = f->len;
	bool first = true;

	while (left > 0) {
		unsigned n = left < each ? left : each;

		left -= n;
		put_part(v, p, n, (first ? flags : 0) | (left > 0 ? NETRXF_more_data : 0));
		if (first && f->gso != NET_GSO_NONE)
			put_extra(v, f);
		first = false;
		p += n;
	}
}

/* A guest that does not take it as it is gets it, if that is possible, as it takes it. */
static bool suit(struct vif *v, struct net_frame *f)
{
	bool v6 = f->p[12] == 0x86 && f->p[13] == 0xdd;

	/* It may have been queued when another driver of the guest's was connected. */
	if ((f->gso != NET_GSO_NONE && !(v->s.gso >> f->gso & 1)) || !vif_fits(v, f))
		return false;
	if (f->csum_blank && !(v6 ? v->s.blank6 : v->s.blank4)) {
		memcpy(v->frame, f->p, f->len);
		net_csum_complete(v->frame, f->len);
		f->p = v->frame;
		f->csum_blank = false;
	}
	return v->s.sg || f->len <= (unsigned)(DEV_PAGE - v->s.headroom);
}

int vif_keep(struct vif *v, const uint8_t *p, size_t n)
{
	struct vif_state *s = &v->s;
	struct waiting *w;

	if (s->backlog_frames == BACKLOG_FRAMES || s->backlog_bytes + n > BACKLOG_BYTES)
		return -1;
	w = malloc(sizeof *w + n);
	if (w == NULL)
		abort(); /* to drop it here and not in a replay would be worse */
	w->next = NULL;
	w->len = (uint32_t)n;
	memcpy(w->bytes, p, n);
	*s->backlog_end = w;
	s->backlog_end = &w->next;
	s->backlog_frames++;
	s->backlog_bytes += n;
	return 0;
}

static void drop_first(struct vif_state *s)
{
	struct waiting *w = s->backlog;

	s->backlog = w->next;
	if (s->backlog == NULL)
		s->backlog_end = &s->backlog;
	s->backlog_frames--;
	s->backlog_bytes -= w->len;
	free(w);
}

void vif_drop_backlog(struct vif *v)
{
	while (v->s.backlog != NULL)
		drop_first(&v->s);
}

/* true: it is dealt with; false: too few buffers.  The guest is to tell when it has given more. */
static bool put_frame(struct vif *v, const uint8_t *p, size_t n)
{
	struct vif_ring *r = &v->s.rx;
	struct net_frame f;
	unsigned slots;

	if (v->s.broken || net_frame_unpack(p, n, &f) != 0 || !wanted(v, &f) || !suit(v, &f))
		return true;
	slots = slots_for(v, &f);
	if (slots > RING_SLOTS)
		return true;
	if (vif_requests(v, r, RING_SLOTS) < slots) {
		ring_set(v, r, REQ_EVENT, r->cons + slots);
		return v->s.broken;
	}
	deliver(v, &f);
	return true;
}

void vif_flush(struct vif *v)
{
	struct vif_ring *r = &v->s.rx;
	uint32_t before = r->prod;

	while (v->s.backlog != NULL && put_frame(v, v->s.backlog->bytes, v->s.backlog->len))
		drop_first(&v->s);
	if (vif_publish(v, r, before))
		v->dev.bus->ops->raise(&v->dev, v->s.split ? CH_RX : CH_TX);
}

void vif_receive(struct vif *v, const uint8_t *p, size_t n)
{
	struct vif_ring *r = &v->s.rx;
	uint32_t before = r->prod;

	if (v->s.backlog != NULL || !put_frame(v, p, n)) {
		vif_keep(v, p, n); /* or it is lost, as on a wire */
		return;
	}
	if (vif_publish(v, r, before))
		v->dev.bus->ops->raise(&v->dev, v->s.split ? CH_RX : CH_TX);
}
