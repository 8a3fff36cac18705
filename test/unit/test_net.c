/*
 * test_net.c - frames (checksums, segment sizes) and the specifications of
 * interfaces; libslirp as a host side, without a guest: ARP and DHCP answered.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <unistd.h>

#include "dev/net_host.h"

static uint64_t state = 88172645463325252;

static uint64_t below(uint64_t n)
{
	state ^= state << 13;
	state ^= state >> 7;
	state ^= state << 17;
	return (state * UINT64_C(0x2545f4914f6cdd1d) >> 11) % n;
}

/* ---- frames ---- */

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

/* As the RFCs say it, word by word. */
static unsigned slow_sum(const uint8_t *addr, unsigned n_addr, unsigned proto, const uint8_t *l4,
	unsigned n)
{
	uint32_t sum = proto + n;

	for (unsigned i = 0; i < n_addr; i += 2)
		sum += be16(addr + i);
	for (unsigned i = 0; i < n; i++)
		sum += i & 1 ? l4[i] : (uint32_t)l4[i] << 8;
	while (sum >> 16)
		sum = (sum & 0xffff) + (sum >> 16);
	return sum;
}

/* Random bytes that are TCP or UDP; returns the length. */
static unsigned make(uint8_t *p, bool v6, unsigned proto, unsigned *l4)
{
	unsigned n = 14 + 60 + 40 + (unsigned)below(below(2) ? 100 : 60000), ip = v6 ? 40 : 20;

	for (unsigned i = 0; i < n; i++)
		p[i] = (uint8_t)below(256);
	p[12] = v6 ? 0x86 : 8;
	p[13] = v6 ? 0xdd : 0;
	if (v6) {
		p[14] = 0x60;
		p[18] = (uint8_t)((n - 54) >> 8);
		p[19] = (uint8_t)(n - 54);
		p[20] = (uint8_t)proto;
	} else {
		ip += 4 * (unsigned)below(11);
		p[14] = (uint8_t)(0x40 | ip / 4);
		p[16] = (uint8_t)((n - 14) >> 8);
		p[17] = (uint8_t)(n - 14);
		p[20] = (uint8_t)(below(2) * 0x40);
		p[21] = 0;
		p[23] = (uint8_t)proto;
	}
	*l4 = 14 + ip;
	if (proto == 6)
		p[*l4 + 12] = (uint8_t)(0x50 | (p[*l4 + 12] & 15));
	return n;
}

static void sums(void **unused)
{
	static uint8_t p[66000];

	(void)unused;
	for (unsigned i = 0; i < 3000; i++) {
		bool v6 = below(2);
		unsigned proto = below(2) ? 6 : 17, l4, n = make(p, v6, proto, &l4), sum;
		const uint8_t *addr = p + 14 + (v6 ? 8 : 12);

		assert_true(net_csum_complete(p, n));
		assert_int_equal(slow_sum(addr, v6 ? 32 : 8, proto, p + l4, n - l4), 0xffff);
		assert_true(net_csum_blank(p, n));
		sum = be16(p + l4 + (proto == 6 ? 16 : 6));
		assert_int_equal(sum, slow_sum(addr, v6 ? 32 : 8, proto + n - l4, p, 0));
		assert_int_equal(net_tcp_kind(p, n), proto != 6 ? NET_GSO_NONE
			: v6 ? NET_GSO_TCP6 : NET_GSO_TCP4);
		assert_false(net_csum_complete(p, l4 + 7)); /* cut short */
		if (!v6) {
			p[20] |= 0x20; /* a fragment */
			assert_false(net_csum_complete(p, n));
		}
	}
}

static void segment_sizes(void **unused)
{
	static uint8_t p[66000];
	unsigned l4, n;

	(void)unused;
	for (unsigned i = 0; i < 2000; i++) {
		static const uint8_t opts[20] = { 1, 4, 2, 2, 4, 0x05, 0xb4, 3, 3, 7, 1, 1, 1, 0 };

		n = make(p, i & 1, 6, &l4);
		p[l4 + 12] = 0xa0;
		p[l4 + 13] = i & 2 ? 2 : 0x10;
		memcpy(p + l4 + 20, opts + 1, 19);
		p[l4 + 20] = 1;
		memcpy(p + l4 + 21, opts + 3, 16);
		net_csum_complete(p, n);
		net_raise_mss(p, n, 30000);
		assert_int_equal(be16(p + l4 + 23), i & 2 ? 30000 : 1460);
		assert_int_equal(slow_sum(p + 14 + (i & 1 ? 8 : 12), i & 1 ? 32 : 8, 6, p + l4, n - l4),
			0xffff);
		net_raise_mss(p, n, 20000);
		assert_int_equal(be16(p + l4 + 23), i & 2 ? 30000 : 1460 );
		/* Options that make no sense. */
		for (unsigned k = 0; k < 40; k++)
			p[l4 + 20 + k] = (uint8_t)below(below(2) ? 8 : 256);
		p[l4 + 12] = (uint8_t)(below(16) << 4);
		p[l4 + 13] = 2;
		net_raise_mss(p, l4 + 20 + (unsigned)below(60), 9000);
	}
}

static void prefixes(void **unused)
{
	uint8_t p[100] = {0};
	struct net_frame f = { .p = p, .len = 60, .csum_blank = true, .gso = NET_GSO_TCP6,
		.gso_size = 1440 }, g;

	(void)unused;
	net_frame_prefix(&f, p);
	assert_int_equal(net_frame_unpack(p, 64, &g), 0);
	assert_ptr_equal(g.p, p + NET_PREFIX);
	assert_true(g.csum_blank && !g.csum_ok && g.gso == NET_GSO_TCP6 && g.gso_size == 1440);
	assert_int_equal(g.len, 60);
	assert_int_equal(net_frame_unpack(p, 17, &g), -1);
	p[1] = 3;
	assert_int_equal(net_frame_unpack(p, 64, &g), -1);
	p[1] = 0;
	assert_int_equal(net_frame_unpack(p, 64, &g), -1);
	p[2] = p[3] = 0;
	assert_int_equal(net_frame_unpack(p, 64, &g), 0);
	p[0] = 4;
	assert_int_equal(net_frame_unpack(p, 64, &g), -1);
}

static void fragments(void **unused)
{
	static uint8_t p[66000], out[66000], whole[66000];

	(void)unused;
	for (unsigned i = 0; i < 1000; i++) {
		unsigned l4, n = make(p, false, 17, &l4), mtu = 68 + (unsigned)below(9000), count = 0;
		size_t at = 0, k, got = 0;

		p[20] = p[21] = 0;
		while ((k = net_fragment(p, n, mtu, &at, out)) != 0) {
			assert_true(k <= mtu + 14u);
			assert_int_equal(k, 14 + be16(out + 16));
			assert_int_equal(be16(out + 20) & 0x1fff, got / 8);
			assert_int_equal(net_sum_fold(net_sum(0, out + 14, l4 - 14)), 0xffff);
			memcpy(whole + got, out + l4, k - l4);
			got += k - l4;
			assert_int_equal((be16(out + 20) & 0x2000) != 0, got < n - l4);
			count++;
		}
		assert_int_equal(got, n - l4);
		assert_memory_equal(whole, p + l4, got);
		at = 0;
		assert_int_equal(net_fragment(p, n - 1, mtu, &at, out), 0);
		p[21] = 1; /* it is one already */
		assert_int_equal(net_fragment(p, n, mtu, &at, out), 0);
	}
}

/* ---- specifications ---- */

static char warned[1000];

static void warn(void *ctx, const char *line)
{
	(void)ctx;
	strcat(warned, line);
	strcat(warned, "\n");
}

static int parse(const char *text, struct vif_spec *s, struct ttd_error *e)
{
	warned[0] = '\0';
	return vif_spec_parse(text, "debian", 1, s, warn, NULL, e);
}

static void specifications(void **unused)
{
	static const char *const good[] = { "", "user", "tap", "none", "backend=tap,ifname=tap0",
		" mac = 00:16:3E:aa:bb:cc , backend=user", "hostfwd=tcp:127.0.0.1:8080-:80",
		"hostfwd=udp:0.0.0.0:53-10.0.2.15:53,hostfwd=tcp::1-:2,ipv6=1,mtu=9000",
		"type=vif,script=vif-bridge,bridge=xenbr0,rate=1MB/s", "backend=dom0", "tap,vifname=x" };
	static const char *const bad[] = { "foo", "foo=1", "mac=", "mac=00:16:3e:00:00", "mac=0:1:2:3:4:5",
		"mac=01:00:00:00:00:00", "mac=00:16:3e:00:00:0g", "mac=00-16-3e-00-00-01", "backend=xen",
		"hostfwd=", "hostfwd=tcp", "hostfwd=tcp:80", "hostfwd=tcp:1-2", "hostfwd=icmp::1-:2",
		"hostfwd=tcp::0-:2", "hostfwd=tcp::70000-:2", "hostfwd=tcp:host:1-:2", "mtu=67", "mtu=x",
		"ipv6=yes", "ifname=0123456789abcdef", "ifname=a/b", "ifname=%d", "bridge=..", "type=pci",
		"hostfwd=tcp:1.2.3.4.5:1-:2", "=", "mac" };
	struct vif_spec a, b;
	char text[VIF_TEXT], again[VIF_TEXT];
	struct ttd_error e;

	(void)unused;
	for (size_t i = 0; i < sizeof good / sizeof *good; i++) {
		if (parse(good[i], &a, &e) != 0)
			fail_msg("%s: %s", good[i], e.text);
		vif_spec_text(&a, text);
		assert_int_equal(parse(text, &b, &e), 0);
		vif_spec_text(&b, again);
		assert_string_equal(text, again);
	}
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
		assert_int_equal(parse(bad[i], &a, &e), -1);
		assert_int_equal(e.status, TTD_USAGE);
		assert_non_null(strstr(e.text, "vif '"));
	}
	parse("user", &a, &e);
	assert_memory_equal(a.mac, "\0\x16\x3e", 3);
	parse("none", &b, &e);
	assert_memory_equal(a.mac, b.mac, 6);
	vif_spec_parse("", "debian", 0, &b, NULL, NULL, &e);
	assert_memory_not_equal(a.mac, b.mac, 6);
	vif_spec_parse("", "other", 1, &b, NULL, NULL, &e);
	assert_memory_not_equal(a.mac, b.mac, 6);
	parse("bridge=b,script=s", &a, &e);
	assert_string_equal(warned, "vif 'bridge=b,script=s': bridge has no effect with backend=user; "
		"it needs backend=tap\nvif 'bridge=b,script=s': script has no effect here and is ignored\n");
	assert_int_equal(parse("hostfwd=tcp::8080-:80", &a, &e), 0);
	assert_int_equal(a.forward[0].host, 0x7f000001);
	strcpy(text, "user");
	for (int i = 0; i < VIF_FORWARDS + 1; i++)
		strcat(text, ",hostfwd=tcp:255.255.255.255:65535-255.255.255.255:65535");
	assert_int_equal(parse(text, &a, &e), -1);
	*strrchr(text, ',') = '\0';
	assert_int_equal(parse(text, &a, &e), 0);
	vif_spec_text(&a, again);
	assert_int_equal(parse(again, &b, &e), 0);
	assert_int_equal(b.nforwards, VIF_FORWARDS);
}

/* ---- libslirp ---- */

struct wire {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned n;
	uint8_t last[2000];
	uint32_t len;
};

static void heard(void *ctx, uint8_t *prefix, const struct net_frame *f)
{
	struct wire *w = ctx;

	assert_ptr_equal(f->p, prefix + NET_PREFIX);
	memset(prefix, 0xff, NET_PREFIX);
	pthread_mutex_lock(&w->lock);
	w->len = f->len < sizeof w->last ? f->len : sizeof w->last;
	memcpy(w->last, f->p, w->len);
	w->n++;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

static void ask(struct net_host *h, struct wire *w, const uint8_t *p, uint32_t n)
{
	struct net_frame f = { .p = p, .len = n };
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 20;
	pthread_mutex_lock(&w->lock);
	w->n = 0;
	h->ops->send(h, &f);
	while (w->n == 0)
		assert_int_equal(pthread_cond_timedwait(&w->more, &w->lock, &ts), 0);
	pthread_mutex_unlock(&w->lock);
}

static bool has_option(const uint8_t *p, size_t n, unsigned code, const char *value, unsigned len)
{
	for (size_t i = 42 + 240; i + 2 < n && p[i] != 255; i += p[i] == 0 ? 1 : 2u + p[i + 1])
		if (p[i] == code)
			return p[i + 1] == len && memcmp(p + i + 2, value, len) == 0;
	return false;
}

static void user_network(void **unused)
{
	/* DHCP: discover. */
	static const uint8_t discover[14 + 28 + 240 + 60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x16,
		0x3e, 0, 0, 1, 8, 0, 0x45, 0, 0x01, 0x48, 0, 0, 0, 0, 64, 17, 0x79, 0xa6, 0, 0, 0, 0,
		0xff, 0xff, 0xff, 0xff, 0, 68, 0, 67, 0x01, 0x34, 0, 0, 1, 1, 6, 0, 1, 2, 3, 4,
		[42 + 28] = 0, 0x16, 0x3e, 0, 0, 1,
		[42 + 236] = 0x63, 0x82, 0x53, 0x63, 53, 1, 1, 55, 2, 1, 26, 255 };

	static const uint8_t arp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0, 0x16, 0x3e, 0, 0, 1, 8,
		6, 0, 1, 8, 0, 6, 4, 0, 1, 0, 0x16, 0x3e, 0, 0, 1, 10, 0, 3, 15, 0, 0, 0, 0, 0, 0,
		10, 0, 3, 2 };
	struct wire w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	struct net_frame f;
	struct vif_spec s;
	struct net_host *h;
	uint8_t junk[1600];
	struct ttd_error e;

	(void)unused;
	assert_int_equal(parse("user,ipv6=1", &s, &e), 0);
	h = net_host_open(&s, 1, heard, &w, &e); /* interface 1: 10.0.3.0/24 */
	assert_non_null(h);
	ask(h, &w, arp, sizeof arp);
	assert_int_equal(w.last[21], 2); /* a reply */
	assert_memory_equal(w.last + 28, "\x0a\0\x03\x02", 4);
	/* Whatever comes, it stays alive. */
	for (unsigned i = 0; i < 3000; i++) {
		unsigned n = 14 + (unsigned)below(sizeof junk - 14);

		for (unsigned k = 0; k < n; k++)
			junk[k] = (uint8_t)below(256);
		junk[12] = below(2) ? 8 : 0x86;
		junk[13] = junk[12] == 8 ? 0 : 0xdd;
		junk[14] = junk[12] == 8 ? 0x45 : 0x60;
		f = (struct net_frame){ .p = junk, .len = n, .csum_blank = below(2) };
		h->ops->send(h, &f);
	}
	ask(h, &w, arp, sizeof arp);
	h->ops->close(h);
	/* A lease with another MTU. */
	assert_int_equal(parse("user,mtu=9000", &s, &e), 0);
	h = net_host_open(&s, 1, heard, &w, &e);
	assert_non_null(h);
	ask(h, &w, discover, sizeof discover);
	assert_true(has_option(w.last, w.len, 26, "\x23\x28", 2));
	assert_true(net_csum_complete(w.last, w.len));
	h->ops->close(h);
	/* None behind it: no host side, no error. */
	assert_int_equal(parse("none", &s, &e), 0);
	assert_null(net_host_open(&s, 0, heard, &w, &e));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(sums), cmocka_unit_test(segment_sizes), cmocka_unit_test(prefixes),
		cmocka_unit_test(fragments),
		cmocka_unit_test(specifications), cmocka_unit_test(user_network),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
