/*
 * grant_copy.c - GNTTABOP_copy: between two areas, each named by a reference or,
 * if it is the guest's own, by its frame.
 */
#include "xen/internal.h"

#include <xen/grant_table.h>

/* May this end be named so? */
static int check_domain(const struct gnttab_copy_ptr *p, bool by_ref)
{
	if (p->domid != DOMID_SELF && !by_ref)
		return GNTST_permission_denied;
	return grant_domain(p->domid) < 0 ? GNTST_bad_domain : GNTST_okay;
}

static int claim(struct domain *d, const struct gnttab_copy_ptr *p, bool by_ref, bool write,
	struct grant_area *a)
{
	if (by_ref)
		return grant_domain(p->domid) == 0 ? grant_of_dom0(p->u.ref)
			: grant_for_copy(d, p->u.ref, DOMID, write, a);
	if (!is_guests(d, p->u.gmfn))
		return GNTST_bad_page;
	*a = (struct grant_area){ .mfn = p->u.gmfn, .len = PAGE_SIZE };
	return write && !is_writable(d, a->mfn) ? GNTST_general_error : GNTST_okay;
}

static bool within(const struct grant_area *a, uint32_t off, uint32_t len)
{
	return off >= a->off && off + len <= a->off + a->len;
}

static int copy(struct domain *d, const struct gnttab_copy *op, const struct grant_area *from,
	const struct grant_area *to)
{
	uint32_t len = op->len, src = op->source.offset, dst = op->dest.offset;
	uint8_t bytes[PAGE_SIZE];

	if (src + len > PAGE_SIZE || dst + len > PAGE_SIZE)
		return GNTST_bad_copy_arg;
	if (!within(from, src, len) || !within(to, dst, len))
		return GNTST_general_error;
	if (len == 0)
		return GNTST_okay;
	memcpy(bytes, mem_frame(d->mem, from->mfn) + src, len);
	mem_write_frame(d->mem, to->mfn, (unsigned)dst, bytes, len);
	return GNTST_okay;
}

void grant_copy(struct vcpu *v, void *arg)
{
	struct domain *d = v->d;
	struct gnttab_copy *op = arg;
	bool source_ref = op->flags & GNTCOPY_source_gref, dest_ref = op->flags & GNTCOPY_dest_gref;
	struct grant_area from, to;
	int rc = check_domain(&op->source, source_ref);

	hypercall_work(d, 4);
	if (rc == GNTST_okay)
		rc = check_domain(&op->dest, dest_ref);
	if (rc == GNTST_okay)
		rc = claim(d, &op->source, source_ref, false, &from);
	if (rc == GNTST_okay)
		rc = claim(d, &op->dest, dest_ref, true, &to);
	if (rc == GNTST_okay)
		rc = copy(d, op, &from, &to);
	op->status = (int16_t)rc;
}
