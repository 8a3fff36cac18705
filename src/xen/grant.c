/*
 * grant.c - the grant table's size and its hypercalls; grant.h says what there is.
 *
 * Most calls are lists: an operation is copied in, done, and its status copied
 * back, one after the other.  A bad operation gets a status, a list that ends in
 * unmapped memory -EFAULT, what was done before stays done.
 */
#include "xen/internal.h"

#include <errno.h>
#include <stdlib.h>

#include <xen/grant_table.h>

#include "util/zero.h"
#include "xen/guestcopy.h"

enum { PER_STATUS_FRAME = PAGE_SIZE / 2, CMD_BITS = 12 };

void grant_init(struct grant_state *g, mfn_t first)
{
	g->first = first;
	g->nr_frames = 1;
	g->version = 1;
	g->track_head = g->track_tail = MAPTRACK_NONE;
}

void grant_fini(struct grant_state *g)
{
	free(g->track);
}

/* ---- size ---- */

/* What becomes the guest's is empty, whatever it had been before. */
void grant_clear_frame(struct domain *d, mfn_t mfn)
{
	if (!is_zero(mem_frame(d->mem, mfn), PAGE_SIZE))
		mem_write_frame(d->mem, mfn, 0, zero_page, PAGE_SIZE);
}

uint32_t grant_status_frames(uint32_t frames)
{
	uint32_t entries = frames * (PAGE_SIZE / sizeof(union grant_entry_v2));

	return (entries + PER_STATUS_FRAME - 1) / PER_STATUS_FRAME;
}

void grant_grow_status(struct domain *d)
{
	struct grant_state *g = &d->grant;
	uint32_t want = grant_status_frames(g->nr_frames);

	for (uint32_t i = g->nr_status; i < want; i++)
		grant_clear_frame(d, g->first + GRANT_FRAMES + i);
	g->nr_status = want;
}

static void grow(struct domain *d, uint32_t frames)
{
	struct grant_state *g = &d->grant;

	for (uint32_t i = g->nr_frames; i < frames; i++)
		grant_clear_frame(d, g->first + i);
	g->nr_frames = frames;
	if (g->version == 2)
		grant_grow_status(d);
}

/* ---- calls about the whole table ---- */

/* For the status of what only a privileged domain may ask of dom0. */
static int16_t only_self(domid_t dom)
{
	int which = grant_domain(dom);

	return which < 0 ? GNTST_bad_domain : which == 0 ? GNTST_permission_denied : GNTST_okay;
}

/* Numbers of n frames to the guest's list at va. */
static int16_t give_list(struct vcpu *v, gva_t va, mfn_t first, uint32_t n)
{
	int16_t status = GNTST_okay;

	for (uint32_t i = 0; i < n; i++) {
		uint64_t mfn = first + i;

		if (copy_to_guest(v, va + i * 8, &mfn, 8) < 0)
			status = GNTST_bad_virt_addr;
	}
	return status;
}

#define PUT_BACK(d, va, op, field) \
	copy_to_guest((d), (va) + offsetof(__typeof__(op), field), &(op).field, sizeof((op).field))

/* An operation, and the address in it that the frames' numbers are to be written to. */
static int get_list(struct vcpu *v, gva_t va, void *op, size_t n, const void *handle,
	uint64_t *list)
{
	if (copy_from_guest(v, op, va, n) < 0)
		return -1;
	memcpy(list, handle, sizeof *list);
	return is_guest_address(*list) ? 0 : -1;
}

static int64_t setup_table(struct vcpu *v, gva_t va)
{
	struct domain *d = v->d;
	struct gnttab_setup_table op;
	uint64_t list;

	if (get_list(v, va, &op, sizeof op, &op.frame_list, &list) != 0)
		return -EFAULT;
	op.status = only_self(op.dom);
	if (op.status == GNTST_okay && op.nr_frames > GRANT_FRAMES)
		op.status = GNTST_general_error;
	if (op.status == GNTST_okay) {
		if (op.nr_frames > d->grant.nr_frames)
			grow(d, op.nr_frames);
		op.status = give_list(v, list, d->grant.first, op.nr_frames);
	}
	return PUT_BACK(v, va, op, status);
}

static int64_t get_status_frames(struct vcpu *v, gva_t va)
{
	struct gnttab_get_status_frames op;
	uint64_t list;

	if (get_list(v, va, &op, sizeof op, &op.frame_list, &list) != 0)
		return -EFAULT;
	op.status = only_self(op.dom);
	if (op.status == GNTST_okay && op.nr_frames > v->d->grant.nr_status)
		op.status = GNTST_general_error;
	if (op.status == GNTST_okay)
		op.status = give_list(v, list, v->d->grant.first + GRANT_FRAMES, op.nr_frames);
	return PUT_BACK(v, va, op, status);
}

static int64_t query_size(struct vcpu *v, gva_t va)
{
	struct gnttab_query_size op;

	if (copy_from_guest(v, &op, va, sizeof op) < 0)
		return -EFAULT;
	op.status = only_self(op.dom);
	if (op.status == GNTST_okay) {
		op.nr_frames = v->d->grant.nr_frames;
		op.max_nr_frames = GRANT_FRAMES;
	}
	return copy_to_guest(v, va, &op, sizeof op);
}

static int64_t get_version(struct vcpu *v, gva_t va)
{
	struct gnttab_get_version op;
	int which;

	if (copy_from_guest(v, &op, va, sizeof op) < 0)
		return -EFAULT;
	which = grant_domain(op.dom);
	if (which != 1)
		return which < 0 ? -ESRCH : -EPERM;
	op.version = v->d->grant.version;
	return PUT_BACK(v, va, op, version);
}

/* ---- lists ---- */

/*
 * A page may leave if nothing maps it, which no page of a guest's RAM that is of
 * any use to it can say of itself: none is given away.
 */
static void transfer(struct vcpu *v, void *arg)
{
	struct gnttab_transfer *op = arg;

	(void)v;
	op->status = GNTST_bad_page;
}

static void swap_bytes(struct domain *d, mfn_t first, unsigned size, uint32_t a, uint32_t b)
{
	unsigned per_frame = PAGE_SIZE / size;
	mfn_t fa = first + a / per_frame, fb = first + b / per_frame;
	unsigned oa = a % per_frame * size, ob = b % per_frame * size;
	uint8_t va[16], vb[16];

	memcpy(va, mem_frame(d->mem, fa) + oa, size);
	memcpy(vb, mem_frame(d->mem, fb) + ob, size);
	mem_write_frame(d->mem, fa, oa, vb, size);
	mem_write_frame(d->mem, fb, ob, va, size);
}

static void swap(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	struct gnttab_swap_grant_ref *op = arg;
	const struct grant_state *g = &d->grant;
	uint32_t a = op->ref_a, b = op->ref_b;

	op->status = GNTST_bad_gntref;
	if (a >= grant_entries(g) || b >= grant_entries(g))
		return;
	op->status = GNTST_okay;
	if (a == b)
		return;
	op->status = GNTST_eagain;
	if (g->active[a].pin != 0 || g->active[b].pin != 0)
		return;
	op->status = GNTST_okay;
	swap_bytes(d, g->first, g->version == 1 ? sizeof(struct grant_entry_v1)
		: sizeof(union grant_entry_v2), a, b);
	if (g->version == 2)
		swap_bytes(d, g->first + GRANT_FRAMES, sizeof(grant_status_t), a, b);
}

static int64_t flush_one(struct domain *d, const struct gnttab_cache_flush *op, bool resumed)
{
	mfn_t mfn = op->a.dev_bus_addr >> PAGE_SHIFT;

	if (op->offset >= PAGE_SIZE || op->length > PAGE_SIZE ||
	    op->offset + op->length > PAGE_SIZE ||
	    (op->op & ~(GNTTAB_CACHE_INVAL | GNTTAB_CACHE_CLEAN)))
		return -EINVAL;
	if (op->length == 0 || op->op == 0)
		return resumed ? -EILSEQ : 0;
	if (!is_guests(d, mfn))
		return mem_frame(d->mem, mfn) == NULL ? -EINVAL : -EPERM;
	return op->op == GNTTAB_CACHE_INVAL ? -EOPNOTSUPP : 0; /* as on x86 */
}

static const struct {
	void (*one)(struct vcpu *v, void *op);
	uint8_t size, status; /* bytes; where its status is */
	bool whole;           /* all of it is copied back */
} lists[] = {
#define LIST(name, fn, type, all) [GNTTABOP_##name] = { fn, sizeof(struct gnttab_##type), \
	offsetof(struct gnttab_##type, status), all }
	LIST(map_grant_ref, grant_map, map_grant_ref, true),
	LIST(unmap_grant_ref, grant_unmap, unmap_grant_ref, false),
	LIST(transfer, transfer, transfer, false),
	LIST(copy, grant_copy, copy, false),
	LIST(unmap_and_replace, grant_unmap_and_replace, unmap_and_replace, false),
	LIST(swap_grant_ref, swap, swap_grant_ref, false),
	[GNTTABOP_cache_flush] = { NULL, sizeof(struct gnttab_cache_flush), 0, false },
};

static int64_t do_one(struct vcpu *v, uint32_t cmd, gva_t va, bool resumed)
{
	union {
		uint64_t align;
		uint8_t bytes[64];
		struct gnttab_cache_flush flush;
	} op;
	unsigned at = lists[cmd].whole ? 0 : lists[cmd].status;
	unsigned n = lists[cmd].whole ? lists[cmd].size : sizeof(int16_t);

	if (copy_from_guest(v, &op, va, lists[cmd].size) < 0)
		return -EFAULT;
	if (cmd == GNTTABOP_cache_flush)
		return flush_one(v->d, &op.flush, resumed);
	lists[cmd].one(v, &op);
	return copy_to_guest(v, va + at, op.bytes + at, n);
}

static int64_t do_list(struct vcpu *v, uint32_t cmd, const struct hypercall_args *h)
{
	struct hypercall_args left = *h;
	int64_t rc;

	if (!is_guest_address(h->a[1]))
		return -EFAULT;
	left.a[2] = (uint32_t)left.a[2];
	while (left.a[2] > 0) {
		rc = do_one(v, cmd, left.a[1], (uint32_t)left.a[0] != cmd);
		if (rc < 0)
			return rc;
		left.a[0] = cmd;
		left.a[1] += lists[cmd].size;
		left.a[2]--;
		if (left.a[2] > 0 && hypercall_work(v->d, 2))
			return hypercall_again(v, &left);
	}
	return 0;
}

/* Calls with one argument; `one`: which say so by their count. */
static const struct {
	int64_t (*fn)(struct vcpu *v, gva_t va);
	bool one;
} singles[] = {
	[GNTTABOP_setup_table] = { setup_table, true },
	[GNTTABOP_query_size] = { query_size, true },
	[GNTTABOP_set_version] = { grant_set_version, false },
	[GNTTABOP_get_status_frames] = { get_status_frames, true },
	[GNTTABOP_get_version] = { get_version, false },
};

int64_t hc_grant_table_op(struct vcpu *v, const struct hypercall_args *h)
{
	uint32_t cmd = (uint32_t)h->a[0] & ((1u << CMD_BITS) - 1);
	bool resumed = (uint32_t)h->a[0] != cmd; /* bits that Xen uses to go on */

	if ((int32_t)h->a[2] < 0 || (resumed && cmd != GNTTABOP_cache_flush))
		return -EINVAL;
	if (cmd < sizeof lists / sizeof lists[0] && lists[cmd].size != 0)
		return do_list(v, cmd, h);
	if (cmd >= sizeof singles / sizeof singles[0] || singles[cmd].fn == NULL)
		return -ENOSYS;
	if (singles[cmd].one && (uint32_t)h->a[2] != 1)
		return -EINVAL;
	return singles[cmd].fn(v, h->a[1]);
}
