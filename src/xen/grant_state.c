/*
 * grant_state.c - save and load of the grant table.  Only entries that are pinned
 * are written.  What is loaded is looked through as if an enemy had written it:
 * the guest's mappings have just the pins that there are.
 */
#include "xen/internal.h"

#include <stdlib.h>

void grant_save(const struct grant_state *g, struct wbuf *w)
{
	wbuf_u64(w, g->first);
	wbuf_u32(w, g->nr_frames);
	wbuf_u32(w, g->nr_status);
	wbuf_u8(w, g->version);
	wbuf_u32(w, g->pinned);
	for (uint32_t ref = 0, n = 0; n < g->pinned && ref < GRANT_ENTRIES; ref++) {
		if (g->active[ref].pin == 0)
			continue;
		n++;
		wbuf_u32(w, ref);
		wbuf_u32(w, g->active[ref].pin);
		wbuf_u16(w, g->active[ref].domid);
		wbuf_u64(w, g->active[ref].mfn);
	}
	wbuf_u32(w, g->track_limit);
	wbuf_u32(w, g->track_head);
	wbuf_u32(w, g->track_tail);
	for (uint32_t i = 0; i < g->track_limit; i++) {
		wbuf_u32(w, g->track[i].ref);
		wbuf_u16(w, g->track[i].flags);
	}
}

static int load_active(struct grant_state *g, struct rbuf *r)
{
	memset(g->active, 0, sizeof g->active);
	g->pinned = rbuf_u32(r);
	if (g->pinned > GRANT_ENTRIES)
		return -1;
	for (uint32_t i = 0; i < g->pinned && !r->bad; i++) {
		uint32_t ref = rbuf_u32(r);
		struct grant_active *act;

		if (ref >= grant_entries(g) || g->active[ref].pin != 0)
			return -1;
		act = &g->active[ref];
		act->pin = rbuf_u32(r);
		act->domid = rbuf_u16(r);
		act->mfn = rbuf_u64(r);
		if (act->pin == 0)
			return -1;
	}
	return r->bad ? -1 : 0;
}

/* The list of free handles: all of them, once each, from head to tail. */
static bool free_handles_ok(const struct grant_state *g)
{
	uint32_t free_ones = 0, at = g->track_head;

	if (g->track_limit == 0)
		return g->track_head == MAPTRACK_NONE && g->track_tail == MAPTRACK_NONE;
	for (uint32_t i = 0; i < g->track_limit; i++)
		free_ones += g->track[i].flags == 0;
	for (; free_ones > 0 && at < g->track_limit && g->track[at].flags == 0; free_ones--) {
		if (g->track[at].ref == MAPTRACK_NONE)
			return free_ones == 1 && at == g->track_tail;
		at = g->track[at].ref;
	}
	return false;
}

static int load_track(struct grant_state *g, struct rbuf *r)
{
	uint32_t limit = rbuf_u32(r);

	g->track_head = rbuf_u32(r);
	g->track_tail = rbuf_u32(r);
	g->track_limit = 0;
	free(g->track);
	g->track = NULL;
	if (r->bad || limit > MAPTRACK_MAX || limit % MAPTRACK_PAGE != 0 ||
	    r->len - r->pos < limit * UINT64_C(6))
		return -1;
	if (limit > 0 && (g->track = calloc(limit, sizeof *g->track)) == NULL)
		return -1;
	g->track_limit = limit;
	for (uint32_t i = 0; i < limit; i++) {
		struct maptrack *t = &g->track[i];

		t->ref = rbuf_u32(r);
		t->flags = rbuf_u16(r);
	}
	return free_handles_ok(g) ? 0 : -1;
}

/* Takes the pins of one mapping off those that are left; false: they are not there. */
static bool take_pins(const struct maptrack *t, uint32_t *left)
{
	uint32_t incr = grant_pins_of(t->flags);

	for (unsigned shift = 0; shift < 32; shift += 8)
		if ((incr >> shift & 0xff) > (left[t->ref] >> shift & 0xff))
			return false;
	left[t->ref] -= incr;
	return incr != 0;
}

static bool pins_ok(const struct grant_state *g)
{
	uint32_t *left = calloc(GRANT_ENTRIES, sizeof *left);
	bool ok = left != NULL;

	for (uint32_t ref = 0; ok && ref < GRANT_ENTRIES; ref++)
		if (g->active[ref].domid == DOMID)
			left[ref] = g->active[ref].pin;
	for (uint32_t i = 0; ok && i < g->track_limit; i++)
		if (g->track[i].flags != 0)
			ok = g->track[i].ref < GRANT_ENTRIES && take_pins(&g->track[i], left);
	for (uint32_t ref = 0; ok && ref < GRANT_ENTRIES; ref++)
		ok = left[ref] == 0;
	free(left);
	return ok;
}

int grant_load(struct grant_state *g, struct rbuf *r)
{
	g->first = rbuf_u64(r);
	g->nr_frames = rbuf_u32(r);
	g->nr_status = rbuf_u32(r);
	g->version = rbuf_u8(r);
	if (r->bad || g->nr_frames == 0 || g->nr_frames > GRANT_FRAMES ||
	    g->version < 1 || g->version > 2 ||
	    g->nr_status != (g->version == 1 ? 0 : grant_status_frames(g->nr_frames)))
		return -1;
	return load_active(g, r) < 0 || load_track(g, r) < 0 || !pins_ok(g) ? -1 : 0;
}
