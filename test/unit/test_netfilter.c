/*
 * test_netfilter.c - what a guest on the user-mode network may reach: the verdicts one by one,
 * and with libslirp behind them and real sockets on the host's loopback.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <arpa/inet.h>
#include <cmocka.h>
#include <linux/ipv6.h>
#include <net/if.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "dev/net_defrag.h"
#include "dev/net_filter.h"
#include "dev/net_host.h"
#include "dev/net_ping.h"

enum { ICMP = 1, TCP = 6, UDP = 17, SYN = 2, ACK = 16, RST = 4 };
enum { WHOLE = 0, FIRST = 0x2000, LATER = 1 };

static const uint8_t guest_mac[6] = { 0, 0x16, 0x3e, 0, 0, 1 };

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static unsigned be16(const uint8_t *p) { return (unsigned)p[0] << 8 | p[1]; }

static void head(uint8_t *p, size_t n, unsigned type)
{
	memset(p, 0, n);
	memset(p, 0x52, 6);
	memcpy(p + 6, guest_mac, 6);
	put16(p + 12, type);
}

/* A frame of the guest's; the ports are of no matter to ICMP, which is an echo request. */
static size_t frame4(uint8_t p[100], unsigned proto, const char *dst, unsigned from, unsigned to,
	unsigned flags, unsigned frag)
{
	size_t l4 = proto == TCP ? 20 : 8 + 4;
	uint16_t sum;

	head(p, 100, 0x0800);
	p[14] = 0x45;
	put16(p + 16, (unsigned)(20 + l4));
	put16(p + 20, frag);
	p[22] = 64;
	p[23] = (uint8_t)proto;
	inet_pton(AF_INET, "10.0.2.15", p + 26);
	inet_pton(AF_INET, dst, p + 30);
	sum = (uint16_t)~net_sum_fold(net_sum(0, p + 14, 20));
	memcpy(p + 24, &sum, 2);
	put16(p + 34, from);
	put16(p + 36, to);
	if (proto == TCP) {
		p[46] = 0x50;
		p[47] = (uint8_t)flags;
		put16(p + 48, 1000);
	} else if (proto == UDP) {
		put16(p + 38, 12);
		memcpy(p + 42, "data", 4);
	} else {
		put16(p + 34, 0x0800);
	}
	net_csum_complete(p, 34 + l4);
	return 34 + l4;
}

static size_t frame6(uint8_t p[100], unsigned proto, const char *dst, unsigned to)
{
	size_t l4 = proto == TCP ? 20 : 12;

	head(p, 100, 0x86dd);
	p[14] = 0x60;
	put16(p + 18, (unsigned)l4);
	p[20] = (uint8_t)proto;
	p[21] = 64;
	inet_pton(AF_INET6, "fd00:d00:0:2::15", p + 22);
	inet_pton(AF_INET6, dst, p + 38);
	put16(p + 54, 1024);
	put16(p + 56, to);
	p[66] = 0x50;
	p[67] = SYN;
	if (proto == 58)
		p[54] = (uint8_t)to;
	return 54 + l4;
}

static struct net_filter filter(bool loopback, bool restricted)
{
	struct net_filter f = { .host = 0x0a000202, .names = 0x0a000203, .lease = 0x0a00020f,
		.loopback = loopback, .restricted = restricted };

	inet_pton(AF_INET6, "fd00:d00:0:2::2", f.host6);
	inet_pton(AF_INET6, "fd00:d00:0:2::3", f.names6);
	return f;
}

/* Letters: what becomes of it by default, with hostloopback=1, with restrict=1. */
static void check(const char *want, const uint8_t *p, size_t n, const char *what)
{
	static const char letters[] = "PDR"; /* pass, drop, refuse */

	for (unsigned i = 0; i < 3; i++) {
		struct net_filter f = filter(i == 1, i == 2);
		char got = letters[net_filter_sent(&f, p, n)];

		if (got != want[i])
			fail_msg("%s, case %u: %c, not %c", what, i, got, want[i]);
	}
}

static void verdicts4(void **unused)
{
	static const struct {
		const char *want;
		unsigned proto;
		const char *dst;
		unsigned to, flags, frag;
	} rows[] = {
		/* The router: it is pinged, and gives leases; behind it is the loopback. */
		{ "RPR", TCP, "10.0.2.2", 80, SYN, WHOLE }, { "PPP", TCP, "10.0.2.2", 80, ACK, WHOLE },
		{ "PPP", TCP, "10.0.2.2", 80, SYN | ACK, WHOLE },
		{ "PPP", TCP, "10.0.2.2", 80, RST, WHOLE }, { "RPR", TCP, "10.0.2.2", 80, SYN | 1, WHOLE },
		{ "DDD", TCP, "10.0.2.2", 80, ACK, FIRST }, { "DDD", TCP, "10.0.2.2", 80, ACK, LATER },
		{ "RPR", UDP, "10.0.2.2", 53, 0, WHOLE }, { "DDD", UDP, "10.0.2.2", 53, 0, LATER },
		{ "RPR", UDP, "10.0.2.2", 69, 0, WHOLE }, { "PPP", UDP, "10.0.2.2", 67, 0, WHOLE },
		{ "DDD", UDP, "10.0.2.2", 67, 0, FIRST }, { "PPP", ICMP, "10.0.2.2", 0, 0, WHOLE },
		{ "RPR", 132, "10.0.2.2", 80, 0, WHOLE },
		/* The name server. */
		{ "PPR", UDP, "10.0.2.3", 53, 0, WHOLE }, { "PPR", TCP, "10.0.2.3", 53, SYN, WHOLE },
		{ "RRR", UDP, "10.0.2.3", 123, 0, WHOLE }, { "RRR", TCP, "10.0.2.3", 80, SYN, WHOLE },
		{ "DDD", UDP, "10.0.2.3", 53, 0, FIRST }, { "DDD", UDP, "10.0.2.3", 53, 0, LATER },
		{ "PPP", ICMP, "10.0.2.3", 0, 0, WHOLE },
		/* Never. */
		{ "RRR", TCP, "127.0.0.1", 80, SYN, WHOLE }, { "RRR", UDP, "127.1.2.3", 53, 0, WHOLE },
		{ "RRR", ICMP, "127.0.0.1", 0, 0, WHOLE }, { "RRR", TCP, "127.0.0.1", 80, ACK, WHOLE },
		{ "RRR", TCP, "0.0.0.0", 80, SYN, WHOLE }, { "RRR", TCP, "0.1.2.3", 80, SYN, WHOLE },
		{ "RRR", TCP, "169.254.169.254", 80, SYN, WHOLE },
		{ "DDD", UDP, "169.254.0.1", 80, 0, LATER }, { "RRR", UDP, "224.0.0.251", 5353, 0, WHOLE },
		{ "RRR", UDP, "239.255.255.250", 1900, 0, WHOLE }, { "RRR", TCP, "240.0.0.1", 80, SYN, WHOLE },
		{ "RRR", UDP, "255.255.255.255", 80, 0, WHOLE },
		{ "PPP", UDP, "255.255.255.255", 67, 0, WHOLE },
		{ "RRR", TCP, "168.63.129.16", 80, SYN, WHOLE },
		{ "RRR", TCP, "100.100.100.200", 80, SYN, WHOLE },
		{ "RRR", TCP, "192.0.0.192", 80, SYN, WHOLE },
		{ "RRR", TCP, "10.0.2.7", 80, SYN, WHOLE }, { "RRR", UDP, "10.0.2.255", 137, 0, WHOLE },
		/* The world; another interface's network is a part of it. */
		{ "PPR", TCP, "192.0.2.1", 80, SYN, WHOLE }, { "PPR", UDP, "192.0.2.1", 53, 0, WHOLE },
		{ "DDD", UDP, "192.0.2.1", 53, 0, LATER }, { "PPR", ICMP, "192.0.2.1", 0, 0, WHOLE },
		{ "PPP", TCP, "192.0.2.1", 80, ACK, WHOLE }, { "PPR", TCP, "10.0.3.2", 80, SYN, WHOLE },
		{ "PPR", TCP, "168.63.129.17", 80, SYN, WHOLE }, { "PPR", TCP, "223.255.255.255", 9, SYN, WHOLE },
		{ "PPR", TCP, "169.253.1.1", 80, SYN, WHOLE }, { "PPR", TCP, "128.0.0.1", 80, SYN, WHOLE },
	};
	uint8_t p[100];

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = frame4(p, rows[i].proto, rows[i].dst, 1024, rows[i].to, rows[i].flags,
			rows[i].frag);
		struct net_filter f = filter(false, true);

		check(rows[i].want, p, n, rows[i].dst);
		/* Cut short, or with options that hide the ports, it opens nothing. */
		for (size_t k = 0; k < n; k++)
			assert_int_equal(net_filter_sent(&f, p, k), NET_DROP);
	}
	frame4(p, TCP, "127.0.0.1", 1, 80, SYN, WHOLE);
	p[14] = 0x44;
	check("DDD", p, 54, "a short header");
	p[14] = 0x65;
	check("DDD", p, 54, "another version");
	frame4(p, TCP, "10.0.2.2", 1, 80, SYN, WHOLE);
	p[14] = 0x46; /* one word of options: the ports are after it */
	memmove(p + 38, p + 34, 20);
	put16(p + 16, 44);
	check("RPR", p, 58, "options");
	put16(p + 16, 24 + 13);
	check("RPR", p, 58, "a segment without its flags");
	put16(p + 12, 0x88f8);
	check("DDD", p, 58, "another protocol");
	put16(p + 12, 0x0806);
	check("PPP", p, 58, "ARP");
}

static void verdicts6(void **unused)
{
	static const struct {
		const char *want;
		unsigned proto;
		const char *dst;
		unsigned to; /* or ICMP's type */
	} rows[] = {
		{ "RPR", TCP, "fd00:d00:0:2::2", 80 }, { "RRR", TCP, "fd00:d00:0:2::4", 80 },
		{ "RRR", TCP, "fd00:d00:0:2::3", 80 }, { "PPR", TCP, "fd00:d00:0:2::3", 53 },
		{ "PPR", UDP, "fd00:d00:0:2::3", 53 }, { "PPP", UDP, "fd00:d00:0:2::2", 547 },
		{ "PPP", UDP, "ff02::1:2", 547 }, { "RRR", UDP, "ff02::1:2", 546 },
		{ "RRR", UDP, "ff02::1", 80 }, { "RRR", TCP, "::1", 80 }, { "RRR", TCP, "::", 80 },
		{ "RRR", TCP, "::127.0.0.1", 80 }, { "RRR", TCP, "::ffff:127.0.0.1", 80 },
		{ "RRR", TCP, "::ffff:192.0.2.1", 80 }, { "RRR", TCP, "fe80::2", 80 },
		{ "RRR", TCP, "febf::2", 80 }, { "RRR", TCP, "fec0::2", 80 },
		{ "RRR", TCP, "fd00:ec2::254", 80 }, { "RRR", TCP, "fd20:ce::254", 80 },
		{ "RRR", TCP, "64:ff9b::169.254.169.254", 80 }, { "RRR", TCP, "2002:7f00:1::", 80 },
		{ "PPR", TCP, "64:ff9b::192.0.2.1", 80 }, { "PPR", TCP, "2002:c000:201::", 80 },
		{ "PPR", TCP, "2001:db8::1", 80 }, { "PPR", UDP, "2001:db8::1", 80 },
		{ "PPR", TCP, "fd00:ec2::253", 80 },
		{ "PPP", 58, "ff02::1:ff00:2", 135 }, { "PPP", 58, "fd00:d00:0:2::2", 128 },
		{ "PPP", 58, "fe80::2", 136 }, { "RRR", 58, "ff02::16", 143 },
		{ "PPR", 58, "2001:db8::1", 128 }, { "RRR", 58, "::1", 128 },
		{ "DDD", 0, "2001:db8::1", 80 }, { "DDD", 44, "2001:db8::1", 80 },
	};
	uint8_t p[100];

	(void)unused;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		size_t n = frame6(p, rows[i].proto, rows[i].dst, rows[i].to);
		struct net_filter f = filter(true, false);

		check(rows[i].want, p, n, rows[i].dst);
		for (size_t k = 0; k < 14 + 48; k++)
			assert_int_equal(net_filter_sent(&f, p, k), NET_DROP);
	}
}

/* A datagram for a forwarded port opens the way back to its sender, and no other. */
static void peers(void **unused)
{
	struct net_filter f = filter(false, true);
	uint8_t p[100], back[100];
	size_t n;

	(void)unused;
	f.nforwards = 1;
	f.forward[0] = (struct vif_forward){ .udp = true, .guest_port = 5353 };
	for (unsigned i = 0; i < 3 * NET_PEERS; i++) {
		n = frame4(p, UDP, "10.0.2.15", 1000 + i, 5353, 0, WHOLE);
		inet_pton(AF_INET, i & 1 ? "10.0.2.2" : "192.0.2.1", p + 26);
		frame4(back, UDP, i & 1 ? "10.0.2.2" : "192.0.2.1", 5353, 1000 + i, 0, WHOLE);
		assert_int_equal(net_filter_sent(&f, back, n), NET_REFUSE);
		net_filter_received(&f, p, n);
		net_filter_received(&f, p, n);
		assert_int_equal(net_filter_sent(&f, back, n), NET_PASS);
		assert_int_equal(f.npeers, i < NET_PEERS ? i + 1 : NET_PEERS);
	}
	put16(back + 34, 5354);
	assert_int_equal(net_filter_sent(&f, back, n), NET_REFUSE);
	put16(back + 34, 5353);
	put16(back + 36, 22);
	assert_int_equal(net_filter_sent(&f, back, n), NET_REFUSE);
	put16(back + 36, 1000 + 3 * NET_PEERS - 1);
	back[33] = 9;
	assert_int_equal(net_filter_sent(&f, back, n), NET_REFUSE);
	back[33] = 2;
	assert_int_equal(net_filter_sent(&f, back, n), NET_PASS);
	put16(back + 20, FIRST);
	assert_int_equal(net_filter_sent(&f, back, n), NET_DROP);
	put16(back + 20, LATER);
	assert_int_equal(net_filter_sent(&f, back, n), NET_DROP);
	/* To a port that is not forwarded, or by another protocol. */
	f.npeers = f.next = 0;
	put16(p + 36, 5354);
	net_filter_received(&f, p, n);
	put16(p + 36, 5353);
	p[23] = TCP;
	net_filter_received(&f, p, n);
	assert_int_equal(f.npeers, 0);
}

static void refusals(void **unused)
{
	struct net_filter f = filter(false, false);
	uint8_t p[100], out[NET_REFUSAL_MAX];
	uint8_t rest[4] = { 0, 0, 0, 58 };
	size_t n;

	(void)unused;
	n = net_filter_refusal(&f, p, frame4(p, TCP, "127.0.0.1", 1, 80, SYN, WHOLE), out);
	assert_int_equal(n, 14 + 20 + 8 + 28);
	assert_memory_equal(out, guest_mac, 6);
	assert_memory_equal(out + 14 + 12, "\x0a\0\x02\x02\x0a\0\x02\x0f", 8);
	assert_int_equal(net_sum_fold(net_sum(0, out + 14, 20)), 0xffff);
	assert_int_equal(net_sum_fold(net_sum(0, out + 34, n - 34)), 0xffff);
	assert_memory_equal(out + 34, "\3\x0d", 2);
	assert_memory_equal(out + 42, p + 14, 28);
	assert_int_equal(net_filter_refusal(&f, p, frame4(p, UDP, "169.254.1.1", 1, 2, 0, LATER), out), 0);
	assert_int_equal(net_filter_refusal(&f, p, frame4(p, UDP, "224.0.0.1", 1, 2, 0, WHOLE), out), 0);
	n = frame4(p, ICMP, "127.0.0.1", 0, 0, 0, WHOLE);
	assert_int_not_equal(net_filter_refusal(&f, p, n, out), 0);
	p[34] = 3; /* an error itself */
	assert_int_equal(net_filter_refusal(&f, p, n, out), 0);
	n = net_filter_refusal(&f, p, frame6(p, TCP, "::1", 80), out);
	assert_int_equal(n, 14 + 40 + 8 + 48);
	assert_int_equal(net_sum_fold(net_sum(net_sum(net_sum(net_sum(0, out + 22, 32), out + 18, 2), rest,
		4), out + 54, n - 54)), 0xffff);
	assert_int_equal(net_filter_refusal(&f, p, frame6(p, 58, "ff02::16", 143), out), 0);
	memset(p, 0xff, sizeof p);
	for (size_t k = 0; k <= sizeof p; k++) {
		p[k % 100] = (uint8_t)(k * 37);
		put16(p + 12, k & 1 ? 0x0800 : 0x86dd);
		p[14] = k & 1 ? 0x4f : 0x60;
		assert_true(net_filter_refusal(&f, p, k, out) <= NET_REFUSAL_MAX);
	}
}

/* An answer is what was asked, an error about it, or nothing. */
static void pings(void **unused)
{
	static struct net_pings g;
	uint8_t p[100] = {0}, r[100];
	size_t n = 14 + 20 + 8 + 40;

	(void)unused;
	frame4(p, ICMP, "192.0.2.9", 0, 0, 0, WHOLE);
	put16(p + 16, 20 + 8 + 40);
	memcpy(p + 38, "\x12\x34\0\7", 4);
	memset(p + 42, 'x', 40);
	net_ping_sent(&g, p, n);
	/* As libslirp makes an answer. */
	memcpy(r, p, sizeof r);
	memcpy(r + 26, p + 30, 4);
	memcpy(r + 30, p + 26, 4);
	r[34] = 0;
	assert_int_equal(net_ping_received(&g, r, n, 0x0a000202), n);
	r[41] = 8; /* a number that was not asked for */
	assert_int_equal(net_ping_received(&g, r, n, 0x0a000202), 0);
	r[41] = 7;
	r[60] = 'y'; /* other data */
	assert_int_equal(net_ping_received(&g, r, n, 0x0a000202), 0);
	/* An unreachable with its type overwritten: code, four bytes, what it is about. */
	r[35] = 1;
	memset(r + 40, 0, 42);
	memcpy(r + 42, p + 14, 28);
	memcpy(r + 42 + 12, "\xc6\x33\x64\1", 4); /* from the host */
	assert_int_equal(net_ping_received(&g, r, n, 0x0a000202), 14 + 20 + 8 + 28);
	assert_memory_equal(r + 34, "\3\1", 2);
	assert_memory_equal(r + 26, "\x0a\0\2\2\x0a\0\2\x0f", 8);
	assert_memory_equal(r + 54, p + 26, 8); /* the guest asked */
	assert_memory_equal(r + 62, p + 34, 8);
	assert_int_equal(net_sum_fold(net_sum(0, r + 14, 20)), 0xffff);
	assert_int_equal(net_sum_fold(net_sum(0, r + 34, 36)), 0xffff);
	assert_int_equal(net_sum_fold(net_sum(0, r + 42, 20)), 0xffff);
	/* About somebody else's ping. */
	r[34] = 0;
	put16(r + 16, 20 + 8 + 40);
	memcpy(r + 26, "\xc0\0\2\x09", 4);
	r[67] = 9;
	assert_int_equal(net_ping_received(&g, r, n, 0x0a000202), 0);
	/* What is no echo reply goes through. */
	assert_int_equal(net_ping_received(&g, p, n, 0x0a000202), n);
}

/* ---- fragments ---- */

/* `len` bytes from `from` on of a datagram whose byte i is i * 7. */
static size_t piece(uint8_t *p, unsigned id, unsigned from, unsigned len, bool more)
{
	uint16_t sum;

	head(p, 14, 0x0800);
	memset(p + 14, 0, 20);
	p[14] = 0x45;
	put16(p + 16, 20 + len);
	put16(p + 18, id);
	put16(p + 20, from / 8 | (more ? 0x2000 : 0));
	p[22] = 64;
	p[23] = UDP;
	inet_pton(AF_INET, "10.0.2.15", p + 26);
	inet_pton(AF_INET, "192.0.2.1", p + 30);
	sum = (uint16_t)~net_sum_fold(net_sum(0, p + 14, 20));
	memcpy(p + 24, &sum, 2);
	for (unsigned i = 0; i < len; i++)
		p[34 + i] = (uint8_t)((from + i) * 7);
	return 34 + len;
}

static void fragments(void **unused)
{
	struct net_defrag *d = net_defrag_create();
	static uint8_t p[66000];
	unsigned order[40], state = 1;
	size_t len;

	(void)unused;
	assert_non_null(d);
	for (unsigned round = 0; round < 200; round++) {
		unsigned each = 8 * (1 + round % 20), total = 40 * each - round % 8, last = 0;
		const uint8_t *whole = NULL;

		for (unsigned i = 0; i < 40; i++) {
			unsigned j = (state = state * 1103515245 + 12345) / 65536 % (i + 1);

			order[i] = order[j];
			order[j] = i;
		}
		for (unsigned i = 0; i < 40; i++) {
			unsigned from = order[i] * each, n = order[i] == 39 ? total - from : each;

			last = i;
			whole = net_defrag_add(d, p, piece(p, round, from, n, order[i] != 39), 0, &len);
			if (whole != NULL)
				break;
			if (i % 3 == 0) /* once more */
				assert_null(net_defrag_add(d, p, 34 + n, 0, &len));
		}
		assert_non_null(whole);
		assert_int_equal(last, 39);
		assert_int_equal(len, 34 + total);
		assert_false(net_is_fragment(whole, len));
		assert_int_equal(net_sum_fold(net_sum(0, whole + 14, 20)), 0xffff);
		for (unsigned i = 0; i < total; i++)
			assert_int_equal(whole[34 + i], (uint8_t)(i * 7));
	}
	/* What overlaps is forgotten, as is what is too long, too old or one of too many. */
	assert_null(net_defrag_add(d, p, piece(p, 1, 0, 16, true), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 1, 8, 16, true), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 1, 16, 16, false), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 2, 0, 16, true), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 2, 24, 8, true), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 2, 16, 8, false), 0, &len)); /* ends before */
	assert_null(net_defrag_add(d, p, piece(p, 3, 0, 15, true), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 3, 65528, 16, false), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 4, 0, 16, true), 0, &len));
	assert_null(net_defrag_add(d, p, piece(p, 4, 16, 16, false), INT64_C(31000000000), &len));
	for (unsigned i = 100; i < 120; i++)
		assert_null(net_defrag_add(d, p, piece(p, i, 0, 16, true), INT64_C(40000000000) + i, &len));
	assert_null(net_defrag_add(d, p, piece(p, 111, 16, 16, false), INT64_C(41000000000), &len));
	assert_non_null(net_defrag_add(d, p, piece(p, 119, 16, 16, false), INT64_C(41000000000), &len));
	/* A hole, as many blocks long as came after the end before the end did. */
	assert_null(net_defrag_add(d, p, piece(p, 200, 0, 16, true), INT64_C(90000000000), &len));
	assert_null(net_defrag_add(d, p, piece(p, 200, 64, 16, true), INT64_C(90000000000), &len));
	assert_null(net_defrag_add(d, p, piece(p, 200, 32, 8, false), INT64_C(90000000000), &len));
	net_defrag_free(d);
}

/* ---- with libslirp and sockets ---- */

struct wire {
	pthread_mutex_t lock;
	pthread_cond_t more;
	unsigned n;
	uint8_t last[2000];
	struct net_host *h;
};

static void heard(void *ctx, uint8_t *prefix, const struct net_frame *f)
{
	struct wire *w = ctx;

	(void)prefix;
	pthread_mutex_lock(&w->lock);
	memcpy(w->last, f->p, f->len < sizeof w->last ? f->len : sizeof w->last);
	w->n++;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

static void await(struct wire *w)
{
	struct timespec ts;

	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 20;
	pthread_mutex_lock(&w->lock);
	while (w->n == 0)
		assert_int_equal(pthread_cond_timedwait(&w->more, &w->lock, &ts), 0);
	w->n = 0;
	pthread_mutex_unlock(&w->lock);
}

static void send_frame(struct wire *w, const uint8_t *p, size_t n)
{
	w->h->ops->send(w->h, &(struct net_frame){ .p = p, .len = (uint32_t)n });
}

static void plug(struct wire *w, const char *text)
{
	uint8_t p[60] = {0};
	struct vif_spec s;
	struct ttd_error e = TTD_ERROR_INIT;

	assert_int_equal(vif_spec_parse(text, "d", 0, &s, NULL, NULL, &e), 0);
	w->n = 0;
	w->h = net_host_open(&s, 0, heard, w, &e);
	if (w->h == NULL)
		fail_msg("%s", e.text);
	head(p, sizeof p, 0x0806); /* who has 10.0.2.2?  So libslirp knows us. */
	memcpy(p + 14, "\0\1\x08\0\6\4\0\1", 8);
	memcpy(p + 22, guest_mac, 6);
	memcpy(p + 28, "\x0a\0\2\x0f\0\0\0\0\0\0\x0a\0\2\2", 14);
	send_frame(w, p, sizeof p);
	await(w);
}

static int local(int type, unsigned *port)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, type | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	if (type == SOCK_STREAM)
		assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	*port = ntohs(at.sin_port);
	return fd;
}

static bool readable(int fd, int ms)
{
	struct pollfd p = { .fd = fd, .events = POLLIN };

	return poll(&p, 1, ms) > 0;
}

static void loopback(void **unused)
{
	static const char *const specs[] = { "user", "user,hostloopback=1", "user,restrict=1" };
	struct wire w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	uint8_t p[100];

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		unsigned port;
		int server = local(SOCK_STREAM, &port);
		bool open = i == 1;

		plug(&w, specs[i]);
		send_frame(&w, p, frame4(p, TCP, "10.0.2.2", 1024, port, SYN, WHOLE));
		await(&w);
		assert_int_equal(w.last[23], open ? TCP : ICMP);
		if (open)
			assert_int_equal(w.last[47], SYN | ACK);
		else
			assert_memory_equal(w.last + 34, "\3\x0d", 2);
		assert_int_equal(readable(server, open ? 20000 : 100), open);
		send_frame(&w, p, frame4(p, TCP, "127.0.0.1", 1025, port, SYN, WHOLE));
		await(&w);
		assert_int_equal(w.last[23], ICMP);
		send_frame(&w, p, frame4(p, TCP, "0.0.0.0", 1026, port, SYN, WHOLE));
		await(&w);
		assert_int_equal(w.last[23], ICMP);
		w.h->ops->close(w.h);
		close(server);
	}
}

/* Overlapping fragments of pings, for which libslirp's own reassembly has died. */
static void wild_fragments(void **unused)
{
	struct wire w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	uint8_t p[600];
	unsigned state = 1;
	uint16_t sum;
	size_t n;

	(void)unused;
	plug(&w, "user");
	for (unsigned i = 0; i < 20000; i++) {
		unsigned r = state = state * 1103515245 + 12345, from = r >> 16 & 0x38, len = r >> 22 & 0x3f;

		n = piece(p, r >> 28 & 1, from, len, (r >> 29 & 3) != 0);
		p[23] = ICMP;
		p[30] = 10;
		memcpy(p + 31, "\0\2\2", 3);
		memset(p + 24, 0, 2);
		sum = (uint16_t)~net_sum_fold(net_sum(0, p + 14, 20));
		memcpy(p + 24, &sum, 2);
		send_frame(&w, p, n);
		if (i % 100 == 99) { /* not more than the queue takes; it is alive */
			w.n = 0;
			send_frame(&w, p, frame4(p, TCP, "127.0.0.1", 1024, 80, SYN, WHOLE));
			await(&w);
		}
	}
	w.h->ops->close(w.h);
}

/* A forwarded port's clients get answers, whatever is closed; nobody else is written to. */
static void forwarded(void **unused)
{
	static const char *const more[] = { "", ",restrict=1", ",hostloopback=1" };
	struct wire w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	uint8_t p[100];

	(void)unused;
	for (unsigned i = 0; i < 3; i++) {
		unsigned port, other_port, from;
		int client = local(SOCK_DGRAM, &from), other = local(SOCK_DGRAM, &other_port);
		int probe = local(SOCK_DGRAM, &port);
		struct sockaddr_in to = { .sin_family = AF_INET, .sin_port = htons((uint16_t)port),
			.sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
		char text[100];

		close(probe); /* its port is free now */
		snprintf(text, sizeof text, "user,hostfwd=udp:127.0.0.1:%u-:5353%s", port, more[i]);
		plug(&w, text);
		assert_int_equal(sendto(client, "hello", 5, 0, (struct sockaddr *)&to, sizeof to), 5);
		await(&w);
		assert_int_equal(w.last[23], UDP);
		assert_memory_equal(w.last + 26, "\x0a\0\2\2\x0a\0\2\x0f", 8);
		assert_int_equal(be16(w.last + 34), from);
		assert_int_equal(be16(w.last + 36), 5353);
		send_frame(&w, p, frame4(p, UDP, "10.0.2.2", 5353, from, 0, WHOLE));
		assert_true(readable(client, 20000));
		send_frame(&w, p, frame4(p, UDP, "10.0.2.2", 5353, other_port, 0, WHOLE));
		assert_int_equal(readable(other, i == 2 ? 20000 : 100), i == 2);
		w.h->ops->close(w.h);
		close(client);
		close(other);
	}
}

/* ---- addresses of the host's own ---- */

static const char own4[] = "192.0.2.77", own6[] = "2001:db8::77";

static void add_address(const char *device, const char *text)
{
	struct sockaddr_in a = { .sin_family = AF_INET };
	struct in6_ifreq r6 = { .ifr6_prefixlen = 128, .ifr6_ifindex = 1 };
	struct ifreq r = {0};
	int fd = socket(strchr(text, ':') ? AF_INET6 : AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	assert_true(fd >= 0);
	if (inet_pton(AF_INET6, text, &r6.ifr6_addr) == 1) {
		assert_int_equal(ioctl(fd, SIOCSIFADDR, &r6), 0);
	} else {
		strcpy(r.ifr_name, device);
		assert_int_equal(inet_pton(AF_INET, text, &a.sin_addr), 1);
		memcpy(&r.ifr_addr, &a, sizeof a);
		assert_int_equal(ioctl(fd, SIOCSIFADDR, &r), 0);
		r.ifr_flags = IFF_UP | IFF_RUNNING;
		assert_int_equal(ioctl(fd, SIOCSIFFLAGS, &r), 0);
	}
	close(fd);
}

/* A host without a network of the real one's, whose loopback device has two addresses more. */
static int make_host(void **unused)
{
	(void)unused;
	if (unshare(CLONE_NEWNET) != 0 && unshare(CLONE_NEWUSER | CLONE_NEWNET) != 0)
		return 0;
	add_address("lo", "127.0.0.1");
	add_address("lo:1", own4);
	add_address("lo", own6);
	return 0;
}

static int on_own(const char *text, unsigned *port)
{
	struct sockaddr_in6 at = { .sin6_family = AF_INET6 };
	socklen_t len = sizeof at;
	char mapped[40];
	int fd = socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);

	snprintf(mapped, sizeof mapped, "%s%s", strchr(text, ':') ? "" : "::ffff:", text);
	assert_int_equal(inet_pton(AF_INET6, mapped, &at.sin6_addr), 1);
	if (fd < 0 || bind(fd, (struct sockaddr *)&at, sizeof at) != 0) {
		print_message("no network namespace to be had\n");
		skip();
	}
	assert_int_equal(listen(fd, 4), 0);
	getsockname(fd, (struct sockaddr *)&at, &len);
	*port = ntohs(at.sin6_port);
	return fd;
}

/* Servers of the host are not reached by its own addresses either, unless loopback is open. */
static void own_address(const char *to, const char *spec, bool open)
{
	struct wire w = { .lock = PTHREAD_MUTEX_INITIALIZER, .more = PTHREAD_COND_INITIALIZER };
	bool is6 = strchr(to, ':') != NULL;
	unsigned port;
	int server = on_own(to, &port);
	uint8_t p[100];
	size_t n = is6 ? frame6(p, TCP, to, port) : frame4(p, TCP, to, 1024, port, SYN, WHOLE);

	net_csum_complete(p, n);
	plug(&w, spec);
	send_frame(&w, p, n);
	assert_int_equal(readable(server, open ? 20000 : 200), open);
	if (!open) {
		await(&w);
		if (is6)
			assert_memory_equal(w.last + 54, "\1\1", 2); /* administratively prohibited */
		else
			assert_memory_equal(w.last + 34, "\3\x0d", 2);
	}
	w.h->ops->close(w.h);
	close(server);
}

static void own_4(void **unused)
{
	(void)unused;
	own_address(own4, "user", false);
	own_address(own4, "user,restrict=1", false);
	own_address(own4, "user,hostloopback=1", true);
}

static void own_6(void **unused)
{
	(void)unused;
	own_address(own6, "user,ipv6=1", false);
	own_address(own6, "user,ipv6=1,restrict=1", false);
	own_address(own6, "user,ipv6=1,hostloopback=1", true);
}

/* In a process of its own: its addresses are asked for once. */
static int run_own(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(own_4), cmocka_unit_test(own_6) };
	int status;
	pid_t pid;

	fflush(NULL);
	pid = fork();
	if (pid == 0)
		exit(cmocka_run_group_tests(tests, make_host, NULL));
	return pid < 0 || waitpid(pid, &status, 0) != pid || status != 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(verdicts4), cmocka_unit_test(verdicts6), cmocka_unit_test(peers),
		cmocka_unit_test(refusals), cmocka_unit_test(pings),
		cmocka_unit_test(fragments),
		cmocka_unit_test(loopback), cmocka_unit_test(wild_fragments), cmocka_unit_test(forwarded),
	};

	return run_own() + cmocka_run_group_tests(tests, NULL, NULL);
}
