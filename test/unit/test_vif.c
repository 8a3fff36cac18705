/*
 * test_vif.c - the network interface's backend against frontends: good ones, and
 * such as put garbage into rings, lie about sizes, name frames they have not
 * granted, or flood.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include "test/unit/dev_bus.h"

#include <cmocka.h>
#include <xen/xen.h>
#include <xen/io/netif.h>

#include "dev/vif.h"

enum { TX = 1, RX = 2, CTRL = 3, BUF = 8 /* first page of buffers */, SLOTS = 256 };
enum { REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12 };

static uint64_t seed, state;

static uint64_t below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % n;
}

struct rig {
	struct vif *v;
	struct dev *dev;
	struct fake_bus *b;
	unsigned seen[2]; /* frames received, sent */
	struct net_frame last;
};

static void watch(void *ctx, unsigned id, bool sent, uint64_t ns, const struct net_frame *f)
{
	struct rig *r = ctx;

	(void)id;
	(void)ns;
	r->seen[sent]++;
	r->last = *f;
	assert_in_range(f->len, NET_HEADER, NET_FRAME_MAX);
}

static void create(struct rig *r)
{
	struct vif_spec spec;
	struct ttd_error e;

	*r = (struct rig){0};
	assert_int_equal(vif_spec_parse("mac=00:16:3e:00:00:01,mtu=65521", "d", 0, &spec, NULL, NULL, &e), 0);
	r->v = vif_create(&spec, 0, false, &e);
	assert_non_null(r->v);
	r->dev = vif_dev(r->v);
	r->b = fb_create(r->dev);
	vif_capture(r->v, watch, r);
	assert_int_equal(r->dev->ops->announce(r->dev, &e), 0);
}

static void destroy(struct rig *r)
{
	r->dev->ops->disconnect(r->dev);
	r->dev->ops->detach(r->dev);
	vif_destroy(r->v);
	free(r->b);
}

static void set(struct rig *r, const char *key, const char *value)
{
	fb_set(r->b, DEV_FRONTEND, key, value);
}

/* As Linux's netfront does. */
static void front(struct rig *r)
{
	set(r, "tx-ring-ref", "1");
	set(r, "rx-ring-ref", "2");
	set(r, "event-channel-tx", "9");
	set(r, "event-channel-rx", "10");
	set(r, "request-rx-copy", "1");
	set(r, "feature-rx-notify", "1");
	set(r, "feature-sg", "1");
	set(r, "feature-gso-tcpv4", "1");
	set(r, "feature-gso-tcpv6", "1");
	set(r, "feature-ipv6-csum-offload", "1");
	for (unsigned ring = TX; ring <= RX; ring++) {
		put32(r->b->page[ring] + REQ_EVENT, 1);
		put32(r->b->page[ring] + RSP_EVENT, 1);
	}
}

static void connected(struct rig *r)
{
	create(r);
	front(r);
	assert_int_equal(r->dev->ops->connect(r->dev), 0);
}

static uint32_t word(const struct rig *r, unsigned ring, unsigned at)
{
	return get32(r->b->page[ring] + at);
}

static uint8_t *slot(struct rig *r, unsigned ring, uint32_t i)
{
	return r->b->page[ring] + 64 + i % SLOTS * (ring == TX ? 12 : 8);
}

static void tx(struct rig *r, unsigned ref, unsigned off, unsigned flags, unsigned id, unsigned size)
{
	uint32_t prod = word(r, TX, REQ_PROD);
	uint8_t *s = slot(r, TX, prod);

	put32(s, ref);
	put16(s + 4, (uint16_t)off);
	put16(s + 6, (uint16_t)flags);
	put16(s + 8, (uint16_t)id);
	put16(s + 10, (uint16_t)size);
	put32(r->b->page[TX] + REQ_PROD, prod + 1);
}

static void tx_extra(struct rig *r, unsigned type, unsigned flags, unsigned size, unsigned gso)
{
	uint32_t prod = word(r, TX, REQ_PROD);
	uint8_t *s = slot(r, TX, prod);

	memset(s, 0, 12);
	s[0] = (uint8_t)type;
	s[1] = (uint8_t)flags;
	put16(s + 2, (uint16_t)size);
	s[4] = (uint8_t)gso;
	put32(r->b->page[TX] + REQ_PROD, prod + 1);
}

static void kick(struct rig *r, unsigned channel)
{
	r->dev->ops->notify(r->dev, channel);
}

static int status(struct rig *r, uint32_t i)
{
	return (int16_t)get16(slot(r, TX, i) + 2);
}

/* A TCP segment over IPv4 of n bytes in all. */
static void make_tcp(uint8_t *p, unsigned n)
{
	memset(p, 0, n < 54 ? 54 : n);
	p[12] = 8;
	p[14] = 0x45;
	p[16] = (uint8_t)((n - 14) >> 8);
	p[17] = (uint8_t)(n - 14);
	p[23] = 6;
	memcpy(p + 26, (const uint8_t[]){ 10, 0, 2, 15, 10, 0, 2, 2 }, 8);
	p[14 + 20 + 12] = 0x50;
	for (unsigned i = 54; i < n; i++)
		p[i] = (uint8_t)(i * 7);
}

static void announces(void **unused)
{
	/* As the golden transcript lists the backend's directory. */
	static const char *const order[] = { "frontend", "frontend-id", "online", "state", "script",
		"mac", "bridge", "handle", "type", "hotplug-status", "feature-sg",
		"feature-gso-tcpv4", "feature-gso-tcpv6", "feature-ipv6-csum-offload",
		"feature-rx-copy", "feature-xdp-headroom", "feature-rx-flip",
		"feature-multicast-control", "feature-dynamic-multicast-control",
		"feature-split-event-channels", "multi-queue-max-queues", "feature-ctrl-ring" };
	unsigned n = 0;
	struct rig r;

	(void)unused;
	create(&r); /* with an MTU of its own */
	assert_string_equal(r.b->key[fb_find(r.b, DEV_BACKEND, "mtu")].value, "65521");
	assert_string_equal(r.b->key[fb_find(r.b, DEV_FRONTEND, "mtu")].value, "65521");
	for (unsigned i = 0; i < r.b->nkeys; i++)
		if (r.b->key[i].side == DEV_BACKEND && strcmp(r.b->key[i].key, "mtu") != 0)
			assert_string_equal(r.b->key[i].key, order[n++]);
	assert_int_equal(n, sizeof order / sizeof *order);
	assert_string_equal(r.b->key[fb_find(r.b, DEV_FRONTEND, "mac")].value, "00:16:3e:00:00:01");
	destroy(&r);
}

static void connects(void **unused)
{
	static const struct {
		const char *key, *value;
	} bad[] = {
		{"tx-ring-ref", "0"}, {"rx-ring-ref", "9999999"}, {"tx-ring-ref", "x"},
		{"rx-ring-ref", ""}, {"event-channel-rx", "40"}, {"request-rx-copy", "0"},
		{"multi-queue-num-queues", "2"}, {"tx-ring-ref", "-1"},
		{"rx-ring-ref", "18446744073709551617"},
	};
	struct rig r;

	(void)unused;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		create(&r);
		front(&r);
		set(&r, bad[i].key, bad[i].value);
		assert_int_equal(r.dev->ops->connect(r.dev), -1);
		destroy(&r);
	}
	/* One channel; then again with two. */
	create(&r);
	front(&r);
	set(&r, "event-channel-tx", "");
	set(&r, "event-channel-rx", "");
	set(&r, "event-channel", "5");
	assert_int_equal(r.dev->ops->connect(r.dev), 0);
	r.dev->ops->disconnect(r.dev);
	memset(r.b->port, 0, sizeof r.b->port);
	memset(r.b->page[TX], 0, DEV_PAGE);
	memset(r.b->page[RX], 0, DEV_PAGE);
	front(&r);
	assert_int_equal(r.dev->ops->connect(r.dev), 0);
	destroy(&r);
}

static void transmits(void **unused)
{
	uint8_t all[3000];
	struct rig r;

	(void)unused;
	connected(&r);
	tx(&r, BUF, 100, 0, 7, 60);
	kick(&r, 0);
	assert_int_equal(r.seen[1], 1);
	assert_int_equal(r.b->sent_len, 60);
	assert_int_equal(word(&r, TX, RSP_PROD), 1);
	assert_int_equal(get16(slot(&r, TX, 0)), 7);
	assert_int_equal(status(&r, 0), NETIF_RSP_OKAY);
	assert_int_equal(r.b->raised[0], 1);
	assert_int_equal(word(&r, TX, REQ_EVENT), 2);

	/* Several pieces, the first one's size being that of all; no event is wanted. */
	make_tcp(all, sizeof all);
	memcpy(r.b->page[BUF] + 10, all, 1000);
	memcpy(r.b->page[BUF + 1], all + 1000, 1500);
	memcpy(r.b->page[BUF + 2] + 4096 - 500, all + 2500, 500);
	put32(r.b->page[TX] + RSP_EVENT, 100);
	r.b->grant[BUF].readonly = true;
	tx(&r, BUF, 10, NETTXF_csum_blank | NETTXF_data_validated | NETTXF_more_data |
		NETTXF_extra_info, 1, sizeof all);
	tx_extra(&r, XEN_NETIF_EXTRA_TYPE_GSO, 0, 1448, XEN_NETIF_GSO_TYPE_TCPV4);
	tx(&r, BUF + 1, 0, NETTXF_more_data, 2, 1500);
	tx(&r, BUF + 2, 4096 - 500, 0, 3, 500);
	kick(&r, 0);
	assert_int_equal(r.seen[1], 2);
	assert_int_equal(r.last.len, sizeof all);
	assert_memory_equal(r.last.p, all, sizeof all);
	assert_true(r.last.csum_blank);
	assert_int_equal(r.last.gso, NET_GSO_TCP4);
	assert_int_equal(r.last.gso_size, 1448);
	assert_int_equal(word(&r, TX, RSP_PROD), 5);
	assert_int_equal(status(&r, 2), NETIF_RSP_NULL);
	for (unsigned i = 1; i < 5; i++)
		if (i != 2)
			assert_int_equal(status(&r, i), NETIF_RSP_OKAY);
	assert_int_equal(r.b->raised[0], 1);
	destroy(&r);
}

/* Answered with an error, and the next one works. */
static void refuses(void **unused)
{
	struct rig r;

	(void)unused;
	for (unsigned what = 0; what < 9; what++) {
		unsigned slots = 1;

		connected(&r);
		switch (what) {
		case 0: tx(&r, BUF, 0, 0, 1, 13); break;             /* no frame */
		case 1: tx(&r, BUF, 4090, 0, 1, 60); break;          /* beyond the page */
		case 2: tx(&r, 63000, 0, 0, 1, 60); break;           /* not granted */
		case 3: tx(&r, 0, 0, 0, 1, 60); break;
		case 4:                                              /* the rest is more than all */
			tx(&r, BUF, 0, NETTXF_more_data, 1, 60);
			tx(&r, BUF, 0, 0, 1, 60);
			slots = 2;
			break;
		case 5:                                              /* not TCP */
		case 6:                                              /* no size */
		case 7:                                              /* no such protocol */
		case 8:                                              /* no such extra */
			if (what != 5)
				make_tcp(r.b->page[BUF], 60);
			tx(&r, BUF, 0, NETTXF_extra_info, 1, 60);
			tx_extra(&r, what == 8 ? 77 : XEN_NETIF_EXTRA_TYPE_GSO, 0, what == 6 ? 0 : 100,
				what == 7 ? 9 : XEN_NETIF_GSO_TYPE_TCPV4);
			slots = 2;
			break;
		}
		kick(&r, 0);
		assert_int_equal(r.b->sent, 0);
		assert_int_equal(word(&r, TX, RSP_PROD), slots);
		assert_int_equal(status(&r, 0), NETIF_RSP_ERROR);
		tx(&r, BUF, 0, 0, 2, 60);
		kick(&r, 0);
		assert_int_equal(r.b->sent, 1);
		destroy(&r);
	}
}

/* A ring that makes no sense: nothing is taken from it any more, until it connects anew. */
static void breaks(void **unused)
{
	struct rig r;

	(void)unused;
	for (unsigned what = 0; what < 5; what++) {
		connected(&r);
		switch (what) {
		case 0: put32(r.b->page[TX], SLOTS + 1); break;
		case 1: put32(r.b->page[TX], 0x80000000); break;
		case 2: tx(&r, BUF, 0, NETTXF_more_data, 1, 60); break; /* no more */
		case 3: tx(&r, BUF, 0, NETTXF_extra_info, 1, 60); break;
		case 4:
			for (unsigned i = 0; i < 40; i++)
				tx(&r, BUF, 0, NETTXF_more_data, i, i == 0 ? 60000 : 10);
			break;
		}
		kick(&r, 0);
		kick(&r, 1);
		assert_int_equal(r.b->sent, 0);
		put32(r.b->page[TX], 0);
		tx(&r, BUF, 0, 0, 1, 60);
		kick(&r, 0);
		assert_int_equal(r.b->sent, 0);
		r.dev->ops->disconnect(r.dev);
		memset(r.b->port, 0, sizeof r.b->port);
		memset(r.b->page[TX], 0, DEV_PAGE);
		front(&r);
		assert_int_equal(r.dev->ops->connect(r.dev), 0);
		tx(&r, BUF, 0, 0, 1, 60);
		kick(&r, 0);
		assert_int_equal(r.b->sent, 1);
		destroy(&r);
	}
}

/* ---- receiving ---- */

static void post_buffers(struct rig *r, unsigned n)
{
	uint32_t prod = word(r, RX, REQ_PROD);

	for (unsigned i = 0; i < n; i++, prod++) {
		uint8_t *s = slot(r, RX, prod);

		put16(s, (uint16_t)(prod & 255));
		put16(s + 2, 0);
		put32(s + 4, BUF + prod % 40);
	}
	put32(r->b->page[RX] + REQ_PROD, prod);
}

static void input(struct rig *r, const uint8_t *frame, unsigned n, struct net_frame how)
{
	uint8_t *p = malloc(NET_PREFIX + n);

	how.p = frame;
	how.len = n;
	net_frame_prefix(&how, p);
	memcpy(p + NET_PREFIX, frame, n);
	r->dev->ops->apply(r->dev, p, NET_PREFIX + n);
	free(p);
}

static void receives(void **unused)
{
	static uint8_t frame[65000];
	unsigned got = 0, at = 0;
	struct rig r;

	(void)unused;
	connected(&r);
	make_tcp(frame, sizeof frame);
	post_buffers(&r, 40);
	input(&r, frame, 100, (struct net_frame){ .csum_ok = true });
	assert_int_equal(word(&r, RX, RSP_PROD), 1);
	assert_int_equal(get16(slot(&r, RX, 0) + 4), NETRXF_data_validated);
	assert_int_equal(get16(slot(&r, RX, 0) + 6), 100);
	assert_memory_equal(r.b->page[BUF], frame, 100);
	assert_int_equal(r.b->raised[1], 1);
	assert_int_equal(r.b->raised[0], 0);

	/* A large one: an extra after the first piece, then the rest. */
	input(&r, frame, sizeof frame, (struct net_frame){ .csum_blank = true,
		.gso = NET_GSO_TCP4, .gso_size = 1460 });
	assert_int_equal(get16(slot(&r, RX, 1) + 4), NETRXF_data_validated | NETRXF_csum_blank |
		NETRXF_extra_info | NETRXF_more_data);
	assert_int_equal(slot(&r, RX, 2)[0], XEN_NETIF_EXTRA_TYPE_GSO);
	assert_int_equal(get16(slot(&r, RX, 2) + 2), 1460);
	assert_int_equal(slot(&r, RX, 2)[4], XEN_NETIF_GSO_TYPE_TCPV4);
	for (at = 1; at < word(&r, RX, RSP_PROD); at++) {
		if (at == 2)
			continue;
		assert_memory_equal(r.b->page[BUF + at % 40], frame + got, get16(slot(&r, RX, at) + 6));
		got += get16(slot(&r, RX, at) + 6);
	}
	assert_int_equal(got, sizeof frame);
	assert_int_equal(get16(slot(&r, RX, at - 1) + 4), 0);

	/* A buffer that is not to be written. */
	r.b->grant[BUF + at % 40].readonly = true;
	input(&r, frame, 100, (struct net_frame){ .csum_ok = true });
	assert_int_equal((int16_t)get16(slot(&r, RX, at) + 6), NETIF_RSP_ERROR);
	destroy(&r);
}

static void waits(void **unused)
{
	uint8_t frame[200] = { 0x00, 0x16, 0x3e };
	struct rig r;
	unsigned n;

	(void)unused;
	connected(&r);
	for (n = 0; n < 5000; n++) {
		put32(frame + 50, n);
		input(&r, frame, sizeof frame, (struct net_frame){0});
	}
	assert_int_equal(word(&r, RX, RSP_PROD), 0);
	assert_int_equal(word(&r, RX, REQ_EVENT), 1);
	/* It gives buffers: the oldest frames come, in order, and it is to tell again. */
	for (n = 0; n < 1024; ) {
		post_buffers(&r, 32);
		kick(&r, 1);
		for (unsigned i = 0; i < 32; i++, n++)
			assert_int_equal(get32(r.b->page[BUF + n % 40] + 50), n);
		assert_int_equal(word(&r, RX, RSP_PROD), n);
		if (n < 1024)
			assert_int_equal(word(&r, RX, REQ_EVENT), n + 1);
	}
	post_buffers(&r, 32);
	kick(&r, 1);
	assert_int_equal(word(&r, RX, RSP_PROD), 1024); /* the others were lost */
	destroy(&r);
}

/* What the guest did not ask for it does not get. */
static void suits(void **unused)
{
	static uint8_t frame[9000];
	struct net_frame blank = { .csum_blank = true };
	struct rig r;

	(void)unused;
	make_tcp(frame, sizeof frame);
	create(&r);
	front(&r);
	set(&r, "feature-sg", "0");
	set(&r, "feature-no-csum-offload", "1");
	set(&r, "xdp-headroom", "256");
	assert_int_equal(r.dev->ops->connect(r.dev), 0);
	post_buffers(&r, 40);
	input(&r, frame, 9000, (struct net_frame){0});
	input(&r, frame, 3900, (struct net_frame){0});
	input(&r, frame, 300, (struct net_frame){ .gso = NET_GSO_TCP4, .gso_size = 100 });
	assert_int_equal(word(&r, RX, RSP_PROD), 0);
	make_tcp(frame, 300);
	input(&r, frame, 300, blank);
	assert_int_equal(word(&r, RX, RSP_PROD), 1);
	assert_int_equal(get16(slot(&r, RX, 0) + 2), 256);
	assert_int_equal(get16(slot(&r, RX, 0) + 4), 0);
	net_csum_complete(frame, 300);
	assert_memory_equal(r.b->page[BUF] + 256, frame, 300);
	destroy(&r);
}

/* No frame is longer than the interface's MTU, in neither direction. */
static void wires(void **unused)
{
	static uint8_t frame[9000];
	struct net_frame gso = { .csum_blank = true, .gso = NET_GSO_TCP4, .gso_size = 1448 };
	struct vif_spec spec;
	struct ttd_error e;
	struct rig r = {0};

	(void)unused;
	assert_int_equal(vif_spec_parse("", "d", 0, &spec, NULL, NULL, &e), 0);
	r.v = vif_create(&spec, 0, false, &e);
	r.dev = vif_dev(r.v);
	r.b = fb_create(r.dev);
	vif_capture(r.v, watch, &r);
	assert_int_equal(r.dev->ops->announce(r.dev, &e), 0);
	front(&r);
	assert_int_equal(r.dev->ops->connect(r.dev), 0);
	post_buffers(&r, 40);
	memset(frame, 0, sizeof frame);
	input(&r, frame, 1515, (struct net_frame){ .csum_ok = true });
	assert_int_equal(word(&r, RX, RSP_PROD), 0);
	input(&r, frame, 1514, (struct net_frame){ .csum_ok = true });
	assert_int_equal(word(&r, RX, RSP_PROD), 1);
	frame[12] = 0x81; /* a VLAN's tag is not counted */
	input(&r, frame, 1518, (struct net_frame){ .csum_ok = true });
	assert_int_equal(word(&r, RX, RSP_PROD), 2);
	tx(&r, BUF + 39, 0, 0, 1, 1519);
	kick(&r, 0);
	assert_int_equal(status(&r, 0), NETIF_RSP_OKAY); /* it is lost later */
	assert_int_equal(r.b->sent, 0);
	tx(&r, BUF + 39, 0, 0, 1, 1514);
	kick(&r, 0);
	assert_int_equal(r.b->sent, 1);
	make_tcp(frame, sizeof frame);
	input(&r, frame, sizeof frame, gso);
	assert_int_equal(word(&r, RX, RSP_PROD), 2 + 4); /* three pages and the extra */
	gso.gso_size = 1501;
	input(&r, frame, sizeof frame, gso);
	assert_int_equal(word(&r, RX, RSP_PROD), 6);

	/* The next driver does not take several in one: what was on its way is dropped. */
	r.dev->ops->disconnect(r.dev);
	memset(r.b->port, 0, sizeof r.b->port);
	memset(r.b->page[RX], 0, DEV_PAGE);
	memset(r.b->page[TX], 0, DEV_PAGE);
	set(&r, "feature-gso-tcpv4", "0");
	assert_int_equal(r.dev->ops->connect(r.dev), 0);
	post_buffers(&r, 40);
	gso.gso_size = 1448;
	input(&r, frame, sizeof frame, gso);
	assert_int_equal(word(&r, RX, RSP_PROD), 0);
	input(&r, frame, sizeof frame, (struct net_frame){ .csum_ok = true });
	assert_int_equal(word(&r, RX, RSP_PROD), 0);
	destroy(&r);
}

static void groups(void **unused)
{
	uint8_t frame[60] = { 0x33, 0x33, 0, 0, 0, 1 }, wide[60];
	struct rig r;

	(void)unused;
	memset(wide, 0xff, sizeof wide);
	connected(&r);
	set(&r, "request-multicast-control", "1");
	r.dev->ops->changed(r.dev, "request-multicast-control");
	post_buffers(&r, 40);
	input(&r, frame, sizeof frame, (struct net_frame){0});
	assert_int_equal(word(&r, RX, RSP_PROD), 0);
	input(&r, wide, sizeof wide, (struct net_frame){0});
	assert_int_equal(word(&r, RX, RSP_PROD), 1);
	tx(&r, 0, 0, NETTXF_extra_info, 0, 0);
	tx_extra(&r, XEN_NETIF_EXTRA_TYPE_MCAST_ADD, 0, 0, 0);
	memcpy(slot(&r, TX, 1) + 2, frame, 6);
	kick(&r, 0);
	assert_int_equal(status(&r, 0), NETIF_RSP_OKAY);
	assert_int_equal(r.b->sent, 0);
	input(&r, frame, sizeof frame, (struct net_frame){0});
	assert_int_equal(word(&r, RX, RSP_PROD), 2);
	tx(&r, 0, 0, NETTXF_extra_info, 0, 0);
	tx_extra(&r, XEN_NETIF_EXTRA_TYPE_MCAST_DEL, 0, 0, 0);
	memcpy(slot(&r, TX, 3) + 2, frame, 6);
	kick(&r, 0);
	input(&r, frame, sizeof frame, (struct net_frame){0});
	assert_int_equal(word(&r, RX, RSP_PROD), 2);
	destroy(&r);
}

static void controls(void **unused)
{
	struct rig r;

	(void)unused;
	create(&r);
	front(&r);
	set(&r, "ctrl-ring-ref", "3");
	set(&r, "event-channel-ctrl", "11");
	put32(r.b->page[CTRL] + RSP_EVENT, 1);
	assert_int_equal(r.dev->ops->connect(r.dev), 0);
	put16(r.b->page[CTRL] + 64, 5);
	put16(r.b->page[CTRL] + 66, XEN_NETIF_CTRL_TYPE_GET_HASH_FLAGS);
	put32(r.b->page[CTRL], 1);
	kick(&r, 2);
	assert_int_equal(get32(r.b->page[CTRL] + RSP_PROD), 1);
	assert_int_equal(get16(r.b->page[CTRL] + 64), 5);
	assert_int_equal(get32(r.b->page[CTRL] + 68), XEN_NETIF_CTRL_STATUS_NOT_SUPPORTED);
	assert_int_equal(r.b->raised[2], 1);
	destroy(&r);
}

/* ---- state, and anything at all ---- */

static void saved(struct rig *r, struct wbuf *w)
{
	w->len = 0;
	r->dev->ops->save(r->dev, w, DEV_SAVE_ALL);
	assert_false(w->bad);
}

static void mischief(struct rig *r)
{
	static uint8_t frame[66000];
	unsigned ring = TX + (unsigned)below(2);

	switch (below(12)) {
	case 0:
		r->b->page[ring][below(64 + 300)] = (uint8_t)below(256);
		break;
	case 1:
		put32(r->b->page[ring], word(r, ring, REQ_PROD) + (uint32_t)below(300));
		break;
	case 2:
		post_buffers(r, (unsigned)below(40));
		break;
	case 3:
		r->b->grant[below(FB_GRANTS)].valid ^= 1;
		break;
	case 4:
	case 5:
		make_tcp(frame, 54 + (unsigned)below(65000));
		input(r, frame, 14 + (unsigned)below(65536), (struct net_frame){
			.csum_blank = below(2), .gso = below(2) ? NET_GSO_TCP4 : 0, .gso_size = 0 });
		break;
	case 6:
		for (size_t i = 0; i < 100; i++)
			frame[i] = (uint8_t)below(256);
		r->dev->ops->apply(r->dev, frame, below(100));
		break;
	default:
		for (unsigned k = (unsigned)below(20) + 1; k > 0; k--) {
			if (below(10) == 0)
				tx_extra(r, (unsigned)below(6), (unsigned)below(2), (unsigned)below(3000),
					(unsigned)below(4));
			else
				tx(r, (unsigned)below(FB_GRANTS + 2), (unsigned)below(4200),
					(unsigned)below(16), k, (unsigned)below(5) ? 60 :
					(unsigned)below(65536));
		}
		kick(r, (unsigned)below(4));
		break;
	}
}

static void hostile(void **unused)
{
	struct wbuf a = {0}, b = {0};

	(void)unused;
	printf("seed %llu\n", (unsigned long long)seed);
	for (unsigned round = 0; round < 300; round++) {
		struct rig r, copy;

		connected(&r);
		for (unsigned i = 0; i < 200; i++)
			mischief(&r);
		/* A copy made of its state goes on in the same way. */
		connected(&copy);
		saved(&r, &a);
		assert_int_equal(copy.dev->ops->load(copy.dev, &(struct rbuf){ .p = a.p, .len = a.len }),
			0);
		memcpy(copy.b->page, r.b->page, sizeof r.b->page);
		memcpy(copy.b->grant, r.b->grant, sizeof r.b->grant);
		for (unsigned i = 0; i < 50; i++) {
			uint64_t was = state;

			mischief(&r);
			state = was;
			mischief(&copy);
		}
		saved(&r, &a);
		saved(&copy, &b);
		assert_int_equal(a.len, b.len);
		assert_memory_equal(a.p, b.p, a.len);
		assert_memory_equal(copy.b->page, r.b->page, sizeof r.b->page);
		/* A damaged state is refused, or is one. */
		for (unsigned k = 0; k < 20 && a.len > 0; k++) {
			a.p[below(a.len)] = (uint8_t)below(256);
			copy.dev->ops->load(copy.dev, &(struct rbuf){ .p = a.p, .len = below(a.len + 1) });
		}
		destroy(&r);
		destroy(&copy);
	}
	wbuf_free(&a);
	wbuf_free(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(announces), cmocka_unit_test(connects), cmocka_unit_test(transmits),
		cmocka_unit_test(refuses), cmocka_unit_test(breaks), cmocka_unit_test(receives),
		cmocka_unit_test(waits), cmocka_unit_test(suits), cmocka_unit_test(wires), cmocka_unit_test(groups),
		cmocka_unit_test(controls), cmocka_unit_test(hostile),
	};
	const char *text = getenv("SEED");

	seed = text != NULL ? strtoull(text, NULL, 0) : 20260722;
	state = seed * 2 + 1;
	return cmocka_run_group_tests(tests, NULL, NULL);
}
