/*
 * grant.c - the guest's grant table, version 1.
 *
 * The table is GRANT_FRAMES frames of 8-byte entries {flags, domid, frame}
 * that the guest fills in; a backend names a frame by its reference.  Nothing
 * is ever mapped: backends look an entry up when they touch the frame, and do
 * not set the reading/writing flags, which the ABI allows.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/grant_table.h>

enum { ENTRIES_PER_FRAME = PAGE_SIZE / 8 };

mfn_t grant_frame(struct domain *d, uint32_t ref, bool write)
{
	const uint8_t *e;
	uint16_t flags;
	mfn_t mfn;

	if (ref >= d->grant.nr_frames * ENTRIES_PER_FRAME)
		return MFN_NONE;
	e = mem_frame(d->mem, d->grant.first + ref / ENTRIES_PER_FRAME) +
		ref % ENTRIES_PER_FRAME * 8;
	flags = get16(e);
	mfn = get32(e + 4);
	if ((flags & GTF_type_mask) != GTF_permit_access || get16(e + 2) != 0)
		return MFN_NONE;
	if (write && (flags & GTF_readonly))
		return MFN_NONE;
	return is_ram(d, mfn) ? mfn : MFN_NONE;
}

static bool self(domid_t dom)
{
	return dom == DOMID_SELF || dom == DOMID;
}

static int64_t setup_table(struct domain *d, gva_t va)
{
	struct gnttab_setup_table op;
	int64_t rc = 0;

	if (copy_from_guest(d, &op, va, sizeof(op)) < 0)
		return -EFAULT;
	op.status = GNTST_okay;
	if (!self(op.dom))
		op.status = GNTST_bad_domain;
	else if (op.nr_frames > GRANT_FRAMES)
		op.status = GNTST_general_error;
	if (op.status == GNTST_okay) {
		uint64_t list;

		memcpy(&list, &op.frame_list, sizeof(list));
		if (op.nr_frames > d->grant.nr_frames)
			d->grant.nr_frames = op.nr_frames;
		for (uint32_t i = 0; rc == 0 && i < op.nr_frames; i++) {
			uint64_t mfn = d->grant.first + i;

			rc = copy_to_guest(d, list + i * 8, &mfn, 8);
		}
	}
	return rc < 0 ? rc : copy_to_guest(d, va, &op, sizeof(op));
}

static int64_t query_size(struct domain *d, gva_t va)
{
	struct gnttab_query_size op;

	if (copy_from_guest(d, &op, va, sizeof(op)) < 0)
		return -EFAULT;
	if (self(op.dom)) {
		op.nr_frames = d->grant.nr_frames;
		op.max_nr_frames = GRANT_FRAMES;
		op.status = GNTST_okay;
	} else {
		op.status = GNTST_bad_domain;
	}
	return copy_to_guest(d, va, &op, sizeof(op));
}

static int64_t set_version(struct domain *d, gva_t va)
{
	struct gnttab_set_version op;
	int64_t rc;

	if (copy_from_guest(d, &op, va, sizeof(op)) < 0)
		return -EFAULT;
	rc = op.version == 1 ? 0 : op.version == 2 ? -ENOSYS : -EINVAL;
	op.version = 1;
	return copy_to_guest(d, va, &op, sizeof(op)) < 0 ? -EFAULT : rc;
}

static int64_t get_version(struct domain *d, gva_t va)
{
	struct gnttab_get_version op;

	if (copy_from_guest(d, &op, va, sizeof(op)) < 0)
		return -EFAULT;
	if (!self(op.dom))
		return -ESRCH;
	op.version = 1;
	return copy_to_guest(d, va, &op, sizeof(op));
}

int64_t hc_grant_table_op(struct domain *d, const struct hypercall_args *h)
{
	switch ((uint32_t)h->a[0]) {
	case GNTTABOP_setup_table:
		return h->a[2] == 1 ? setup_table(d, h->a[1]) : -EINVAL;
	case GNTTABOP_query_size:
		return h->a[2] == 1 ? query_size(d, h->a[1]) : -EINVAL;
	case GNTTABOP_set_version:
		return h->a[2] == 1 ? set_version(d, h->a[1]) : -EINVAL;
	case GNTTABOP_get_version:
		return h->a[2] == 1 ? get_version(d, h->a[1]) : -EINVAL;
	default:
		return -ENOSYS;
	}
}

void grant_save(const struct grant_state *g, struct wbuf *w)
{
	wbuf_u64(w, g->first);
	wbuf_u32(w, g->nr_frames);
}

int grant_load(struct grant_state *g, struct rbuf *r)
{
	g->first = rbuf_u64(r);
	g->nr_frames = rbuf_u32(r);
	return r->bad || g->nr_frames > GRANT_FRAMES ? -1 : 0;
}
