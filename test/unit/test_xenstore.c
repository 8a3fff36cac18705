/*
 * test_xenstore.c - the xenstore through its ring, as a guest uses it, and
 * through the backend's functions.  Messages are written as text: strings of
 * a payload are separated by '|', which becomes NUL.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include <xen/io/xs_wire.h>

#include "util/bytes.h"
#include "xenstore/xenstore.h"

#define BACKEND "/local/domain/0/backend/vbd/1/51712"

struct guest {
	struct xenstore *xs;
	union {
		struct xenstore_domain_interface ring;
		uint8_t page[4096];
	};
	unsigned notified;
	uint32_t next_id;
	char got[8192];         /* last message received: "TYPE payload" */
	uint32_t got_type, got_id, got_tx, got_len;
};

static void ring_read(void *ctx, unsigned off, void *p, size_t n)
{
	struct guest *g = ctx;

	assert_true(off + n <= sizeof(g->page));
	memcpy(p, g->page + off, n);
}

static void ring_write(void *ctx, unsigned off, const void *p, size_t n)
{
	struct guest *g = ctx;

	assert_true(off + n <= sizeof(g->page));
	memcpy(g->page + off, p, n);
}

static void ring_notify(void *ctx)
{
	((struct guest *)ctx)->notified++;
}

static const struct xs_ring_ops ops = { ring_read, ring_write, ring_notify };

static struct guest *guest_new(void)
{
	struct guest *g = calloc(1, sizeof(*g));

	assert_non_null(g);
	g->xs = xs_create(1, &ops, g);
	assert_non_null(g->xs);
	return g;
}

static void guest_free(struct guest *g)
{
	xs_destroy(g->xs);
	free(g);
}

/* Puts n bytes into the request ring, running the store whenever it is full. */
static void put_bytes(struct guest *g, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n-- > 0) {
		if (g->ring.req_prod - g->ring.req_cons == XENSTORE_RING_SIZE)
			xs_process(g->xs);
		assert_true(g->ring.req_prod - g->ring.req_cons < XENSTORE_RING_SIZE);
		g->ring.req[MASK_XENSTORE_IDX(g->ring.req_prod++)] = (char)*b++;
	}
}

static void send_raw(struct guest *g, uint32_t type, uint32_t tx, const void *p, size_t n)
{
	struct xsd_sockmsg hdr = { type, ++g->next_id, tx, (uint32_t)n };

	put_bytes(g, &hdr, sizeof(hdr));
	put_bytes(g, p, n);
}

/* "a|b" is sent as "a\0b"; end the text with '|' for a final NUL. */
static void send(struct guest *g, uint32_t type, uint32_t tx, const char *text)
{
	char buf[8192];
	size_t n = strlen(text);

	for (size_t i = 0; i < n; i++)
		buf[i] = text[i] == '|' ? '\0' : text[i];
	send_raw(g, type, tx, buf, n);
	xs_process(g->xs);
}

static void get_bytes(struct guest *g, void *p, size_t n)
{
	uint8_t *b = p;

	while (n-- > 0) {
		if (g->ring.rsp_prod == g->ring.rsp_cons)
			xs_process(g->xs);
		assert_true(g->ring.rsp_prod != g->ring.rsp_cons);
		*b++ = (uint8_t)g->ring.rsp[MASK_XENSTORE_IDX(g->ring.rsp_cons++)];
	}
}

static bool pending(const struct guest *g)
{
	return g->ring.rsp_prod != g->ring.rsp_cons;
}

/* The next message; NULs of its payload shown as '|'. */
static const char *receive(struct guest *g)
{
	struct xsd_sockmsg hdr;

	get_bytes(g, &hdr, sizeof(hdr));
	assert_true(hdr.len <= XENSTORE_PAYLOAD_MAX);
	get_bytes(g, g->got, hdr.len);
	g->got[hdr.len] = '\0';
	g->got_type = hdr.type;
	g->got_id = hdr.req_id;
	g->got_tx = hdr.tx_id;
	g->got_len = hdr.len;
	for (uint32_t i = 0; i < hdr.len; i++) {
		if (g->got[i] == '\0')
			g->got[i] = '|';
	}
	return g->got;
}

static void expect(struct guest *g, uint32_t type, const char *text)
{
	receive(g);
	if (g->got_type != type || strcmp(g->got, text) != 0)
		fail_msg("got %u '%s' instead of %u '%s'", g->got_type, g->got, type, text);
}

/* Request and reply; nothing else may come. */
static void ask(struct guest *g, uint32_t type, uint32_t tx, const char *text, const char *want)
{
	bool error = want[0] == 'E' && want[1] != '\0' && want[strlen(want) - 1] == '|';

	send(g, type, tx, text);
	expect(g, error ? XS_ERROR : type, want);
	assert_int_equal(g->got_id, g->next_id);
	assert_int_equal(g->got_tx, tx);
	assert_false(pending(g));
}

static uint32_t start(struct guest *g)
{
	send(g, XS_TRANSACTION_START, 0, "|");
	receive(g);
	assert_int_equal(g->got_type, XS_TRANSACTION_START);
	return (uint32_t)strtoul(g->got, NULL, 10);
}

static void put(struct guest *g, const char *path, const char *value)
{
	assert_int_equal(xs_write(g->xs, path, value, strlen(value)), 0);
}

static void add_disk(struct guest *g)
{
	put(g, BACKEND "/frontend", "/local/domain/1/device/vbd/51712");
	put(g, BACKEND "/state", "2");
	put(g, "/local/domain/1/device/vbd/51712/backend", BACKEND);
	put(g, "/local/domain/1/device/vbd/51712/state", "1");
}

/* The start of the transcript of a real boot, request by request. */
static void test_transcript(void **state)
{
	struct guest *g = guest_new();
	uint32_t t;

	(void)state;
	put(g, "/local/domain/1/memory/target", "262144");
	put(g, "/local/domain/1/memory/static-max", "262144");
	put(g, "/local/domain/1/cpu/0/availability", "online");
	add_disk(g);
	assert_int_equal(g->notified, 0);
	send(g, XS_WATCH, 0, "memory/target|FFFFFFFF82BB1520|");
	assert_int_equal(g->notified, 1);
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, "memory/target|FFFFFFFF82BB1520|");
	ask(g, XS_READ, 0, "memory/target|", "262144");
	send(g, XS_WATCH, 0, "control/shutdown|FFFFFFFF82BB0540|");
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, "control/shutdown|FFFFFFFF82BB0540|");
	t = start(g);
	assert_int_equal(t, 1);
	ask(g, XS_WRITE, t, "control/feature-poweroff|1", "OK|");
	ask(g, XS_READ, t, "control/shutdown|", "");
	ask(g, XS_WRITE, t, "control/feature-reboot|1", "OK|");
	ask(g, XS_TRANSACTION_END, t, "F|", "OK|");
	ask(g, XS_READ, 0, "control/feature-reboot|", "");
	assert_int_equal(start(g), 2);
	ask(g, XS_DIRECTORY, 2, "backend|", "ENOENT|");
	ask(g, XS_TRANSACTION_END, 2, "F|", "OK|");
	ask(g, XS_DIRECTORY, 0, "device|", "suspend|vbd|");
	ask(g, XS_DIRECTORY, 0, "device/suspend|", "event-channel|");
	ask(g, XS_READ, 0, "device/suspend/event-channel/state|", "ENOENT|");
	send(g, XS_WATCH, 0, "device|FFFFFFFF82BB0DA0|");
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, "device|FFFFFFFF82BB0DA0|");
	ask(g, XS_DIRECTORY, 0, BACKEND "|", "frontend|state|");
	send(g, XS_WATCH, 0, BACKEND "/state|FFFF8880058D5420|");
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, BACKEND "/state|FFFF8880058D5420|");
	t = start(g);
	ask(g, XS_WRITE, t, "device/vbd/51712/ring-ref|8", "OK|");
	ask(g, XS_WRITE, t, "device/vbd/51712/event-channel|8", "OK|");
	ask(g, XS_READ, t, "device/vbd/51712/state|", "1");
	ask(g, XS_WRITE, t, "device/vbd/51712/state|3", "OK|");
	ask(g, XS_WRITE, t, "device/vbd/51712/state|3", "OK|");
	ask(g, XS_READ, 0, "device/vbd/51712/state|", "1");
	send(g, XS_TRANSACTION_END, t, "T|");
	expect(g, XS_WATCH_EVENT, "device/vbd/51712/ring-ref|FFFFFFFF82BB0DA0|");
	expect(g, XS_WATCH_EVENT, "device/vbd/51712/event-channel|FFFFFFFF82BB0DA0|");
	expect(g, XS_WATCH_EVENT, "device/vbd/51712/state|FFFFFFFF82BB0DA0|");
	expect(g, XS_TRANSACTION_END, "OK|");
	ask(g, XS_DIRECTORY, 0, "device/vbd/51712/ring-ref|", "");
	send(g, XS_WRITE, 0, "device/vbd/51712/xdp-headroom|0");
	expect(g, XS_WATCH_EVENT, "device/vbd/51712/xdp-headroom|FFFFFFFF82BB0DA0|");
	expect(g, XS_WRITE, "OK|");
	g->notified = 0;
	put(g, BACKEND "/state", "4");
	assert_int_equal(g->notified, 1);
	expect(g, XS_WATCH_EVENT, BACKEND "/state|FFFF8880058D5420|");
	assert_false(pending(g));
	guest_free(g);
}

static void test_errors(void **state)
{
	struct guest *g = guest_new();
	char big[2600];

	(void)state;
	add_disk(g);
	/* Elsewhere: reading is fine, writing is not. */
	ask(g, XS_READ, 0, BACKEND "/nothing|", "ENOENT|");
	ask(g, XS_READ, 0, "/nowhere|", "ENOENT|");
	ask(g, XS_WRITE, 0, BACKEND "/state|5", "EACCES|");
	ask(g, XS_WRITE, 0, "/tool/x|5", "EACCES|");
	ask(g, XS_MKDIR, 0, "/x|", "EACCES|");
	ask(g, XS_RM, 0, BACKEND "|", "EACCES|");
	ask(g, XS_SET_PERMS, 0, BACKEND "|n1|", "EACCES|");
	/* Read-only parts of its own tree. */
	ask(g, XS_WRITE, 0, "memory/target|1", "EACCES|");
	ask(g, XS_WRITE, 0, "newdir|1", "EACCES|");
	ask(g, XS_RM, 0, "control|", "EACCES|");
	ask(g, XS_WRITE, 0, "data/mine|1", "OK|");
	ask(g, XS_WRITE, 0, "device/vbd/51712/x/y/z|1", "OK|");
	ask(g, XS_DIRECTORY, 0, "device/vbd/51712/x|", "y|");
	/* Malformed. */
	ask(g, XS_READ, 0, "data", "EINVAL|");
	ask(g, XS_READ, 0, "", "EINVAL|");
	ask(g, XS_READ, 0, "|", "EINVAL|");
	ask(g, XS_READ, 0, "data|x|", "EINVAL|");
	ask(g, XS_READ, 0, "data//x|", "EINVAL|");
	ask(g, XS_READ, 0, "data/|", "EINVAL|");
	ask(g, XS_READ, 0, "da ta|", "EINVAL|");
	ask(g, XS_READ, 0, "@releaseDomain|", "EINVAL|");
	ask(g, XS_WRITE, 0, "data/x", "EINVAL|");
	ask(g, XS_WATCH, 0, "data|", "EINVAL|");
	ask(g, XS_UNWATCH, 0, "data|tok|", "ENOENT|");
	ask(g, XS_RM, 0, "/|", "EINVAL|");
	ask(g, XS_RM, 0, "data/none|", "OK|");
	ask(g, XS_RM, 0, "data/none/none|", "ENOENT|");
	ask(g, XS_READ, 77, "data|", "ENOENT|");
	ask(g, XS_TRANSACTION_END, 0, "T|", "ENOENT|");
	ask(g, XS_TRANSACTION_END, start(g), "X|", "EINVAL|");
	ask(g, XS_TRANSACTION_START, 1, "|", "EBUSY|");
	/* Types. */
	ask(g, XS_CONTROL, 0, "print|", "EACCES|");
	ask(g, XS_INTRODUCE, 0, "1|", "EACCES|");
	ask(g, XS_SET_TARGET, 0, "1|", "EACCES|");
	ask(g, XS_WATCH_EVENT, 0, "a|b|", "ENOSYS|");
	ask(g, XS_ERROR, 0, "|", "ENOSYS|");
	ask(g, 19 + 1, 0, "|", "ENOSYS|");
	ask(g, 4711, 0, "|", "ENOSYS|");
	ask(g, XS_GET_DOMAIN_PATH, 0, "1|", "/local/domain/1|");
	ask(g, XS_GET_DOMAIN_PATH, 0, "x|", "EINVAL|");
	ask(g, XS_IS_DOMAIN_INTRODUCED, 0, "1|", "T|");
	ask(g, XS_IS_DOMAIN_INTRODUCED, 0, "9|", "F|");
	/* Too long. */
	memset(big, 'a', sizeof(big));
	memcpy(big, "data/", 5);
	memcpy(big + 2100, "|", 2);
	ask(g, XS_READ, 0, big, "EINVAL|");
	memset(big, 'v', sizeof(big));
	memcpy(big, "data/v|", 7);
	memcpy(big + 2300, "", 1);
	ask(g, XS_WRITE, 0, big, "ENOSPC|");
	guest_free(g);
}

static void test_perms(void **state)
{
	struct guest *g = guest_new();

	(void)state;
	add_disk(g);
	ask(g, XS_GET_PERMS, 0, "memory|", "n0|r1|");
	ask(g, XS_GET_PERMS, 0, "control/shutdown|", "n1|");
	ask(g, XS_GET_PERMS, 0, "device/vbd/51712/state|", "n1|r0|");
	ask(g, XS_WRITE, 0, "data/x|1", "OK|");
	ask(g, XS_SET_PERMS, 0, "data/x|n1|r0|b5|", "OK|");
	ask(g, XS_GET_PERMS, 0, "data/x|", "n1|r0|b5|");
	ask(g, XS_SET_PERMS, 0, "data/x|n0|", "EPERM|");
	ask(g, XS_SET_PERMS, 0, "data/x|q0|", "EINVAL|");
	ask(g, XS_SET_PERMS, 0, "data/x|n1", "EINVAL|");
	ask(g, XS_SET_PERMS, 0, "data/x|n1|r1|r2|r3|r4|r5|", "ENOSPC|");
	ask(g, XS_SET_PERMS, 0, "memory|n1|", "EACCES|");
	assert_int_equal(xs_set_perms(g->xs, "/local/domain/1/memory", "n0,b1"), 0);
	ask(g, XS_WRITE, 0, "memory/mine|1", "OK|");
	assert_int_equal(xs_set_perms(g->xs, "/local/domain/1/memory", "z0"), -1);
	guest_free(g);
}

static void test_transactions(void **state)
{
	struct guest *g = guest_new();
	uint32_t a, b;

	(void)state;
	ask(g, XS_WRITE, 0, "data/x|old", "OK|");
	/* Isolation both ways, and repeatable reads. */
	a = start(g);
	ask(g, XS_READ, a, "data/x|", "old");
	ask(g, XS_WRITE, 0, "data/x|new", "OK|");
	ask(g, XS_READ, a, "data/x|", "old");
	ask(g, XS_TRANSACTION_END, a, "T|", "EAGAIN|");
	ask(g, XS_READ, a, "data/x|", "ENOENT|");
	/* The first of two commits wins. */
	a = start(g);
	b = start(g);
	ask(g, XS_WRITE, a, "data/x|a", "OK|");
	ask(g, XS_WRITE, b, "data/x|b", "OK|");
	ask(g, XS_READ, 0, "data/x|", "new");
	ask(g, XS_TRANSACTION_END, b, "T|", "OK|");
	ask(g, XS_TRANSACTION_END, a, "T|", "EAGAIN|");
	ask(g, XS_READ, 0, "data/x|", "b");
	/* Different nodes do not conflict; new children of one parent do. */
	a = start(g);
	ask(g, XS_WRITE, a, "data/x|c", "OK|");
	ask(g, XS_WRITE, 0, "error|1", "OK|");
	ask(g, XS_TRANSACTION_END, a, "T|", "OK|");
	a = start(g);
	ask(g, XS_WRITE, a, "data/new1|c", "OK|");
	ask(g, XS_WRITE, 0, "data/new2|c", "OK|");
	ask(g, XS_TRANSACTION_END, a, "T|", "EAGAIN|");
	ask(g, XS_DIRECTORY, 0, "data|", "x|new2|");
	/* Removal and creation in one. */
	ask(g, XS_WRITE, 0, "data/d/e/f|1", "OK|");
	a = start(g);
	ask(g, XS_RM, a, "data/d|", "OK|");
	ask(g, XS_READ, a, "data/d/e/f|", "ENOENT|");
	ask(g, XS_WRITE, a, "data/d/e/g|2", "OK|");
	ask(g, XS_READ, 0, "data/d/e/f|", "1");
	ask(g, XS_READ, 0, "data/d/e/g|", "ENOENT|");
	ask(g, XS_TRANSACTION_END, a, "T|", "OK|");
	ask(g, XS_DIRECTORY, 0, "data/d/e|", "g|");
	ask(g, XS_READ, 0, "data/d/e/f|", "ENOENT|");
	/* A backend's write conflicts too. */
	a = start(g);
	ask(g, XS_READ, a, "data/x|", "c");
	put(g, "/local/domain/1/data/x", "z");
	ask(g, XS_TRANSACTION_END, a, "T|", "EAGAIN|");
	guest_free(g);
}

static void test_watches(void **state)
{
	struct guest *g = guest_new();

	(void)state;
	ask(g, XS_WRITE, 0, "data/a/b/c|1", "OK|");
	send(g, XS_WATCH, 0, "data/a|one|");
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, "data/a|one|");
	send(g, XS_WATCH, 0, "/local/domain/1/data/a/b/c|two|");
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, "/local/domain/1/data/a/b/c|two|");
	ask(g, XS_WATCH, 0, "data/a|one|", "EEXIST|");
	send(g, XS_WATCH, 0, "@releaseDomain|three|");
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, "@releaseDomain|three|");
	ask(g, XS_WATCH, 0, "@other|three|", "EINVAL|");
	ask(g, XS_WRITE, 0, "data/ab|1", "OK|"); /* a prefix of the text, not of the path */
	send(g, XS_WRITE, 0, "data/a/b|1");
	expect(g, XS_WATCH_EVENT, "data/a/b|one|");
	expect(g, XS_WRITE, "OK|");
	/* Children of what is removed fire only their own watches. */
	send(g, XS_RM, 0, "data/a|");
	expect(g, XS_WATCH_EVENT, "/local/domain/1/data/a/b/c|two|");
	expect(g, XS_WATCH_EVENT, "data/a|one|");
	expect(g, XS_RM, "OK|");
	assert_false(pending(g));
	ask(g, XS_UNWATCH, 0, "data/a|one|", "OK|");
	ask(g, XS_WRITE, 0, "data/a|1", "OK|");
	ask(g, XS_RESET_WATCHES, 0, "|", "OK|");
	ask(g, XS_WRITE, 0, "data/a/b/c|1", "OK|");
	guest_free(g);
}

static void test_quotas(void **state)
{
	struct guest *g = guest_new();
	char text[64];
	int i;

	(void)state;
	for (i = 0; i < 128; i++) {
		snprintf(text, sizeof(text), "data|%d|", i);
		send(g, XS_WATCH, 0, text);
		expect(g, XS_WATCH, "OK|");
		receive(g);
	}
	ask(g, XS_WATCH, 0, "data|x|", "E2BIG|");
	ask(g, XS_RESET_WATCHES, 0, "|", "OK|");
	for (i = 0; i < 10; i++)
		start(g);
	ask(g, XS_TRANSACTION_START, 0, "|", "ENOSPC|");
	ask(g, XS_RESET_WATCHES, 0, "|", "OK|");
	for (i = 0; i < 2000; i++) {
		snprintf(text, sizeof(text), "data/%d/%d|v", i / 40, i % 40);
		send(g, XS_WRITE, 0, text);
		receive(g);
		if (g->got_type == XS_ERROR)
			break;
	}
	assert_string_equal(g->got, "ENOSPC|");
	assert_in_range(i, 900, 999);
	ask(g, XS_RM, 0, "data/0|", "OK|");
	ask(g, XS_WRITE, 0, "data/again|1", "OK|");
	/* One node's size bounds its children as well. */
	ask(g, XS_RM, 0, "data|", "OK|");
	ask(g, XS_WRITE, 0, "drivers/x|1", "OK|");
	for (i = 0; i < 1000; i++) {
		snprintf(text, sizeof(text), "drivers/long-name-long-name-%d|v", i);
		send(g, XS_WRITE, 0, text);
		receive(g);
		if (g->got_type == XS_ERROR)
			break;
	}
	assert_string_equal(g->got, "ENOSPC|");
	assert_true(i < 100);
	guest_free(g);
}

/* Messages larger than the ring, both ways, and a guest that does not read. */
static void test_ring(void **state)
{
	struct guest *g = guest_new();
	char value[1801], msg[2000];
	uint32_t done;

	(void)state;
	for (size_t i = 0; i < 1800; i++)
		value[i] = (char)('a' + i % 26);
	value[1800] = '\0';
	snprintf(msg, sizeof(msg), "data/big|%s", value);
	for (int round = 0; round < 5; round++) { /* the ring wraps at various places */
		ask(g, XS_WRITE, 0, msg, "OK|");
		ask(g, XS_READ, 0, "data/big|", value);
	}
	/* Nobody reads: requests stay in the ring after a while. */
	for (done = 0; done < 200; done++) {
		xs_process(g->xs);
		if (g->ring.req_prod - g->ring.req_cons > XENSTORE_RING_SIZE - 32)
			break;
		send_raw(g, XS_READ, 0, "data/big", 9);
	}
	assert_true(done < 100);
	assert_false(xs_broken(g->xs));
	for (uint32_t i = 0; i < done; i++)
		expect(g, XS_READ, value);
	assert_false(pending(g));
	/* Equal events that wait are told once. */
	send(g, XS_WATCH, 0, "data|t|");
	expect(g, XS_WATCH, "OK|");
	expect(g, XS_WATCH_EVENT, "data|t|");
	g->ring.rsp_cons = g->ring.rsp_prod - XENSTORE_RING_SIZE; /* full */
	put(g, "/local/domain/1/data/a", "1");
	put(g, "/local/domain/1/data/b", "1");
	put(g, "/local/domain/1/data/a", "2");
	g->ring.rsp_cons = g->ring.rsp_prod;
	xs_process(g->xs);
	expect(g, XS_WATCH_EVENT, "data/a|t|");
	expect(g, XS_WATCH_EVENT, "data/b|t|");
	assert_false(pending(g));
	guest_free(g);
}

static void test_hostile_ring(void **state)
{
	struct guest *g = guest_new();
	struct xsd_sockmsg hdr = { XS_READ, 0, 0, XENSTORE_PAYLOAD_MAX + 1 };

	(void)state;
	put_bytes(g, &hdr, sizeof(hdr));
	xs_process(g->xs);
	assert_true(xs_broken(g->xs));
	put(g, "/local/domain/1/data/a", "2"); /* backends go on */
	guest_free(g);
	g = guest_new();
	g->ring.req_prod = 1025;
	xs_process(g->xs);
	assert_true(xs_broken(g->xs));
	guest_free(g);
	g = guest_new();
	send_raw(g, XS_READ, 0, "data", 5);
	g->ring.rsp_prod = 5000;
	xs_process(g->xs);
	assert_true(xs_broken(g->xs));
	xs_process(g->xs);
	guest_free(g);
}

static void test_directory_part(void **state)
{
	struct guest *g = guest_new();
	char path[64], all[16000] = "", *p;
	size_t off = 0;

	(void)state;
	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "/local/domain/1/data/quite-long-name-%d", i);
		put(g, path, "");
	}
	ask(g, XS_DIRECTORY, 0, "data|", "E2BIG|");
	for (;;) {
		snprintf(path, sizeof(path), "data|%zu|", off);
		send(g, XS_DIRECTORY_PART, 0, path);
		receive(g);
		assert_int_equal(g->got_type, XS_DIRECTORY_PART);
		p = strchr(g->got, '|') + 1;
		if (strlen(p) >= 2 && strcmp(p + strlen(p) - 2, "||") == 0) {
			p[strlen(p) - 1] = '\0';
			strcat(all, p);
			break;
		}
		strcat(all, p);
		off = strlen(all);
	}
	p = all;
	for (int i = 0; i < 400; i++) {
		snprintf(path, sizeof(path), "quite-long-name-%d|", i);
		assert_memory_equal(p, path, strlen(path));
		p += strlen(path);
	}
	assert_int_equal(*p, '\0');
	ask(g, XS_DIRECTORY_PART, 0, "none|0|", "ENOENT|");
	guest_free(g);
}

static void backend_fn(void *ctx, const char *path)
{
	struct guest *g = ctx;
	size_t n;
	const char *v = xs_read(g->xs, path, &n);

	/* A backend that follows its frontend. */
	if (strcmp(path, "/local/domain/1/device/vbd/51712/state") == 0 && v && *v == '3')
		put(g, BACKEND "/state", "4");
}

static void test_backend(void **state)
{
	struct guest *g = guest_new();
	size_t n;

	(void)state;
	add_disk(g);
	assert_int_equal(xs_watch(g->xs, "/local/domain/1/device/vbd/51712", backend_fn, g), 0);
	send(g, XS_WATCH, 0, BACKEND "/state|tok|");
	expect(g, XS_WATCH, "OK|");
	receive(g);
	/* The guest has its answer before it hears of the backend's reaction. */
	send(g, XS_WRITE, 0, "device/vbd/51712/state|3");
	expect(g, XS_WRITE, "OK|");
	expect(g, XS_WATCH_EVENT, BACKEND "/state|tok|");
	assert_memory_equal(xs_read(g->xs, BACKEND "/state", &n), "4", 1);
	assert_null(xs_read(g->xs, "/none", &n));
	assert_int_equal(xs_rm(g->xs, "/none"), -1);
	assert_int_equal(xs_write(g->xs, "bad path", "", 0), -1);
	assert_int_equal(xs_rm(g->xs, BACKEND), 0);
	expect(g, XS_WATCH_EVENT, BACKEND "/state|tok|");
	assert_null(xs_read(g->xs, BACKEND "/state", &n));
	guest_free(g);
}

/* A store saved half-way through everything goes on as if nothing had been. */
static void test_save_load(void **state)
{
	struct guest *g = guest_new(), *h = guest_new();
	struct wbuf w = { 0 }, again = { 0 };
	struct rbuf r;
	struct xsd_sockmsg hdr = { XS_READ, 99, 0, 7 };
	uint32_t t;

	(void)state;
	add_disk(g);
	send(g, XS_WATCH, 0, "data|tok|");
	expect(g, XS_WATCH, "OK|");
	receive(g);
	t = start(g);
	ask(g, XS_WRITE, t, "data/deep/er|in", "OK|");
	/* An unsent event and half a request. */
	g->ring.rsp_cons = g->ring.rsp_prod - XENSTORE_RING_SIZE + 5;
	put(g, "/local/domain/1/error", "x");
	put(g, "/local/domain/1/data", "x");
	put_bytes(g, &hdr, sizeof(hdr));
	put_bytes(g, "da", 2);
	xs_process(g->xs);
	xs_save(g->xs, &w);
	assert_false(w.bad);
	for (size_t n = 0; n < w.len; n += n < 300 ? 1 : 37) {
		r = (struct rbuf){ .p = w.p, .len = n };
		assert_int_equal(xs_load(h->xs, &r), -1);
	}
	for (size_t n = 0; n < w.len; n += 3) { /* damage: refused or at least harmless */
		uint8_t old = w.p[n];

		w.p[n] ^= 0x41;
		r = (struct rbuf){ .p = w.p, .len = w.len };
		xs_load(h->xs, &r);
		w.p[n] = old;
	}
	r = (struct rbuf){ .p = w.p, .len = w.len };
	assert_int_equal(xs_load(h->xs, &r), 0);
	xs_save(h->xs, &again);
	assert_int_equal(again.len, w.len);
	assert_memory_equal(again.p, w.p, w.len);
	memcpy(h->page, g->page, sizeof(h->page));
	/* The first 5 bytes of the event are in the ring. */
	h->ring.rsp_cons = h->ring.rsp_prod - 5;
	xs_process(h->xs);
	expect(h, XS_WATCH_EVENT, "data|tok|");
	put_bytes(h, "ta/xx", 5);
	xs_process(h->xs);
	expect(h, XS_ERROR, "EINVAL|"); /* no NUL */
	assert_int_equal(h->got_id, 99);
	ask(h, XS_READ, t, "data/deep/er|", "in");
	ask(h, XS_TRANSACTION_END, t, "T|", "EAGAIN|"); /* data was written */
	ask(h, XS_READ, 0, "device/vbd/51712/state|", "1");
	guest_free(g);
	guest_free(h);
	wbuf_free(&w);
	wbuf_free(&again);
}

/* ---- states that no store could have saved ---- */

static void put_text(struct wbuf *w, const char *s)
{
	wbuf_u32(w, (uint32_t)strlen(s));
	wbuf_put(w, s, strlen(s));
}

static void put_node(struct wbuf *w, const char *path, uint64_t gen, const char *children)
{
	size_t n = strlen(children);

	put_text(w, path);
	wbuf_u64(w, gen);
	wbuf_u32(w, 0);
	wbuf_u32(w, (uint32_t)n);
	for (size_t i = 0; i < n; i++)
		wbuf_u8(w, children[i] == '|' ? 0 : (uint8_t)children[i]);
	wbuf_u32(w, 1);
	wbuf_u32(w, 0);
	wbuf_u8(w, 1);
}

struct made_node {
	const char *path, *children;
};

struct made_access {
	const char *path;
	uint64_t base_gen;
	const char *children; /* NULL: the node is gone */
};

static int load_made(const struct made_node *node, unsigned n, const struct made_access *acc,
	unsigned nacc)
{
	struct guest *g = guest_new();
	struct wbuf w = { 0 };
	struct rbuf r;
	int rc;

	wbuf_u32(&w, 1);
	wbuf_u32(&w, 1); /* the domain's number */
	wbuf_u8(&w, 0);
	wbuf_u64(&w, 100);
	wbuf_u32(&w, 1);
	wbuf_u32(&w, n);
	for (unsigned i = 0; i < n; i++)
		put_node(&w, node[i].path, i + 1, node[i].children);
	wbuf_u32(&w, nacc > 0);
	if (nacc > 0) {
		wbuf_u32(&w, 7);
		wbuf_u8(&w, 0);
		wbuf_u32(&w, 0);
		wbuf_u32(&w, nacc);
	}
	for (unsigned i = 0; i < nacc; i++) {
		put_text(&w, acc[i].path);
		wbuf_u64(&w, acc[i].base_gen);
		wbuf_u8(&w, acc[i].children != NULL ? 1 | 8 : 1);
		if (acc[i].children != NULL)
			put_node(&w, acc[i].path, 50, acc[i].children);
	}
	wbuf_u32(&w, 0);
	wbuf_u32(&w, 0);
	wbuf_u32(&w, 0);
	r = (struct rbuf){ .p = w.p, .len = w.len };
	rc = xs_load(g->xs, &r);
	if (rc == 0) {
		/* What loads can be saved and worked with. */
		xs_write(g->xs, "/a/new/er", "x", 1);
		w.len = 0;
		xs_save(g->xs, &w);
		assert_false(w.bad);
	}
	wbuf_free(&w);
	guest_free(g);
	return rc;
}

static void test_impossible(void **state)
{
	static const struct made_node good[] = { { "/", "a|b|" }, { "/a", "c|" }, { "/a/c", "" },
		{ "/b", "" } };
	static const struct made_node order[] = { { "/", "a|b|" }, { "/b", "" }, { "/a", "" } };
	static const struct made_node twice[] = { { "/", "a|a|" }, { "/a", "" }, { "/a", "" } };
	static const struct made_node missing[] = { { "/", "a|b|" }, { "/a", "" } };
	static const struct made_node stray[] = { { "/", "a|" }, { "/a", "" }, { "/b", "" } };
	static const struct made_access txns[][2] = {
		{ { "/", 1, NULL } },                       /* without a root create() had no end */
		{ { "/b", 4, "x|" } },                      /* names what is not there */
		{ { "/b", 4, NULL } },                      /* is named and is not there */
		{ { "/a", 2, "" } },                        /* leaves a node without a name */
		{ { "/", 1, "a|b|a|" } },                   /* names one twice */
		{ { "/b", 200, "" } },                      /* of a future */
		{ { "/b", 4, "" }, { "/b", 4, "" } },
	};
	static const struct made_access fine[] = { { "/", 1, "a|" }, { "/b", 4, NULL } };
	static const struct made_access lost[] = { { "/b", 3, "x|" } }; /* can never be committed */

	(void)state;
	assert_int_equal(load_made(good, 4, NULL, 0), 0);
	assert_int_equal(load_made(order, 3, NULL, 0), -1);
	assert_int_equal(load_made(twice, 3, NULL, 0), -1);
	assert_int_equal(load_made(missing, 2, NULL, 0), -1);
	assert_int_equal(load_made(stray, 3, NULL, 0), -1);
	for (unsigned i = 0; i < sizeof txns / sizeof txns[0]; i++)
		assert_int_equal(load_made(good, 4, txns[i], txns[i][1].path != NULL ? 2 : 1), -1);
	assert_int_equal(load_made(good, 4, fine, 2), 0);
	assert_int_equal(load_made(good, 4, lost, 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_transcript),
		cmocka_unit_test(test_errors),
		cmocka_unit_test(test_perms),
		cmocka_unit_test(test_transactions),
		cmocka_unit_test(test_watches),
		cmocka_unit_test(test_quotas),
		cmocka_unit_test(test_ring),
		cmocka_unit_test(test_hostile_ring),
		cmocka_unit_test(test_directory_part),
		cmocka_unit_test(test_backend),
		cmocka_unit_test(test_save_load),
		cmocka_unit_test(test_impossible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
