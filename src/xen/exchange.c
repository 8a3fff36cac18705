/*
 * exchange.c - XENMEM_exchange: frames for as many others, which lie together or
 * below some address.
 *
 * One chunk at a time, which is the larger of the two extents, is exchanged as a
 * whole or not at all.  What the guest gives counts as free already when what it gets
 * is looked for: there may be no other memory.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/memory.h>

#include "xen/guestcopy.h"
#include "xen/mmu.h"

enum { CHUNK_MAX = 1 << MEMORY_ORDER_MAX };

struct exchange {
	struct xen_memory_exchange x;
	uint64_t in_list, out_list;
	uint32_t out_flags;
	unsigned in_order, out_order;
	uint64_t in_each, out_each; /* extents of a chunk */
	mfn_t in[CHUNK_MAX], out[CHUNK_MAX];
	uint64_t nin, nout;
};

static int64_t check(struct exchange *e)
{
	const struct xen_memory_reservation *in = &e->x.in, *out = &e->x.out;

	if (in->extent_order > MEMORY_ORDER_MAX || out->extent_order > MEMORY_ORDER_MAX)
		return -EPERM;
	if (e->x.nr_exchanged > in->nr_extents || in->domid != out->domid ||
	    UINT64_MAX >> in->extent_order < in->nr_extents ||
	    UINT64_MAX >> out->extent_order < out->nr_extents ||
	    in->nr_extents << in->extent_order != out->nr_extents << out->extent_order)
		return -EINVAL;
	memcpy(&e->in_list, &in->extent_start, sizeof e->in_list);
	memcpy(&e->out_list, &out->extent_start, sizeof e->out_list);
	memcpy(&e->out_flags, &out->mem_flags, sizeof e->out_flags);
	e->in_order = in->extent_order;
	e->out_order = out->extent_order;
	e->in_each = e->in_order < e->out_order ? UINT64_C(1) << (e->out_order - e->in_order) : 1;
	e->out_each = e->out_order < e->in_order ? UINT64_C(1) << (e->in_order - e->out_order) : 1;
	if (e->out_flags & XENMEMF_exact_node_request)
		return -EINVAL;
	return memory_target(in->domid);
}

static int64_t steal(struct vcpu *v, struct exchange *e, uint64_t chunk)
{
	for (uint64_t j = 0; j < e->in_each; j++) {
		uint64_t mfn;

		if (copy_from_guest(v, &mfn, e->in_list + (chunk * e->in_each + j) * 8, 8) < 0)
			return -EFAULT;
		for (uint64_t k = 0; k < UINT64_C(1) << e->in_order; k++) {
			if (!memory_steal(v->d, mfn + k))
				return -EINVAL;
			e->in[e->nin++] = mfn + k;
		}
	}
	return 0;
}

static int64_t reserve(struct domain *d, struct exchange *e)
{
	while (e->nout < e->out_each) {
		mfn_t mfn = memory_reserve(d, e->out_order, e->out_flags);

		if (mfn == MFN_NONE)
			return -ENOMEM;
		e->out[e->nout++] = mfn;
	}
	return 0;
}

static void undo(struct domain *d, struct exchange *e)
{
	while (e->nout > 0)
		memory_unreserve(d, e->out[--e->nout], e->out_order);
	while (e->nin > 0)
		memory_unsteal(d, e->in[--e->nin]);
}

/* Where each new extent is to be, and the answer where it is. */
static int64_t place(struct vcpu *v, const struct exchange *e, uint64_t chunk)
{
	int64_t rc = 0;

	for (uint64_t j = 0; j < e->nout; j++) {
		gva_t at = e->out_list + (chunk * e->out_each + j) * 8;
		uint64_t pfn;

		for (uint64_t k = 0; k < UINT64_C(1) << e->out_order; k++)
			mem_frame_enter(v->d->mem, e->out[j] + k);
		if (copy_from_guest(v, &pfn, at, 8) < 0) {
			rc = -EFAULT;
			continue;
		}
		for (uint64_t k = 0; k < UINT64_C(1) << e->out_order; k++)
			m2p_set(v->d, e->out[j] + k, pfn + k);
		if (copy_to_guest(v, at, &e->out[j], 8) < 0)
			rc = -EFAULT;
	}
	return rc;
}

static int64_t exchange_chunk(struct vcpu *v, struct exchange *e, uint64_t chunk)
{
	struct domain *d = v->d;
	int64_t rc;

	e->nin = e->nout = 0;
	rc = steal(v, e, chunk);
	if (rc == 0)
		rc = reserve(d, e);
	if (rc != 0) {
		undo(d, e);
		return rc;
	}
	for (uint64_t i = 0; i < e->nin; i++)
		memory_part(d, e->in[i]);
	return place(v, e, chunk);
}

static int64_t tell_done(struct vcpu *v, const struct exchange *e, gva_t va, int64_t rc)
{
	return copy_to_guest(v, va + offsetof(struct xen_memory_exchange, nr_exchanged),
		&e->x.nr_exchanged, sizeof e->x.nr_exchanged) < 0 ? -EFAULT : rc;
}

int64_t memory_exchange(struct vcpu *v, const struct hypercall_args *h)
{
	struct exchange e;
	uint64_t chunk, n;
	int64_t rc;

	if (copy_from_guest(v, &e.x, h->a[1], sizeof e.x) < 0)
		return -EFAULT;
	rc = check(&e);
	if (rc != 0)
		return tell_done(v, &e, h->a[1], rc);
	n = e.x.in.nr_extents / e.in_each;
	for (chunk = e.x.nr_exchanged / e.in_each; rc == 0 && chunk < n; chunk++) {
		if (hypercall_work(v->d, 1) && chunk != e.x.nr_exchanged / e.in_each) {
			e.x.nr_exchanged = chunk * e.in_each;
			rc = tell_done(v, &e, h->a[1], 0);
			return rc < 0 ? rc : hypercall_again(v, h);
		}
		rc = exchange_chunk(v, &e, chunk);
		if (rc != 0)
			break;
	}
	e.x.nr_exchanged = rc == 0 ? e.x.in.nr_extents : chunk * e.in_each;
	return tell_done(v, &e, h->a[1], rc);
}
