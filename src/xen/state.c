/*
 * state.c - save and load of the hypervisor's whole state, in one order.
 * Frames and vCPU have their own; the format is versioned by its container.
 */
#include "xen/internal.h"

#include <stdlib.h>
#include <string.h>

static void save(const struct domain *d, struct wbuf *w, bool digest)
{
	trap_save(&d->trap, w);
	seg_save(&d->seg, w);
	ctl_save(&d->ctl, w);
	area_save(&d->area, w);
	timer_save(&d->timer, w);
	evtchn_save(&d->ev, w);
	grant_save(&d->grant, w);
	console_save(&d->con, w);
	pin_save(&d->pin, w);
	wbuf_u64(w, d->store_ring);
	wbuf_u8(w, d->blocked);
	wbuf_u8(w, d->check_upcall);
	wbuf_u64(w, d->polled);
	wbuf_u64(w, d->stuck_at);
	wbuf_u32(w, d->stuck);
	xs_save(d->store, w);
	bus_save(d, w, digest);
}

void xen_save(const struct domain *d, struct wbuf *w)
{
	save(d, w, false);
}

void xen_save_digest(const struct domain *d, struct wbuf *w)
{
	save(d, w, true);
}

/* Frames that later code dereferences without looking must exist. */
static bool frames_ok(const struct domain *d)
{
	for (unsigned i = 0; i < GDT_FRAMES; i++)
		if (d->seg.gdt_entries > i * 512 && !is_ram(d, d->seg.gdt_mfn[i]))
			return false;
	for (unsigned i = 0; i < GRANT_FRAMES; i++)
		if (mem_frame(d->mem, d->grant.first + i) == NULL)
			return false;
	return mem_frame(d->mem, d->area.shared_info) != NULL &&
		mem_frame(d->mem, d->area.info_mfn) != NULL &&
		is_ram(d, d->con.ring) && is_ram(d, d->store_ring);
}

int xen_load(struct domain *d, struct rbuf *r)
{
	if (trap_load(&d->trap, r) < 0 || seg_load_state(&d->seg, r) < 0 ||
	    ctl_load(&d->ctl, r) < 0 || area_load(&d->area, r) < 0 ||
	    timer_load(&d->timer, r) < 0 || evtchn_load(&d->ev, r) < 0 ||
	    grant_load(&d->grant, r) < 0 || console_load(&d->con, r) < 0 ||
	    pin_load(&d->pin, r) < 0)
		return -1;
	d->store_ring = rbuf_u64(r);
	d->blocked = rbuf_u8(r) != 0;
	d->check_upcall = rbuf_u8(r) != 0;
	d->polled = rbuf_u64(r);
	d->stuck_at = rbuf_u64(r);
	d->stuck = rbuf_u32(r);
	if (r->bad || !frames_ok(d) || xs_load(d->store, r) < 0 ||
	    bus_load(d, r) < 0)
		return -1;
	ctl_arm(d);
	d->due = 0;
	d->ended = RUNNING;
	return 0;
}

enum { SAVE_VERSION = 1 };

void domain_save(struct domain *d, struct wbuf *w)
{
	uint64_t pages = mem_all_pages(d->mem);
	uint8_t *pt = malloc((pages + 7) / 8);

	if (pt == NULL) {
		w->bad = true;
		return;
	}
	wbuf_u16(w, SAVE_VERSION);
	wbuf_u64(w, pages);
	wbuf_u64(w, mem_root(d->mem, MEM_KERNEL));
	wbuf_u64(w, mem_root(d->mem, MEM_USER));
	wbuf_u64(w, d->console_bytes);
	mem_pt_bits(d->mem, pt);
	wbuf_put(w, pt, (pages + 7) / 8);
	free(pt);
	cpu_save(d->cpu, w);
	xen_save(d, w);
}

/* What is not state, as it is at a moment 0. */
static void forget_progress(struct domain *d)
{
	d->kicked = d->stop_asked = d->interrupted = d->unfinished = d->in_multicall = false;
	d->moment_at = SOURCE_NEVER;
	d->unfinished_since = 0;
	memset(&d->call, 0, sizeof d->call);
	d->crash[0] = '\0';
}

int domain_load(struct domain *d, struct rbuf *r)
{
	uint64_t pages = mem_all_pages(d->mem), kernel, user;
	uint8_t *pt = calloc(1, (pages + 7) / 8);
	int rc = -1;

	if (pt == NULL || rbuf_u16(r) != SAVE_VERSION || rbuf_u64(r) != pages)
		goto out;
	kernel = rbuf_u64(r);
	user = rbuf_u64(r);
	d->console_bytes = rbuf_u64(r);
	rbuf_get(r, pt, (pages + 7) / 8);
	forget_progress(d);
	mem_restore_end(d->mem, kernel, user, pt);
	if (!r->bad && cpu_load(d->cpu, r) == 0 && xen_load(d, r) == 0 && r->pos == r->len)
		rc = 0;
	d->loaded_at = regs_of(d)->icount;
out:
	free(pt);
	return rc;
}

uint64_t domain_console_bytes(const struct domain *d)
{
	return d->console_bytes;
}
