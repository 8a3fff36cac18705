/*
 * net_host.c - which host side a specification asks for.
 */
#include "dev/net_host.h"

#include <string.h>

#include "util/thread.h"

struct net_host *net_host_open(const struct vif_spec *spec, unsigned index,
	net_receive_fn *receive, void *ctx, struct ttd_error *e)
{
	switch (spec->backend) {
	case VIF_USER: return net_user_open(spec, index, receive, ctx, e);
	case VIF_TAP: return net_tap_open(spec, receive, ctx, e);
	case VIF_NONE: break;
	}
	return NULL;
}

int net_thread(pthread_t *t, void *(*fn)(void *ctx), void *ctx, struct ttd_error *e)
{
	int rc = thread_start(t, fn, ctx);

	return rc == 0 ? 0 : err_set(e, TTD_HOST, "vif: cannot start a thread: %s", strerror(rc));
}
