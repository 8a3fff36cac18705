/*
 * grant_version.c - changing between the two forms of the grant table.
 *
 * No entry may be pinned, except for the first 8, which the toolstack uses: those
 * are kept, all others are lost.
 */
#include "xen/internal.h"

#include <errno.h>

#include <xen/grant_table.h>

#include "xen/guestcopy.h"

enum { RESERVED = GNTTAB_NR_RESERVED_ENTRIES };

static union grant_entry_v2 entry_v2(const struct domain *d, unsigned ref)
{
	union grant_entry_v2 e;

	memcpy(&e, mem_frame(d->mem, d->grant.first) + ref * sizeof e, sizeof e);
	return e;
}

static bool in_use(const struct grant_state *g)
{
	uint32_t reserved = 0;

	for (unsigned i = 0; i < RESERVED; i++)
		reserved += g->active[i].pin != 0;
	return g->pinned > reserved;
}

/* Xen counts who maps the status frames; here the guest's page tables are looked through. */
static bool status_is_mapped(struct domain *d)
{
	const struct grant_state *g = &d->grant;
	uint64_t n = mem_ram_pages(d->mem);

	for (mfn_t mfn = MEM_FIRST_MFN; mfn < MEM_FIRST_MFN + n; mfn++) {
		const uint8_t *table;

		if (!(mem_frame_flags(d->mem, mfn) & FRAME_PT))
			continue;
		hypercall_work(d, 8);
		table = mem_frame(d->mem, mfn);
		for (unsigned i = 0; table != NULL && i < PAGE_SIZE / 8; i++) {
			uint64_t pte = get64(table + i * 8);

			if ((pte & PTE_P) && PTE_MFN(pte) - (g->first + GRANT_FRAMES) < g->nr_status)
				return true;
		}
	}
	return false;
}

/* Can the reserved entries be said in version 1? */
static bool representable(const struct domain *d)
{
	for (unsigned i = 0; i < RESERVED; i++) {
		union grant_entry_v2 e = entry_v2(d, i);
		unsigned kind = e.hdr.flags & GTF_type_mask;

		if (kind == GTF_transitive ||
		    (kind == GTF_permit_access && e.full_page.frame >> 32 != 0))
			return false;
	}
	return true;
}

static void keep_reserved(const struct domain *d, struct grant_entry_v1 e[RESERVED])
{
	const uint8_t *status = mem_frame(d->mem, d->grant.first + GRANT_FRAMES);

	if (d->grant.version == 1) {
		memcpy(e, mem_frame(d->mem, d->grant.first), RESERVED * sizeof *e);
		return;
	}
	for (unsigned i = 0; i < RESERVED; i++) {
		union grant_entry_v2 from = entry_v2(d, i);

		memset(&e[i], 0, sizeof e[i]);
		if ((from.hdr.flags & GTF_type_mask) != GTF_permit_access)
			continue;
		e[i].flags = (uint16_t)(from.hdr.flags | get16(status + i * 2));
		e[i].domid = from.hdr.domid;
		e[i].frame = (uint32_t)from.full_page.frame;
	}
}

static void put_reserved(struct domain *d, const struct grant_entry_v1 e[RESERVED])
{
	const uint16_t in_use = GTF_reading | GTF_writing;
	union grant_entry_v2 to[RESERVED];
	uint16_t status[RESERVED];

	if (d->grant.version == 1) {
		mem_write_frame(d->mem, d->grant.first, 0, e, RESERVED * sizeof *e);
		return;
	}
	memset(to, 0, sizeof to);
	for (unsigned i = 0; i < RESERVED; i++) {
		status[i] = e[i].flags & in_use;
		to[i].hdr.flags = (uint16_t)(e[i].flags & ~in_use);
		to[i].hdr.domid = e[i].domid;
		to[i].full_page.frame = e[i].frame;
	}
	mem_write_frame(d->mem, d->grant.first, 0, to, sizeof to);
	mem_write_frame(d->mem, d->grant.first + GRANT_FRAMES, 0, status, sizeof status);
}

static int64_t change(struct domain *d, uint32_t version)
{
	struct grant_entry_v1 e[RESERVED];
	struct grant_state *g = &d->grant;

	if (in_use(g))
		return -EBUSY;
	if (version == 1 && !representable(d))
		return -ERANGE;
	keep_reserved(d, e);
	if (version == 1 && status_is_mapped(d))
		return -EBUSY;
	if (version == 1)
		g->nr_status = 0;
	else
		grant_grow_status(d);
	for (uint32_t i = 0; i < g->nr_frames; i++)
		grant_clear_frame(d, g->first + i);
	g->version = (uint8_t)version;
	put_reserved(d, e);
	return 0;
}

int64_t grant_set_version(struct vcpu *v, gva_t va)
{
	struct domain *d = v->d;
	struct gnttab_set_version op;
	int64_t rc;

	if (copy_from_guest(v, &op, va, sizeof op) < 0)
		return -EFAULT;
	if (op.version != 1 && op.version != 2)
		rc = -EINVAL;
	else
		rc = op.version == d->grant.version ? 0 : change(d, op.version);
	op.version = d->grant.version;
	return copy_to_guest(v, va, &op, sizeof op) < 0 ? -EFAULT : rc;
}
