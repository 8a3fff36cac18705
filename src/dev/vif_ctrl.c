/*
 * vif_ctrl.c - the control ring: questions about hashing and the like, which are
 * all answered with "not supported".  A guest with one queue has no use for them.
 */
#include "dev/vif_internal.h"

#include <string.h>

#include <xen/xen.h>
#include <xen/io/netif.h>

#include "util/bytes.h"

void vif_control(struct vif *v)
{
	struct vif_ring *r = &v->s.ctrl;
	uint32_t before = r->prod;

	if (r->page == DEV_NO_PAGE)
		return;
	for (unsigned n = vif_requests(v, r, CTRL_SLOTS); n > 0; n--) {
		uint8_t b[CTRL_SLOT] = {0};
		unsigned at = RING_HEAD + r->cons % CTRL_SLOTS * CTRL_SLOT;

		v->dev.bus->ops->page_in(&v->dev, r->page, at, b, 4); /* id and type stay */
		put32(b + 4, XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED);
		put32(b + 8, 0);
		v->dev.bus->ops->page_out(&v->dev, r->page, at, b, 12);
		r->prod = ++r->cons;
	}
	if (!v->s.broken)
		ring_set(v, r, REQ_EVENT, r->cons + 1);
	if (vif_publish(v, r, before))
		v->dev.bus->ops->raise(&v->dev, CH_CTRL);
}
