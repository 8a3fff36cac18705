/*
 * grant.c - attacks by event queues and grants: pages of garbage handed to the
 * hypervisor, queues that go round in circles, mappings of everything everywhere,
 * tables that change their form while they are in use.
 */
#include "kern.h"

#include <xen/event_channel.h>
#include <xen/grant_table.h>

enum { DOM = 1 };

static uint8_t arg_page[PAGE] __attribute__((aligned(PAGE)));

static int64_t event_op(uint32_t cmd)
{
	return hc(__HYPERVISOR_event_channel_op, cmd, addr(arg_page), 0, 0, 0);
}

static int64_t grant_op(uint32_t cmd, uint64_t n)
{
	return hc(__HYPERVISOR_grant_table_op, cmd, addr(arg_page), n, 0, 0);
}

static void *pool_page(void) { return pool[rnd_below(POOL_PAGES - 64) + 64]; }

/* A frame: of the pool, or (wild) anything. */
static uint64_t frame(int wild)
{
	return wild && rnd_below(2) ? rnd_wild() : mfn_of(pool_page());
}

/* ---- event queues ---- */

static void *control;

static void make_queues(int wild)
{
	struct evtchn_init_control *c = (void *)arg_page;
	struct evtchn_expand_array *e = (void *)arg_page;

	control = pool_page();
	c->control_gfn = wild && rnd_below(2) ? rnd_wild() : mfn_of(control);
	c->offset = (uint32_t)(rnd_below(4) ? rnd_below(500) * 8 : rnd_wild());
	c->vcpu = rnd_below(8) == 0;
	event_op(EVTCHNOP_init_control);
	for (unsigned i = (unsigned)rnd_below(6); i > 0; i--) {
		e->array_gfn = rnd_below(8) == 0 ? mfn_of(control) : frame(wild);
		event_op(EVTCHNOP_expand_array);
	}
}

static void random_event_op(void)
{
	static const uint8_t cmd[] = { EVTCHNOP_send, EVTCHNOP_send, EVTCHNOP_send, EVTCHNOP_unmask,
		EVTCHNOP_set_priority, EVTCHNOP_bind_ipi, EVTCHNOP_close, EVTCHNOP_bind_interdomain,
		EVTCHNOP_alloc_unbound, EVTCHNOP_bind_virq, EVTCHNOP_status, EVTCHNOP_expand_array };
	uint32_t *w = (void *)arg_page;

	for (unsigned k = 0; k < 6; k++)
		w[k] = (uint32_t)(rnd_below(8) ? rnd_below(80) : rnd_wild());
	if (rnd_below(2))
		w[0] = rnd_below(2) ? 3 + (uint32_t)rnd_below(8) : DOMID_SELF;
	event_op(cmd[rnd_below(sizeof(cmd))]);
}

/* Words, heads and the ready bits become anything. */
static void spoil_queues(void)
{
	rnd_fill((uint8_t *)control + rnd_below(PAGE - 256), 256);
	rnd_fill(pool_page(), PAGE);
	if (rnd_below(2))
		memset(pool_page(), 0, PAGE);
	if (rnd_below(2))
		memset(control, 0, PAGE);
}

static void queues(int wild)
{
	for (unsigned i = 0; i < (param ? param : 300); i++) {
		struct evtchn_reset *r = (void *)arg_page;

		make_queues(wild);
		for (unsigned k = 0; k < 200; k++) {
			random_event_op();
			if (k % 16 == 0)
				spoil_queues();
		}
		if (rnd_below(2) == 0)
			continue;
		r->dom = DOMID_SELF;
		check(event_op(EVTCHNOP_reset) == 0, "reset");
	}
}

static void event_queues(void) { queues(0); }
static void event_queues_wild(void) { queues(1); }

/* ---- grants ---- */

static uint64_t table[64];
static uint32_t version = 1;

static void setup(void)
{
	struct gnttab_setup_table *t = (void *)arg_page;

	t->dom = DOMID_SELF;
	t->nr_frames = 4;
	*(uint64_t **)&t->frame_list = table;
	check(grant_op(GNTTABOP_setup_table, 1) == 0, "setup_table");
	for (unsigned i = 0; i < 4; i++)
		map(ROOM + i * PAGE, table[i] << 12 | P | RW | A | D);
}

static void fill_entries(int wild)
{
	for (unsigned i = 0; i < 64; i++) {
		uint64_t ref = rnd_below(600);
		uint16_t flags = (uint16_t)(rnd_below(4) ? GTF_permit_access : rnd() & 0x1ff);

		if (version == 1) {
			struct grant_entry_v1 *e = (void *)(ROOM + ref * sizeof(*e));

			*e = (struct grant_entry_v1){ flags, DOM, (uint32_t)frame(wild) };
		} else {
			union grant_entry_v2 *e = (void *)(ROOM + ref * sizeof(*e));

			e->full_page.hdr.flags = flags;
			e->full_page.hdr.domid = DOM;
			e->full_page.pad0 = (uint32_t)rnd();
			e->full_page.frame = frame(wild);
		}
	}
}

/* Where a mapping goes: addresses 64 to 127 pages into ROOM, or their entries. */
static void random_map(int wild)
{
	struct gnttab_map_grant_ref *op = (void *)arg_page;
	unsigned n = 1 + (unsigned)rnd_below(8);

	for (unsigned i = 0; i < n; i++) {
		uint64_t va = ROOM + (64 + rnd_below(64)) * PAGE, maddr = 0;

		read_pte(va, 1, &maddr);
		op[i] = (struct gnttab_map_grant_ref){ .host_addr = va, .dom = DOM,
			.ref = (uint32_t)rnd_below(600), .flags = GNTMAP_host_map };
		if (rnd_below(2))
			op[i].flags |= (uint32_t)rnd() & (GNTMAP_device_map | GNTMAP_readonly);
		if (rnd_below(4) == 0) {
			op[i].flags |= GNTMAP_contains_pte;
			op[i].host_addr = maddr;
		}
		if (wild && rnd_below(4) == 0)
			op[i].host_addr = rnd_wild();
		if (wild && rnd_below(4) == 0)
			op[i].flags = (uint32_t)rnd();
	}
	grant_op(GNTTABOP_map_grant_ref, n);
	for (unsigned i = 0; i < n; i++)
		if (op[i].status == 0 && rnd_below(2) && !(op[i].flags & GNTMAP_contains_pte) &&
		    op[i].host_addr - ROOM < 128 * PAGE && (op[i].flags & GNTMAP_host_map))
			(void)*(volatile uint8_t *)op[i].host_addr; /* must not fault */
}

static void random_unmap(void)
{
	struct gnttab_unmap_grant_ref *op = (void *)arg_page;
	struct gnttab_unmap_and_replace *r = (void *)arg_page;
	uint64_t va = ROOM + (64 + rnd_below(64)) * PAGE, maddr = 0;

	read_pte(va, 1, &maddr);
	memset(arg_page, 0, 64);
	op->host_addr = rnd_below(4) ? va : maddr;
	op->handle = (uint32_t)(rnd_below(8) ? rnd_below(300) : rnd_wild());
	if (rnd_below(4) == 0) {
		r->new_addr = rnd_below(2) ? ROOM + (64 + rnd_below(64)) * PAGE : rnd_wild();
		grant_op(GNTTABOP_unmap_and_replace, 1);
		return;
	}
	op->dev_bus_addr = rnd_below(2) ? 0 : mfn_of(pool_page()) << 12;
	grant_op(GNTTABOP_unmap_grant_ref, 1);
}

static void random_copy(int wild)
{
	struct gnttab_copy *op = (void *)arg_page;

	for (unsigned i = 0; i < 8; i++) {
		memset(&op[i], 0, sizeof(op[i]));
		op[i].flags = (uint16_t)rnd_below(4);
		op[i].source.domid = op[i].dest.domid = rnd_below(8) ? DOMID_SELF : (domid_t)rnd_below(3);
		op[i].source.u.gmfn = rnd_below(2) ? frame(wild) : rnd_below(600);
		op[i].dest.u.gmfn = rnd_below(2) ? frame(wild) : rnd_below(600);
		op[i].source.offset = (uint16_t)rnd_below(4200);
		op[i].dest.offset = (uint16_t)rnd_below(4200);
		op[i].len = (uint16_t)(rnd_below(2) ? rnd_below(200) : rnd());
	}
	grant_op(GNTTABOP_copy, 8);
}

static void random_table_op(void)
{
	struct gnttab_swap_grant_ref *s = (void *)arg_page;
	struct gnttab_cache_flush *f = (void *)arg_page;
	uint32_t *w = (void *)arg_page;

	switch (rnd_below(3)) {
	case 0:
		s->ref_a = (uint32_t)rnd_below(700);
		s->ref_b = (uint32_t)rnd_below(700);
		grant_op(GNTTABOP_swap_grant_ref, 1);
		return;
	case 1:
		f->a.dev_bus_addr = rnd_wild();
		f->offset = (uint16_t)rnd();
		f->length = (uint16_t)rnd();
		f->op = (uint32_t)rnd_below(8);
		grant_op(GNTTABOP_cache_flush, 1);
		return;
	default:
		w[0] = (uint32_t)rnd_below(4);
		grant_op(GNTTABOP_set_version, 1);
		if (w[0] == 1 || w[0] == 2)
			version = w[0];
	}
}

static void grant_everything(int wild)
{
	setup();
	for (unsigned i = 64; i < 128; i++)
		map(ROOM + i * PAGE, 0);
	for (unsigned i = 0; i < (param ? param : 4000); i++) {
		if (i % 8 == 0)
			fill_entries(wild);
		switch (rnd_below(8)) {
		case 0:
		case 1:
		case 2:
			random_map(wild);
			break;
		case 3:
		case 4:
			random_unmap();
			break;
		case 5:
		case 6:
			random_copy(wild);
			break;
		default:
			random_table_op();
		}
	}
}

static void grant_maps(void) { grant_everything(0); }
static void grant_maps_wild(void) { grant_everything(1); }

/* Copies and maps in lists without end give way to a stop. */
static void grant_long(void)
{
	struct gnttab_copy *op = new_page();

	alias_room(mfn_of(op), P | RW | US | A | D);
	for (unsigned i = 0; i < PAGE / sizeof(*op); i++) {
		op[i].source.u.gmfn = op[i].dest.u.gmfn = mfn_of(pool[POOL_PAGES - 1]);
		op[i].source.domid = op[i].dest.domid = DOMID_SELF;
		op[i].len = PAGE;
	}
	for (;;)
		hc(__HYPERVISOR_grant_table_op, param ? GNTTABOP_map_grant_ref : GNTTABOP_copy, ROOM,
			0x7fffffff, 0, 0);
}

const struct attack grant_attacks[] = {
	{ "event-queues", event_queues },
	{ "event-queues-wild", event_queues_wild },
	{ "grant-maps", grant_maps },
	{ "grant-maps-wild", grant_maps_wild },
	{ "grant-long", grant_long },
	{ NULL, NULL },
};
