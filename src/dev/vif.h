/*
 * vif.h - the PV network interface (Xen's io/netif.h), the backend's side.
 *
 * Frames that the guest sends are taken out of its ring inside its notification
 * and answered at once; they are told to the bus, which witnesses them, and
 * go to the host side, if there is one.  Frames from outside are inputs: posted
 * by the host side's thread, handed to the device by the event source.
 */
#ifndef TTD_DEV_VIF_H
#define TTD_DEV_VIF_H

#include "dev/bus.h"
#include "dev/net_frame.h"
#include "dev/vif_spec.h"

struct vif;

/* [vCPU thread] Looks at every frame that passes, with the guest's time. */
typedef void vif_capture_fn(void *ctx, unsigned id, bool sent, uint64_t guest_ns,
	const struct net_frame *f);

/* live: opens the host side when the guest is announced; else there is none (a replay). */
struct vif *vif_create(const struct vif_spec *spec, unsigned id, bool live, struct ttd_error *e);
struct dev *vif_dev(struct vif *v);
const struct vif_spec *vif_spec_of(const struct vif *v);
void vif_capture(struct vif *v, vif_capture_fn *fn, void *ctx);
void vif_destroy(struct vif *v); /* after the domain */

#endif
