/*
 * grant_map.c - a guest that maps what it has granted to itself: map_grant_ref,
 * unmap_grant_ref, unmap_and_replace.
 *
 * A mapping is a page-table entry of the guest's that we write, and a pin of the
 * grant's entry.  It is named by a handle; which one is next follows from the
 * calls before, by Xen's list of free handles: taken at the head, put back at the
 * tail, the last one never given out.  The entry may be overwritten by the guest
 * without our knowing; then only unmapping it by its address fails.
 */
#include "xen/strict.h"

#include <stdlib.h>

#include <xen/grant_table.h>

#include "xen/guestcopy.h"
#include "xen/mmu.h"

enum { PART = GNTMAP_host_map | GNTMAP_device_map, PTE_AVAIL_SHIFT = 9 };

/* ---- handles ---- */

static uint32_t more_handles(struct grant_state *g)
{
	uint32_t first = g->track_limit;
	struct maptrack *t;

	if (first == MAPTRACK_MAX)
		return MAPTRACK_NONE;
	t = realloc(g->track, (first + MAPTRACK_PAGE) * sizeof *t);
	if (t == NULL)
		abort(); /* a few MB at most: a guest must not notice that they are not there */
	g->track = t;
	for (uint32_t i = first; i < first + MAPTRACK_PAGE; i++)
		t[i] = (struct maptrack){ .ref = i + 1 };
	t[first + MAPTRACK_PAGE - 1].ref = g->track_head;
	if (g->track_tail == MAPTRACK_NONE)
		g->track_tail = first + MAPTRACK_PAGE - 1;
	g->track_head = first + 1;
	g->track_limit += MAPTRACK_PAGE;
	return first;
}

static uint32_t take_handle(struct grant_state *g)
{
	uint32_t handle = g->track_head;

	if (handle == MAPTRACK_NONE || g->track[handle].ref == MAPTRACK_NONE)
		return more_handles(g);
	g->track_head = g->track[handle].ref;
	return handle;
}

static void put_handle(struct grant_state *g, uint32_t handle)
{
	g->track[handle].flags = 0;
	g->track[handle].ref = MAPTRACK_NONE;
	g->track[g->track_tail].ref = handle;
	g->track_tail = handle;
}

/* ---- page-table entries ---- */

/* The machine address of the entry that is meant, 0: there is none. */
static uint64_t find_entry(struct vcpu *v, uint64_t addr, uint32_t flags)
{
	mfn_t mfn = addr >> PAGE_SHIFT;

	if (!(flags & GNTMAP_contains_pte))
		return is_guest_address(addr) ? mmu_l1_entry(v, addr) : 0;
	if (addr % 8 != 0 || !is_ram(v->d, mfn) || !(mem_frame_flags(v->d->mem, mfn) & FRAME_PT))
		return 0;
	return addr;
}

static uint64_t read_pte(struct domain *d, uint64_t maddr)
{
	return get64(mem_frame(d->mem, maddr >> PAGE_SHIFT) + (maddr & (PAGE_SIZE - 1)));
}

static int write_pte(struct domain *d, uint64_t maddr, uint64_t pte)
{
	if (d->strict != NULL)
		return strict_is(d, maddr >> PAGE_SHIFT, STRICT_L1) &&
			strict_update(d, maddr, pte, false) == 0 ? GNTST_okay : GNTST_general_error;
	mem_write_frame(d->mem, maddr >> PAGE_SHIFT, maddr & (PAGE_SIZE - 1), &pte, 8);
	return GNTST_okay;
}

static int create_mapping(struct vcpu *v, uint64_t addr, mfn_t mfn, uint32_t flags)
{
	uint64_t maddr = find_entry(v, addr, flags);
	uint64_t pte = mfn << PAGE_SHIFT | PTE_P | PTE_A | PTE_D | PTE_NX;

	if (maddr == 0)
		return GNTST_general_error;
	if (flags & GNTMAP_application_map)
		pte |= PTE_US;
	if (!(flags & GNTMAP_readonly))
		pte |= PTE_RW;
	pte |= (uint64_t)(flags >> _GNTMAP_guest_avail0 & 7) << PTE_AVAIL_SHIFT;
	return write_pte(v->d, maddr, pte);
}

/* Puts `new_addr`'s entry in the place of the mapping, and nothing in its own. */
static int replace_mapping(struct vcpu *v, uint64_t addr, mfn_t mfn, uint64_t new_addr,
	uint32_t flags)
{
	struct domain *d = v->d;
	uint64_t pte = 0, old, maddr, want = PTE_P | (flags & GNTMAP_readonly ? 0 : PTE_RW);

	if (new_addr != 0) {
		maddr = flags & GNTMAP_contains_pte ? 0 : find_entry(v, new_addr, 0);
		if (maddr == 0)
			return GNTST_general_error;
		pte = read_pte(d, maddr);
		if (write_pte(d, maddr, 0) != GNTST_okay)
			return GNTST_general_error;
	}
	maddr = find_entry(v, addr, flags);
	if (maddr == 0)
		return GNTST_general_error;
	old = read_pte(d, maddr);
	if (PTE_MFN(old) != mfn || ((old ^ want) & (PTE_P | PTE_RW)))
		return GNTST_general_error;
	return write_pte(d, maddr, pte);
}

/* ---- map ---- */

uint32_t grant_pins_of(uint32_t flags)
{
	bool readonly = flags & GNTMAP_readonly;
	uint32_t incr = 0;

	if (flags & GNTMAP_host_map)
		incr += readonly ? PIN_HOST_READ : PIN_HOST_WRITE;
	if (flags & GNTMAP_device_map)
		incr += readonly ? PIN_DEV_READ : PIN_DEV_WRITE;
	return incr;
}

static int map_self(struct vcpu *v, struct gnttab_map_grant_ref *op, uint32_t incr)
{
	bool readonly = op->flags & GNTMAP_readonly;
	mfn_t mfn;
	int rc = grant_pin(v->d, op->ref, DOMID, incr, readonly, &mfn);

	if (rc != GNTST_okay)
		return rc;
	if (op->flags & GNTMAP_host_map)
		rc = create_mapping(v, op->host_addr, mfn, op->flags);
	if (rc == GNTST_okay)
		op->dev_bus_addr = mfn << PAGE_SHIFT;
	else
		grant_unpin(v->d, op->ref, incr, readonly);
	return rc;
}

void grant_map(struct vcpu *v, void *arg)
{
	struct gnttab_map_grant_ref *op = arg;
	struct grant_state *g = &v->d->grant;
	uint32_t incr = grant_pins_of(op->flags), handle;
	int whose = op->dom == DOMID_SELF ? -1 : grant_domain(op->dom);

	op->status = incr == 0 ? GNTST_bad_gntref : whose < 0 ? GNTST_bad_domain : GNTST_okay;
	if (op->status != GNTST_okay)
		return;
	handle = take_handle(g);
	if (handle == MAPTRACK_NONE) {
		op->status = GNTST_no_space;
		return;
	}
	op->status = (int16_t)(whose == 0 ? grant_of_dom0(op->ref) : map_self(v, op, incr));
	if (op->status != GNTST_okay) {
		put_handle(g, handle);
		return;
	}
	op->handle = handle;
	g->track[handle] = (struct maptrack){ .ref = op->ref, .flags = (uint16_t)op->flags };
}

/* ---- unmap ---- */

/* What of a mapping goes now. */
struct unmap {
	uint64_t host_addr, dev_bus_addr, new_addr;
	uint32_t handle;
};

static int unmap(struct vcpu *v, const struct unmap *u)
{
	struct grant_state *g = &v->d->grant;
	struct maptrack *t = u->handle < g->track_limit ? &g->track[u->handle] : NULL;
	uint32_t flags, done = 0, ref;
	mfn_t mfn;

	if (t == NULL || t->flags == 0)
		return GNTST_bad_handle;
	flags = t->flags;
	ref = t->ref;
	mfn = g->active[ref].mfn;
	if (u->dev_bus_addr != 0 && (flags & GNTMAP_device_map)) {
		if (u->dev_bus_addr != mfn << PAGE_SHIFT)
			return GNTST_bad_dev_addr;
		done |= GNTMAP_device_map;
	}
	if (u->host_addr != 0 && (flags & GNTMAP_host_map)) {
		int rc = replace_mapping(v, u->host_addr, mfn, u->new_addr, flags);

		if (rc != GNTST_okay)
			return rc;
		done |= GNTMAP_host_map;
	}
	t->flags &= (uint16_t)~done;
	if (!(t->flags & PART))
		put_handle(g, u->handle);
	done |= flags & GNTMAP_readonly;
	if (done & PART)
		grant_unpin(v->d, ref, grant_pins_of(done), flags & GNTMAP_readonly);
	return GNTST_okay;
}

void grant_unmap(struct vcpu *v, void *arg)
{
	struct gnttab_unmap_grant_ref *op = arg;

	op->status = (int16_t)unmap(v, &(struct unmap){ .host_addr = op->host_addr,
		.dev_bus_addr = op->dev_bus_addr, .handle = op->handle });
}

void grant_unmap_and_replace(struct vcpu *v, void *arg)
{
	struct gnttab_unmap_and_replace *op = arg;

	op->status = (int16_t)unmap(v, &(struct unmap){ .host_addr = op->host_addr,
		.new_addr = op->new_addr, .handle = op->handle });
}
