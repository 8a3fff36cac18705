/*
 * live.h - the live event source: the host's clock and a queue of inputs.
 *
 * With follow_host, guest time is pulled forward to the host's monotonic
 * clock at slice ends and when an idle guest wakes (never backward, and never
 * when it is ahead).  Without it no clock is read and only pushed inputs come.
 */
#ifndef TTD_EVENT_LIVE_H
#define TTD_EVENT_LIVE_H

#include "event/bulk.h"
#include "event/source.h"
#include "util/err.h"

struct live_params {
	bool follow_host;
	uint64_t wallclock_ns; /* since 1970, at guest time 0; 0: the host's now */
	uint64_t guest_ns;     /* guest time at boot(), of a guest that has run before */
	uint64_t slice;        /* instructions between two looks at the clock */
	struct bulk *bulk;     /* where long inputs are kept as long as there is room; NULL: none */
	/* Makes the vCPU thread come back soon.  Any thread or signal handler. */
	void (*kick)(void *ctx);
	void *kick_ctx;
};

struct source *live_create(const struct live_params *p, struct ttd_error *e);

#endif
