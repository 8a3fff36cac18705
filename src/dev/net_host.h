/*
 * net_host.h - the host's side of a network interface, as a table of
 * functions: a user-mode network in this process (libslirp), a tap device.
 *
 * A host side has a thread of its own.  Frames go to it by send(), which only
 * puts them into a queue, and come from it by the receive function.  A queue
 * that is full drops, as a wire would: the guest is told of neither.  In a
 * replay there is no host side at all.
 */
#ifndef TTD_DEV_NET_HOST_H
#define TTD_DEV_NET_HOST_H

#include <pthread.h>
#include <stdatomic.h>

#include "dev/net_frame.h"
#include "dev/vif_spec.h"
#include "util/err.h"

struct net_host;

struct net_host_ops {
	/* [vCPU thread] Copies it, or drops it. */
	void (*send)(struct net_host *h, const struct net_frame *f);
	/* Ends the thread: nothing is received any more.  Frees *h. */
	void (*close)(struct net_host *h);
};

/*
 * [the host side's thread] The frame, and in front of it NET_PREFIX bytes, which may be
 * overwritten: so it goes on as a device's input without a copy.
 */
typedef void net_receive_fn(void *ctx, uint8_t *prefix, const struct net_frame *f);

struct net_host {
	const struct net_host_ops *ops;
	net_receive_fn *receive;
	void *ctx;
	/*
	 * [any thread] The guest takes several TCP segments in one; by net_gso bits.  That may
	 * change while frames are on their way: the vCPU thread looks again where it delivers.
	 */
	atomic_uint gso;
};

/* By the specification's backend.  NULL and *e; NULL alone for VIF_NONE. */
struct net_host *net_host_open(const struct vif_spec *spec, unsigned index,
	net_receive_fn *receive, void *ctx, struct ttd_error *e);

struct net_host *net_user_open(const struct vif_spec *spec, unsigned index,
	net_receive_fn *receive, void *ctx, struct ttd_error *e);
struct net_host *net_tap_open(const struct vif_spec *spec, net_receive_fn *receive, void *ctx,
	struct ttd_error *e);

/* For both: the queue of frames on their way out, and a thread. */
struct net_queue;
struct net_queued {
	struct net_queued *next;
	struct net_frame f; /* p points to bytes */
	uint8_t bytes[];
};
struct net_queue *net_queue_create(struct ttd_error *e);
void net_queue_free(struct net_queue *q);
int net_queue_fd(const struct net_queue *q); /* readable while something waits */
void net_queue_put(struct net_queue *q, const struct net_frame *f);
struct net_queued *net_queue_take(struct net_queue *q); /* all of them; free() each */
void net_queue_end(struct net_queue *q); /* take() gives nothing and ended() is true */
bool net_queue_ended(struct net_queue *q);

/* One that signals do not reach. */
int net_thread(pthread_t *t, void *(*fn)(void *ctx), void *ctx, struct ttd_error *e);

#endif
