/*
 * test_xenbus.c - the walk of a disk through xenbus states, line by line as on a
 * real Xen.
 *
 * `walk` are lines of what passed through the xenstore ring of a Debian guest
 * there: IN is the guest's, OUT the store's; blanks between the brackets are NULs.
 * What the guest asked about features is left out, for ours offers others.  The
 * guest's lines are sent; replies, and apart from them watch events, must come
 * as they did there.  (Backends on a real Xen are processes, so how far an event
 * of theirs comes after a reply is chance.)
 */
#include "xen/bus.h"
#include "xen/internal.h"
#include "xen_machine.h"

#include <stdio.h>
#include <unistd.h>

#include <xen/event_channel.h>
#include <xen/grant_table.h>
#include <xen/io/xs_wire.h>

#include "dev/blk.h"

enum { SECTORS = 131072, RING_REF = 8, PORT = 8, RING_PFN = 50, LINE = 512 };
#define FRONT "device/vbd/51712"
#define BACK "/local/domain/0/backend/vbd/1/51712"
#define TOKEN "FFFFFFFF82BB0DA0"
#define STATE_TOKEN "FFFF8880058D5420"

static const char *const walk[] = {
	"IN DIRECTORY (device/vbd )",
	"OUT DIRECTORY (51712 )",
	"IN READ (" FRONT "/state )",
	"OUT READ (1)",
	"IN WATCH (device " TOKEN " )",
	"OUT WATCH (OK )",
	"OUT WATCH_EVENT (device " TOKEN " )",
	"IN READ (" FRONT "/backend-id )",
	"OUT READ (0)",
	"IN READ (" FRONT "/backend )",
	"OUT READ (" BACK ")",
	"IN READ (" FRONT "/virtual-device )",
	"OUT READ (51712)",
	"IN WATCH (" BACK "/state " STATE_TOKEN " )",
	"OUT WATCH (OK )",
	"OUT WATCH_EVENT (" BACK "/state " STATE_TOKEN " )",
	"IN READ (" BACK "/state )",
	"OUT READ (2)",
	"IN READ (" FRONT "/trusted )",
	"OUT READ (1)",
	"IN TRANSACTION_START ( )",
	"OUT TRANSACTION_START (3 )",
	"IN WRITE (" FRONT "/ring-ref 8)",
	"OUT WRITE (OK )",
	"IN WRITE (" FRONT "/event-channel 8)",
	"OUT WRITE (OK )",
	"IN WRITE (" FRONT "/protocol x86_64-abi)",
	"OUT WRITE (OK )",
	"IN TRANSACTION_END (T )",
	"OUT WATCH_EVENT (" FRONT "/ring-ref " TOKEN " )",
	"OUT WATCH_EVENT (" FRONT "/event-channel " TOKEN " )",
	"OUT WATCH_EVENT (" FRONT "/protocol " TOKEN " )",
	"OUT TRANSACTION_END (OK )",
	"IN TRANSACTION_START ( )",
	"OUT TRANSACTION_START (4 )",
	"IN READ (" FRONT "/state )",
	"OUT READ (1)",
	"IN WRITE (" FRONT "/state 3)",
	"OUT WRITE (OK )",
	"IN TRANSACTION_END (T )",
	"OUT WATCH_EVENT (" FRONT "/state " TOKEN " )",
	"OUT TRANSACTION_END (OK )",
	"IN DIRECTORY (" FRONT "/ring-ref )",
	"OUT DIRECTORY ()",
	"IN DIRECTORY (" FRONT "/state )",
	"OUT DIRECTORY ()",
	"OUT WATCH_EVENT (" BACK "/state " STATE_TOKEN " )",
	"IN READ (" BACK "/state )",
	"OUT READ (4)",
	"IN READ (" BACK "/sectors )",
	"OUT READ (131072)",
	"IN READ (" BACK "/info )",
	"OUT READ (0)",
	"IN READ (" BACK "/sector-size )",
	"OUT READ (512)",
	"IN READ (" BACK "/physical-sector-size )",
	"OUT READ (512)",
	"IN READ (" BACK "/feature-flush-cache )",
	"OUT READ (1)",
	"IN READ (" BACK "/feature-discard )",
	"OUT READ (1)",
	"IN READ (" BACK "/discard-granularity )",
	"OUT READ (4096)",
	"IN READ (" BACK "/discard-alignment )",
	"OUT READ (0)",
	"IN READ (" BACK "/discard-secure )",
	"OUT READ (0)",
	"IN READ (" BACK "/feature-max-indirect-segments )",
	"OUT READ (256)",
	"IN TRANSACTION_START ( )",
	"OUT TRANSACTION_START (5 )",
	"IN READ (" FRONT "/state )",
	"OUT READ (3)",
	"IN WRITE (" FRONT "/state 4)",
	"OUT WRITE (OK )",
	"IN TRANSACTION_END (T )",
	"OUT WATCH_EVENT (" FRONT "/state " TOKEN " )",
	"OUT TRANSACTION_END (OK )",
	"IN DIRECTORY (" FRONT "/state )",
	"OUT DIRECTORY ()",
	/* The guest powers off. */
	"IN TRANSACTION_START ( )",
	"OUT TRANSACTION_START (10 )",
	"IN READ (" FRONT "/state )",
	"OUT READ (4)",
	"IN WRITE (" FRONT "/state 5)",
	"OUT WRITE (OK )",
	"IN TRANSACTION_END (T )",
	"OUT WATCH_EVENT (" FRONT "/state " TOKEN " )",
	"OUT TRANSACTION_END (OK )",
	"IN DIRECTORY (" FRONT "/state )",
	"OUT DIRECTORY ()",
	"OUT WATCH_EVENT (" BACK "/state " STATE_TOKEN " )",
	"IN READ (" BACK "/state )",
	"OUT READ (5)",
	"IN TRANSACTION_START ( )",
	"OUT TRANSACTION_START (11 )",
	"IN READ (" FRONT "/state )",
	"OUT READ (5)",
	"IN WRITE (" FRONT "/state 6)",
	"OUT WRITE (OK )",
	"IN TRANSACTION_END (T )",
	"OUT WATCH_EVENT (" FRONT "/state " TOKEN " )",
	"OUT TRANSACTION_END (OK )",
	"OUT WATCH_EVENT (" BACK "/state " STATE_TOKEN " )",
	"IN READ (" BACK "/state )",
	"OUT READ (6)",
};
enum { LINES = sizeof walk / sizeof *walk };

static const struct {
	const char *name;
	uint32_t type;
} types[] = {
	{ "DIRECTORY", XS_DIRECTORY }, { "READ", XS_READ }, { "WATCH", XS_WATCH },
	{ "WRITE", XS_WRITE }, { "WATCH_EVENT", XS_WATCH_EVENT }, { "ERROR", XS_ERROR },
	{ "TRANSACTION_START", XS_TRANSACTION_START }, { "TRANSACTION_END", XS_TRANSACTION_END },
};

struct world {
	struct domain *d;
	struct blk *b;
	char base[32];
	uint32_t tx;             /* the transaction under way, or 0 */
	char event[LINES][LINE]; /* come, in order */
	unsigned events, seen;
};

static struct xenstore_domain_interface *ring(struct world *w)
{
	return (void *)mem_frame(w->d->mem, MFN(XS_PFN));
}

static void put_byte(struct world *w, uint8_t b)
{
	struct xenstore_domain_interface *r = ring(w);

	r->req[MASK_XENSTORE_IDX(r->req_prod++)] = (char)b;
}

/* "IN TYPE (payload)" */
static void send(struct world *w, const char *line)
{
	const char *open = strchr(line, '('), *end = strrchr(line, ')');
	struct xsd_sockmsg h = { .tx_id = w->tx, .len = (uint32_t)(end - open - 1) };

	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (strlen(types[i].name) == (size_t)(open - line - 4) &&
			strncmp(types[i].name, line + 3, strlen(types[i].name)) == 0)
			h.type = types[i].type;
	assert_int_not_equal(h.type, 0);
	for (size_t i = 0; i < sizeof h; i++)
		put_byte(w, ((uint8_t *)&h)[i]);
	for (const char *p = open + 1; p < end; p++)
		put_byte(w, *p == ' ' ? 0 : (uint8_t)*p);
	if (h.type == XS_TRANSACTION_END)
		w->tx = 0;
}

static uint8_t get_byte(struct world *w)
{
	struct xenstore_domain_interface *r = ring(w);

	if (r->rsp_prod == r->rsp_cons)
		xs_process(w->d->store);
	assert_int_not_equal(r->rsp_prod, r->rsp_cons);
	return (uint8_t)r->rsp[MASK_XENSTORE_IDX(r->rsp_cons++)];
}

/* As a line of the walk. */
static void receive(struct world *w, char line[LINE])
{
	struct xsd_sockmsg h;
	const char *type = "?";
	int at;

	for (size_t i = 0; i < sizeof h; i++)
		((uint8_t *)&h)[i] = get_byte(w);
	for (size_t i = 0; i < sizeof types / sizeof *types; i++)
		if (types[i].type == h.type)
			type = types[i].name;
	at = snprintf(line, LINE, "OUT %s (", type);
	assert_true(at + h.len + 2 < LINE);
	for (uint32_t i = 0; i < h.len; i++) {
		uint8_t b = get_byte(w);

		line[at++] = b == 0 ? ' ' : (char)b;
	}
	strcpy(line + at, ")");
	if (h.type == XS_TRANSACTION_START)
		w->tx = (uint32_t)strtoul(line + strlen("OUT TRANSACTION_START ("), NULL, 10);
}

static bool is(const char *line, const char *what)
{
	return strncmp(line, what, strlen(what)) == 0;
}

static void take_event(struct world *w)
{
	receive(w, w->event[w->events++]);
	assert_true(is(w->event[w->events - 1], "OUT WATCH_EVENT"));
}

static void expect_reply(struct world *w, const char *line)
{
	char got[LINE];

	for (;;) {
		receive(w, got);
		if (!is(got, "OUT WATCH_EVENT"))
			break;
		assert_true(w->events < LINES);
		strcpy(w->event[w->events++], got);
	}
	/* Transactions have numbers of their own. */
	if (!is(line, "OUT TRANSACTION_START") || !is(got, "OUT TRANSACTION_START"))
		assert_string_equal(got, line);
}

static void expect_event(struct world *w, const char *line)
{
	if (w->seen == w->events)
		take_event(w);
	assert_string_equal(w->event[w->seen++], line);
}

static void grant_ring(struct domain *d)
{
	struct evtchn_alloc_unbound op = { .dom = DOMID_SELF, .remote_dom = 0 };
	uint8_t *e = mem_frame(d->mem, d->grant.first) + RING_REF * 8;

	d->grant.nr_frames = 1;
	put16(e, GTF_permit_access);
	put16(e + 2, 0);
	put32(e + 4, (uint32_t)MFN(RING_PFN));
	do {
		assert_int_equal(call_arg(d, __HYPERVISOR_event_channel_op, EVTCHNOP_alloc_unbound,
			&op, sizeof op), 0);
		memcpy(&op, arg(d), sizeof op);
	} while (op.port < PORT);
	assert_int_equal(op.port, PORT);
}

static void make_disk(struct world *w)
{
	struct disk_overlay_params op = {0};
	struct blk_params p = { .id = 51712, .discard = true, .size = SECTORS * 512ul,
		.sector = 512, .physical = 512 };
	struct disk *disk;
	struct ttd_error e;
	int fd;

	strcpy(w->base, "/tmp/test_xenbus.XXXXXX");
	fd = mkstemp(w->base);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, SECTORS * 512l), 0);
	close(fd);
	disk = disk_open("xvda", w->base, DISK_OVERLAY, &e);
	assert_non_null(disk);
	assert_int_equal(disk_add_overlay(disk, &op, &e), 0);
	w->b = blk_create(disk, &p, &e);
	assert_non_null(w->b);
	assert_int_equal(bus_attach(w->d, blk_dev(w->b), &e), 0);
}

static struct world *setup(void)
{
	struct world *w = calloc(1, sizeof *w);

	w->d = machine_new();
	make_disk(w);
	grant_ring(w->d);
	return w;
}

static void teardown(struct world *w)
{
	bus_detach_all(w->d);
	machine_free(w->d);
	blk_destroy(w->b);
	unlink(w->base);
	free(w);
}

static void follow(struct world *w)
{
	for (unsigned i = 0; i < LINES; i++) {
		if (is(walk[i], "IN "))
			send(w, walk[i]);
		else if (is(walk[i], "OUT WATCH_EVENT"))
			expect_event(w, walk[i]);
		else
			expect_reply(w, walk[i]);
	}
	xs_process(w->d->store);
	assert_int_equal(ring(w)->rsp_prod, ring(w)->rsp_cons);
	assert_int_equal(w->seen, w->events);
}

static void test_walk(void **state)
{
	struct world *w = setup();

	(void)state;
	follow(w);
	teardown(w);
}

/* A guest that boots again: the same walk once more, from Closed. */
static void test_again(void **state)
{
	struct world *w = setup();

	(void)state;
	follow(w);
	assert_int_equal(xs_write(w->d->store, "/local/domain/1/" FRONT "/state", "1", 1), 0);
	xs_process(w->d->store);
	while (ring(w)->rsp_prod != ring(w)->rsp_cons)
		take_event(w);
	assert_string_equal(w->event[w->seen++], "OUT WATCH_EVENT (" FRONT "/state " TOKEN " )");
	assert_string_equal(w->event[w->seen++], "OUT WATCH_EVENT (" BACK "/state " STATE_TOKEN " )");
	assert_int_equal(w->seen, w->events);
	send(w, "IN READ (" BACK "/state )");
	expect_reply(w, "OUT READ (2)");
	teardown(w);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_walk), cmocka_unit_test(test_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
