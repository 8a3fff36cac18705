/*
 * vif_internal.h - inside of a vif, for src/dev/vif*.c.
 *
 *  V1. The rings are the guest's memory: a slot is copied, then checked.  Indices
 *      that claim more than a ring holds break the interface until the guest
 *      connects anew; a single request that makes no sense is answered with
 *      an error.
 *  V2. What is below `s` is a function of what the guest did and of the inputs;
 *      all of it is saved.  The host side is not asked about anything.
 *  V3. A received frame is put into the ring whole or not at all; when there is no
 *      room it waits in the backlog, which is bounded, and further ones wait
 *      after it.
 *  V4. rx.cons is also the next response's index: the guest expects
 *      responses in the slots of their requests.
 */
#ifndef TTD_DEV_VIF_INTERNAL_H
#define TTD_DEV_VIF_INTERNAL_H

#include "dev/net_host.h"
#include "dev/vif.h"

enum {
	RING_SLOTS = 256,
	TX_SLOT = 12, RX_SLOT = 8, CTRL_SLOTS = 128, CTRL_SLOT = 16,
	/* Offsets of the header, which is 64 bytes. */
	REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12, RING_HEAD = 64,
	TX_SLOTS_MAX = 20,    /* of one frame; the guest may count on 18 */
	EXTRAS_MAX = 4,
	MCAST_MAX = 64,
	HEADROOM_MAX = 0x7fff,
	BACKLOG_FRAMES = 1024, BACKLOG_BYTES = 4 << 20,
};
enum { CH_TX, CH_RX, CH_CTRL }; /* CH_TX serves both when there is one channel */

struct vif_ring {
	dev_page page;
	uint32_t cons, prod; /* requests taken, responses given */
};

struct waiting {
	struct waiting *next;
	uint32_t len; /* prefix and frame */
	uint8_t bytes[];
};

struct vif_state {
	bool connected, broken;
	struct vif_ring tx, rx, ctrl; /* ctrl.page may be DEV_NO_PAGE */
	bool split;         /* two channels */
	bool sg;            /* a frame may take several slots */
	uint8_t gso;        /* 1 << enum net_gso */
	bool blank4, blank6; /* takes frames without a checksum */
	uint16_t headroom;
	bool mcast_control;
	uint8_t mcast[MCAST_MAX][6];
	unsigned nmcast;
	struct waiting *backlog, **backlog_end;
	unsigned backlog_frames;
	size_t backlog_bytes;
};

struct vif {
	struct dev dev; /* first */
	struct vif_spec spec;
	bool live;
	struct net_host *host; /* NULL: none */
	vif_capture_fn *capture;
	void *capture_ctx;
	struct vif_state s;
	uint8_t frame[NET_FRAME_MAX + 1]; /* being gathered; not state */
};

/* Ring words. */
static inline uint32_t ring_get(struct vif *v, const struct vif_ring *r, unsigned at)
{
	uint32_t x = 0;

	v->dev.bus->ops->page_in(&v->dev, r->page, at, &x, 4);
	return x;
}

static inline void ring_set(struct vif *v, const struct vif_ring *r, unsigned at, uint32_t x)
{
	v->dev.bus->ops->page_out(&v->dev, r->page, at, &x, 4);
}

/* Requests that wait; when there are more than fit, breaks the interface (V1): 0. */
unsigned vif_requests(struct vif *v, const struct vif_ring *r, unsigned slots);
/* Makes responses up to r->prod visible; true when the guest wants to be told. */
bool vif_publish(struct vif *v, struct vif_ring *r, uint32_t before);

/* Longer ones are dropped, as on a wire: what a segment of several is cut into must fit. */
bool vif_fits(const struct vif *v, const struct net_frame *f);

/* vif_tx.c, vif_rx.c, vif_ctrl.c */
void vif_transmit(struct vif *v);
void vif_receive(struct vif *v, const uint8_t *p, size_t n); /* prefix and frame */
void vif_flush(struct vif *v); /* the guest has given buffers: the backlog first */
void vif_drop_backlog(struct vif *v);
int vif_keep(struct vif *v, const uint8_t *p, size_t n); /* in the backlog; -1: full */
void vif_control(struct vif *v);

#endif
