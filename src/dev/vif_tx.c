/*
 * vif_tx.c - frames that the guest sends.
 *
 * A frame is a first request, which has the size of all of it, then extras
 * (large segments, multicast groups) in slots of their own, then requests for
 * the rest of its pieces.  Each slot gets a response.
 */
#include "dev/vif_internal.h"

#include <string.h>

#include <xen/xen.h>
#include <xen/io/netif.h>

#include "util/bytes.h"

struct request {
	uint32_t ref;
	unsigned off, flags, id, size;
};

/* One frame's slots. */
struct gather {
	uint32_t at, left;             /* the next slot, and how many the guest has put */
	struct request part[TX_SLOTS_MAX];
	unsigned parts;
	uint16_t id[TX_SLOTS_MAX + EXTRAS_MAX]; /* by slot */
	bool extra[TX_SLOTS_MAX + EXTRAS_MAX];
	unsigned slots;
	struct net_frame f;
	bool mcast;                    /* it was no frame, but a change of the groups */
	bool bad;
};

static void slot_in(struct vif *v, uint32_t i, uint8_t b[TX_SLOT])
{
	memset(b, 0, TX_SLOT);
	v->dev.bus->ops->page_in(&v->dev, v->s.tx.page,
		RING_HEAD + i % RING_SLOTS * TX_SLOT, b, TX_SLOT);
}

/* false: the guest announced a slot that it did not put. */
static bool take_slot(struct vif *v, struct gather *g, uint8_t b[TX_SLOT], bool extra)
{
	if (g->left == 0 || g->slots == TX_SLOTS_MAX + EXTRAS_MAX)
		return false;
	slot_in(v, g->at, b);
	g->id[g->slots] = get16(b + 8);
	g->extra[g->slots] = extra;
	g->slots++;
	g->at++;
	g->left--;
	return true;
}

static bool take_part(struct vif *v, struct gather *g)
{
	struct request *q = &g->part[g->parts];
	uint8_t b[TX_SLOT];

	if (g->parts == TX_SLOTS_MAX || !take_slot(v, g, b, false))
		return false;
	*q = (struct request){ .ref = get32(b), .off = get16(b + 4), .flags = get16(b + 6),
		.id = get16(b + 8), .size = get16(b + 10) };
	g->parts++;
	return true;
}

static void change_group(struct vif *v, const uint8_t mac[6], bool in)
{
	struct vif_state *s = &v->s;
	unsigned i;

	for (i = 0; i < s->nmcast && memcmp(s->mcast[i], mac, 6) != 0; i++)
		;
	if (in && i == s->nmcast && i < MCAST_MAX) {
		memcpy(s->mcast[s->nmcast++], mac, 6);
	} else if (!in && i < s->nmcast) {
		s->nmcast--;
		memmove(s->mcast[i], s->mcast[i + 1], (s->nmcast - i) * 6);
	}
}

static bool take_extras(struct vif *v, struct gather *g)
{
	uint8_t b[TX_SLOT];

	for (unsigned n = 0; ; n++) {
		if (n == EXTRAS_MAX || !take_slot(v, g, b, true))
			return false;
		switch (b[0]) {
		case XEN_NETIF_EXTRA_TYPE_GSO:
			g->f.gso_size = get16(b + 2);
			g->f.gso = b[4] == XEN_NETIF_GSO_TYPE_TCPV4 ? NET_GSO_TCP4
				: b[4] == XEN_NETIF_GSO_TYPE_TCPV6 ? NET_GSO_TCP6 : NET_GSO_NONE;
			g->bad |= g->f.gso == NET_GSO_NONE || g->f.gso_size == 0;
			break;
		case XEN_NETIF_EXTRA_TYPE_MCAST_ADD:
		case XEN_NETIF_EXTRA_TYPE_MCAST_DEL:
			change_group(v, b + 2, b[0] == XEN_NETIF_EXTRA_TYPE_MCAST_ADD);
			g->mcast = true;
			break;
		case XEN_NETIF_EXTRA_TYPE_HASH:
			break;
		default:
			g->bad = true;
			break;
		}
		if (!(b[1] & XEN_NETIF_EXTRA_FLAG_MORE))
			return true;
	}
}

/* false: the ring makes no sense any more (V1). */
static bool take_frame(struct vif *v, struct gather *g)
{
	unsigned flags;

	if (!take_part(v, g))
		return false;
	flags = g->part[0].flags;
	if (flags & NETTXF_extra_info && !take_extras(v, g))
		return false;
	while (flags & NETTXF_more_data) {
		if (!take_part(v, g))
			return false;
		flags = g->part[g->parts - 1].flags;
	}
	g->f.csum_blank = (g->part[0].flags & NETTXF_csum_blank) != 0;
	g->f.csum_ok = (g->part[0].flags & NETTXF_data_validated) != 0;
	return true;
}

/* The first one's size is that of all; copies the pieces together. */
static bool copy_parts(struct vif *v, struct gather *g)
{
	unsigned total = g->part[0].size, rest = 0, n = 0;

	for (unsigned i = 1; i < g->parts; i++)
		rest += g->part[i].size;
	if (total < NET_HEADER || rest >= total)
		return false;
	for (unsigned i = 0; i < g->parts; i++) {
		unsigned size = i == 0 ? total - rest : g->part[i].size;

		if (n + size > NET_FRAME_MAX || v->dev.bus->ops->copy_in(&v->dev, g->part[i].ref,
			g->part[i].off, v->frame + n, size) != 0)
			return false;
		n += size;
	}
	g->f.p = v->frame;
	g->f.len = n;
	/* What is claimed to be several segments must look like it. */
	return g->f.gso == NET_GSO_NONE || net_tcp_kind(v->frame, n) == (enum net_gso)g->f.gso;
}

static void respond(struct vif *v, const struct gather *g, int status)
{
	struct vif_ring *r = &v->s.tx;

	for (unsigned i = 0; i < g->slots; i++) {
		uint8_t b[4];

		put16(b, g->id[i]);
		put16(b + 2, (uint16_t)(g->extra[i] ? NETIF_RSP_NULL : status));
		v->dev.bus->ops->page_out(&v->dev, r->page,
			RING_HEAD + r->prod % RING_SLOTS * TX_SLOT, b, sizeof b);
		r->prod++;
	}
}

static void send_one(struct vif *v, struct gather *g)
{
	bool ok = !g->bad;

	if (ok && !g->mcast) {
		ok = copy_parts(v, g);
		if (ok && vif_fits(v, &g->f)) {
			v->dev.bus->ops->sent(&v->dev, g->f.p, g->f.len);
			if (v->capture != NULL)
				v->capture(v->capture_ctx, v->dev.id, true, v->dev.bus->ops->now(&v->dev),
					&g->f);
			if (v->host != NULL)
				v->host->ops->send(v->host, &g->f);
		}
	}
	respond(v, g, ok ? NETIF_RSP_OKAY : NETIF_RSP_ERROR);
}

void vif_transmit(struct vif *v)
{
	struct vif_ring *r = &v->s.tx;
	uint32_t before = r->prod;
	unsigned n;

	while ((n = vif_requests(v, r, RING_SLOTS)) > 0) {
		struct gather g = { .at = r->cons, .left = n };

		if (!take_frame(v, &g)) {
			v->s.broken = true;
			break;
		}
		r->cons = g.at;
		send_one(v, &g);
	}
	if (!v->s.broken)
		ring_set(v, r, REQ_EVENT, r->cons + 1);
	if (vif_publish(v, r, before))
		v->dev.bus->ops->raise(&v->dev, CH_TX);
}
