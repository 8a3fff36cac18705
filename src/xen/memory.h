/*
 * memory.h - what the guest has of the machine's RAM (memory.c, memory_op.c, exchange.c).
 */
#ifndef TTD_XEN_MEMORY_H
#define TTD_XEN_MEMORY_H

#include <stdbool.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"

struct domain;
struct vcpu;
struct hypercall_args;

/* The bitmaps have a bit per frame. */
struct memory_state {
	uint64_t pages;     /* of the machine: maxmem */
	uint64_t max;       /* that the guest may have now */
	uint64_t has;       /* that it has; any thread may read it atomically */
	uint64_t *gone;     /* what it does not have */
	uint64_t *loose;    /* given up while in use by us */
	uint64_t nloose;
	uint32_t *held;     /* entries of the grant table that are pinned, per frame; not state */
	uint64_t first;     /* no frame before it is gone; not state */
};

enum { MEMORY_OP_BITS = 6, MEMORY_OP_MASK = 63, MEMORY_ORDER_MAX = 9 };
int memory_init(struct domain *d, uint64_t pages); /* that it has at first; -1: no memory */
void memory_fini(struct memory_state *s);
int64_t memory_target(uint16_t domid); /* 0 for the guest itself, else an error */
int64_t memory_extents(struct vcpu *v, const struct hypercall_args *h);
void memory_unused(struct domain *d, mfn_t mfn); /* a use of ours ended: it may have been loose */
void memory_hold(struct domain *d, mfn_t mfn);   /* somebody has mapped it by a grant, */
void memory_release(struct domain *d, mfn_t mfn); /* and no more */
void memory_set_target(struct domain *d, uint64_t kib);
void memory_save(const struct memory_state *s, struct wbuf *w);
int memory_load(struct domain *d, struct rbuf *r);
/*
 * Exchange.  Frames that were stolen count as free, those reserved as taken, and
 * nothing has happened to them: all can be undone.  memory_part() is what leaving is.
 */
bool memory_steal(struct domain *d, mfn_t mfn);
void memory_unsteal(struct domain *d, mfn_t mfn);
mfn_t memory_reserve(struct domain *d, unsigned order, uint32_t mem_flags);
void memory_unreserve(struct domain *d, mfn_t mfn, unsigned order);
void memory_part(struct domain *d, mfn_t mfn);
int64_t memory_exchange(struct vcpu *v, const struct hypercall_args *h); /* exchange.c */

#endif
