/*
 * grant_entry.c - entries of the grant table: may somebody use one, and what the
 * guest sees of it.
 *
 * Somebody who maps or copies sets GTF_reading (and GTF_writing) first and clears
 * them when he is done: in the entry itself in version 1, in the status frames in
 * version 2.  What a copy sets it clears within the same hypercall, so only the
 * clearing shows.
 *
 *  GE1. An entry that nobody has pinned is checked each time it is used.  One that
 *      is pinned stays what it was when it was pinned first, whatever the guest
 *      has written into it since.
 */
#include "xen/internal.h"

#include <xen/grant_table.h>

struct entry {
	uint16_t flags, domid;
	uint64_t frame;
	uint16_t off, len;  /* version 2, GTF_sub_page */
	uint16_t trans_domid;
	uint32_t trans_ref; /* version 2, GTF_transitive */
};

static unsigned entry_size(const struct grant_state *g)
{
	return g->version == 1 ? sizeof(struct grant_entry_v1) : sizeof(union grant_entry_v2);
}

uint32_t grant_entries(const struct grant_state *g)
{
	return g->nr_frames * (PAGE_SIZE / entry_size(g));
}

int grant_domain(uint16_t dom)
{
	return dom == DOMID_SELF || dom == DOMID ? 1 : dom == 0 ? 0 : -1;
}

int grant_of_dom0(uint32_t ref)
{
	return ref < DOM0_ENTRIES ? GNTST_general_error : GNTST_bad_gntref;
}

static void read_entry(const struct domain *d, uint32_t ref, struct entry *e)
{
	const struct grant_state *g = &d->grant;
	unsigned per_frame = PAGE_SIZE / entry_size(g);
	const uint8_t *p = mem_frame(d->mem, g->first + ref / per_frame) +
		ref % per_frame * entry_size(g);

	*e = (struct entry){ .flags = get16(p), .domid = get16(p + 2) };
	if (g->version == 1) {
		e->frame = get32(p + 4);
		return;
	}
	e->off = e->trans_domid = get16(p + 4);
	e->len = get16(p + 6);
	e->frame = get64(p + 8);
	e->trans_ref = get32(p + 8);
}

/* Sets and clears GTF_reading and GTF_writing where the version has them. */
static void change_status(struct domain *d, uint32_t ref, uint16_t set, uint16_t clear)
{
	const struct grant_state *g = &d->grant;
	unsigned size = g->version == 1 ? entry_size(g) : sizeof(grant_status_t);
	unsigned per_frame = PAGE_SIZE / size, off = ref % per_frame * size;
	mfn_t mfn = g->first + (g->version == 1 ? 0 : GRANT_FRAMES) + ref / per_frame;
	uint16_t old = get16(mem_frame(d->mem, mfn) + off);
	uint16_t word = (uint16_t)((old | set) & ~clear);

	if (word != old)
		mem_write_frame(d->mem, mfn, off, &word, 2);
}

/* The guest is shown no more access than the pins that are left need. */
static void reduce_status(struct domain *d, uint32_t ref, bool readonly)
{
	uint32_t pin = d->grant.active[ref].pin;
	uint16_t clear = pin != 0 ? 0 : GTF_reading;

	if (!readonly && !(pin & PIN_WRITERS))
		clear |= GTF_writing;
	if (clear != 0)
		change_status(d, ref, 0, clear);
}

/* Does the entry allow it?  One that is pinned need not: GE1. */
static int check_entry(const struct domain *d, uint32_t ref, const struct entry *e,
	uint16_t who, bool readonly, bool map)
{
	unsigned kind = e->flags & (GTF_type_mask | (map ? GTF_sub_page : 0));
	bool transitive = d->grant.version == 2 && !map && kind == GTF_transitive;

	if (d->grant.active[ref].pin == 0 &&
	    ((kind != GTF_permit_access && !transitive) || e->domid != who))
		return GNTST_general_error;
	return !readonly && (e->flags & GTF_readonly) ? GNTST_general_error : GNTST_okay;
}

/* ---- copies ---- */

/* A grant of somebody else's that is passed on: he has granted nothing. */
static int through(const struct entry *e)
{
	return e->trans_domid == 0 ? grant_of_dom0(e->trans_ref) : GNTST_general_error;
}

static int area_of(const struct domain *d, const struct entry *e, struct grant_area *a)
{
	bool sub_page = d->grant.version == 2 && (e->flags & GTF_sub_page);

	if (!is_guests(d, e->frame))
		return GNTST_bad_page;
	*a = (struct grant_area){ .mfn = e->frame, .len = PAGE_SIZE };
	if (sub_page) {
		a->off = e->off;
		a->len = e->len;
	}
	return GNTST_okay;
}

static int acquire(struct domain *d, uint32_t ref, const struct entry *e, uint16_t who,
	bool readonly, struct grant_area *a)
{
	const struct grant_active *act = &d->grant.active[ref];
	int rc = check_entry(d, ref, e, who, readonly, false);

	if (rc != GNTST_okay)
		return rc;
	if (d->grant.version == 2 && (e->flags & GTF_type_mask) == GTF_transitive)
		rc = through(e);
	else
		rc = area_of(d, e, a);
	if (rc == GNTST_okay && act->pin != 0 && act->mfn != a->mfn)
		rc = GNTST_general_error;
	if (act->pin != 0) /* it was mapped as a whole */
		*a = (struct grant_area){ .mfn = act->mfn, .len = PAGE_SIZE };
	reduce_status(d, ref, readonly);
	return rc;
}

int grant_for_copy(struct domain *d, uint32_t ref, uint16_t who, bool write,
	struct grant_area *a)
{
	const struct grant_active *act;
	uint32_t incr = write ? PIN_HOST_WRITE : PIN_HOST_READ;
	struct entry e;
	int rc = GNTST_okay;

	if (ref >= grant_entries(&d->grant))
		return GNTST_bad_gntref;
	act = &d->grant.active[ref];
	if (act->pin != 0 && (act->domid != who || (act->pin & incr << 7)))
		return GNTST_general_error;
	read_entry(d, ref, &e);
	if (act->pin == 0 || (write && !(act->pin & PIN_WRITERS))) {
		rc = acquire(d, ref, &e, who, !write, a);
	} else {
		*a = (struct grant_area){ .mfn = act->mfn, .len = PAGE_SIZE };
		if (d->grant.version == 2 && (e.flags & GTF_type_mask) == GTF_transitive)
			rc = through(&e);
	}
	if (rc == GNTST_okay && !is_guests(d, a->mfn))
		return GNTST_bad_page;
	return rc == GNTST_okay && write && !is_writable(d, a->mfn) ? GNTST_general_error : rc;
}

/* ---- mappings ---- */

static int pin_first(struct domain *d, uint32_t ref, uint16_t who, bool readonly)
{
	struct grant_active *act = &d->grant.active[ref];
	struct entry e;
	int rc;

	read_entry(d, ref, &e);
	rc = check_entry(d, ref, &e, who, readonly, true);
	if (rc != GNTST_okay)
		return rc;
	change_status(d, ref, (uint16_t)(GTF_reading | (readonly ? 0 : GTF_writing)), 0);
	if (act->pin != 0)
		return GNTST_okay;
	if (!is_guests(d, e.frame)) {
		reduce_status(d, ref, readonly);
		return GNTST_bad_page;
	}
	act->domid = who;
	act->mfn = e.frame;
	return GNTST_okay;
}

int grant_pin(struct domain *d, uint32_t ref, uint16_t who, uint32_t incr, bool readonly,
	mfn_t *mfn)
{
	struct grant_active *act;
	int rc;

	if (ref >= grant_entries(&d->grant))
		return GNTST_bad_gntref;
	act = &d->grant.active[ref];
	if (act->pin != 0 && (act->domid != who || (act->pin & incr << 7)))
		return GNTST_general_error;
	if (act->pin == 0 || (!readonly && !(act->pin & PIN_WRITERS))) {
		rc = pin_first(d, ref, who, readonly);
		if (rc != GNTST_okay)
			return rc;
	}
	if (act->pin == 0) {
		d->grant.pinned++;
		memory_hold(d, act->mfn);
	}
	act->pin += incr;
	*mfn = act->mfn;
	if (readonly || is_writable(d, act->mfn))
		return GNTST_okay;
	grant_unpin(d, ref, incr, readonly);
	return GNTST_general_error;
}

void grant_unpin(struct domain *d, uint32_t ref, uint32_t incr, bool readonly)
{
	struct grant_active *act = &d->grant.active[ref];

	act->pin -= incr;
	reduce_status(d, ref, readonly);
	if (act->pin == 0) {
		d->grant.pinned--;
		memory_release(d, act->mfn);
	}
}

int grant_seed(struct domain *d, uint32_t ref, mfn_t mfn)
{
	const struct grant_entry_v1 e = { .flags = GTF_permit_access, .frame = (uint32_t)mfn };

	mem_write_frame(d->mem, d->grant.first, ref * sizeof e, &e, sizeof e);
	return grant_pin(d, ref, 0, PIN_HOST_WRITE, false, &mfn) == GNTST_okay ? 0 : -1;
}
