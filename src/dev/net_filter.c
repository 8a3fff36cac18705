/*
 * net_filter.c - see net_filter.h.
 */
#include "dev/net_filter.h"

#include <string.h>

enum { ETH_IP4 = 0x0800, ETH_ARP = 0x0806, ETH_IP6 = 0x86dd };
enum { ICMP = 1, TCP = 6, UDP = 17, ICMP6 = 58 };
enum { IP4_MIN = 20, IP6_HEAD = 40, UDP_HEAD = 8, TCP_FLAGS = 13, TCP_SYN = 2, TCP_ACK = 16 };
enum { DNS = 53, DHCP = 67, DHCP6 = 547 };
enum { BROADCAST = 0xffffffff };

#define IP(a, b, c, d) ((uint32_t)(a) << 24 | (b) << 16 | (c) << 8 | (d))

/* F1; bits is the length of the prefix. */
static const struct {
	uint32_t net;
	unsigned bits;
} never4[] = {
	{ IP(0, 0, 0, 0), 8 }, { IP(127, 0, 0, 0), 8 }, { IP(169, 254, 0, 0), 16 },
	{ IP(224, 0, 0, 0), 3 }, /* groups, reserved ones, broadcast */
	/* Metadata servers outside of 169.254: Azure, Alibaba, Oracle. */
	{ IP(168, 63, 129, 16), 32 }, { IP(100, 100, 100, 200), 32 }, { IP(192, 0, 0, 192), 32 },
};

static const struct {
	uint8_t net[16];
	unsigned bits;
} never6[] = {
	{ {0}, 96 }, /* ::, ::1, IPv4 by its oldest spelling */
	{ { [10] = 0xff, 0xff }, 96 }, /* IPv4 by another */
	{ { 0xfe, 0x80 }, 10 }, { { 0xfe, 0xc0 }, 10 }, { { 0xff }, 8 },
	/* Metadata servers: Amazon, Google. */
	{ { 0xfd, 0, 0x0e, 0xc2, [14] = 0x02, 0x54 }, 128 },
	{ { 0xfd, 0x20, 0, 0xce, [14] = 0x02, 0x54 }, 128 },
};

/* Those that hold an IPv4 address which a gateway may unpack, and where in it. */
static const struct {
	uint8_t net[16];
	unsigned bits, at;
} carrier[] = {
	{ { 0, 0x64, 0xff, 0x9b }, 96, 12 }, { { 0x20, 0x02 }, 16, 2 },
};

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)be16(p) << 16 | be16(p + 2);
}

static bool begins(const uint8_t a[16], const uint8_t net[16], unsigned bits)
{
	unsigned whole = bits / 8, rest = bits % 8;

	return memcmp(a, net, whole) == 0 &&
		(rest == 0 || (a[whole] ^ net[whole]) >> (8 - rest) == 0);
}

/* ---- IPv4 ---- */

struct packet4 {
	uint32_t src, dst;
	unsigned proto;
	bool first, whole;  /* the fragment with the ports; it is the only one, no fragment */
	const uint8_t *l4;
	size_t len;         /* from l4 to the packet's end */
};

static bool read4(const uint8_t *p, size_t n, struct packet4 *at)
{
	size_t head, total;
	unsigned frag;

	if (n < IP4_MIN || p[0] >> 4 != 4)
		return false;
	head = (size_t)(p[0] & 15) * 4;
	total = be16(p + 2);
	if (head < IP4_MIN || total < head || total > n)
		return false;
	frag = be16(p + 6) & 0x3fff; /* offset, and that there are more */
	*at = (struct packet4){ .src = be32(p + 12), .dst = be32(p + 16), .proto = p[9],
		.first = (frag & 0x1fff) == 0, .whole = frag == 0, .l4 = p + head,
		.len = total - head };
	return true;
}

static bool never(const struct net_filter *f, uint32_t dst)
{
	for (size_t i = 0; i < sizeof never4 / sizeof *never4; i++)
		if ((dst ^ never4[i].net) >> (32 - never4[i].bits) == 0)
			return true;
	return (dst ^ f->host) >> 8 == 0 && dst != f->host && dst != f->names;
}

/* F2 */
static bool own4(const struct net_filter *f, uint32_t dst)
{
	for (unsigned i = 0; i < f->own.n4; i++)
		if (f->own.a4[i] == dst)
			return true;
	return false;
}

static bool to_port(const struct packet4 *at, unsigned proto, unsigned port)
{
	return at->proto == proto && at->len >= UDP_HEAD && be16(at->l4 + 2) == port;
}

/* F3 */
static bool known_peer(const struct net_filter *f, const struct packet4 *at)
{
	for (unsigned i = 0; i < f->npeers; i++) {
		const struct net_peer *k = &f->peer[i];

		if (k->guest == at->src && k->peer == at->dst && k->guest_port == be16(at->l4) &&
			k->port == be16(at->l4 + 2))
			return true;
	}
	return false;
}

static bool answers(const struct net_filter *f, const struct packet4 *at)
{
	if (at->proto == TCP)
		return at->len > TCP_FLAGS &&
			(at->l4[TCP_FLAGS] & (TCP_SYN | TCP_ACK)) != TCP_SYN;
	return at->proto == UDP && at->len >= UDP_HEAD && known_peer(f, at);
}

static enum net_verdict sent4(const struct net_filter *f, const uint8_t *p, size_t n)
{
	struct packet4 at;
	bool open = !f->restricted;

	if (!read4(p, n, &at) || !at.whole)
		return NET_DROP;
	if ((at.dst == f->host || at.dst == BROADCAST) && to_port(&at, UDP, DHCP))
		return NET_PASS;
	if (at.dst == f->host || at.dst == f->names) {
		if (at.proto == ICMP)
			return NET_PASS;
		open = at.dst == f->host ? f->loopback
			: open && (to_port(&at, UDP, DNS) || to_port(&at, TCP, DNS));
	} else if (never(f, at.dst)) {
		return NET_REFUSE;
	} else if (own4(f, at.dst)) {
		open = open && f->loopback;
	}
	return open || (at.dst != f->names && answers(f, &at)) ? NET_PASS : NET_REFUSE;
}

static void received4(struct net_filter *f, const uint8_t *p, size_t n)
{
	struct packet4 at;
	unsigned port;

	if (f->nforwards == 0 || !read4(p, n, &at) || at.proto != UDP || !at.first ||
		at.len < UDP_HEAD)
		return;
	port = be16(at.l4 + 2);
	for (unsigned i = 0; i < f->nforwards; i++) {
		const struct vif_forward *w = &f->forward[i];
		struct packet4 back = { .src = at.dst, .dst = at.src, .proto = UDP, .first = true };
		const uint8_t ports[4] = { at.l4[2], at.l4[3], at.l4[0], at.l4[1] };

		if (!w->udp || w->guest_port != port || (w->guest != 0 ? w->guest : f->lease) != at.dst)
			continue;
		back.l4 = ports;
		if (known_peer(f, &back))
			return;
		f->peer[f->next] = (struct net_peer){ .guest = at.dst, .peer = at.src,
			.guest_port = (uint16_t)port, .port = (uint16_t)be16(at.l4) };
		f->next = (f->next + 1) % NET_PEERS;
		f->npeers += f->npeers < NET_PEERS;
		return;
	}
}

/* ---- IPv6: no ports are forwarded by it ---- */

static bool never_6(const struct net_filter *f, const uint8_t dst[16])
{
	for (size_t i = 0; i < sizeof never6 / sizeof *never6; i++)
		if (begins(dst, never6[i].net, never6[i].bits))
			return true;
	for (size_t i = 0; i < sizeof carrier / sizeof *carrier; i++)
		if (begins(dst, carrier[i].net, carrier[i].bits) && never(f, be32(dst + carrier[i].at)))
			return true;
	return false;
}

/* By IPv4 within IPv6 too: some hosts take that for the same. */
static bool own_6(const struct net_filter *f, const uint8_t dst[16])
{
	for (unsigned i = 0; i < f->own.n6; i++)
		if (memcmp(f->own.a6[i], dst, 16) == 0)
			return true;
	for (size_t i = 0; i < sizeof carrier / sizeof *carrier; i++)
		if (begins(dst, carrier[i].net, carrier[i].bits) && own4(f, be32(dst + carrier[i].at)))
			return true;
	return false;
}

static enum net_verdict sent_icmp6(const struct net_filter *f, const uint8_t *dst, unsigned type)
{
	if ((type >= 133 && type <= 137) || begins(dst, f->host6, 64) ||
		begins(dst, (const uint8_t[16]){ 0xfe, 0x80 }, 10))
		return NET_PASS; /* F4 */
	return never_6(f, dst) || f->restricted || (own_6(f, dst) && !f->loopback) ? NET_REFUSE
		: NET_PASS;
}

/* libslirp looks through no extension headers: what has one does not get there. */
static enum net_verdict sent6(const struct net_filter *f, const uint8_t *p, size_t n)
{
	static const uint8_t servers[16] = { 0xff, 0x02, [13] = 1, [15] = 2 }; /* of DHCP */
	const uint8_t *dst = p + 24, *l4 = p + IP6_HEAD;
	unsigned proto, port;

	if (n < IP6_HEAD + UDP_HEAD || p[0] >> 4 != 6)
		return NET_DROP;
	proto = p[6];
	if (proto == ICMP6)
		return sent_icmp6(f, dst, l4[0]);
	if (proto != TCP && proto != UDP)
		return NET_DROP;
	port = be16(l4 + 2);
	if (proto == UDP && port == DHCP6 &&
		(memcmp(dst, servers, 16) == 0 || memcmp(dst, f->host6, 16) == 0))
		return NET_PASS;
	if (memcmp(dst, f->names6, 16) == 0)
		return port == DNS && !f->restricted ? NET_PASS : NET_REFUSE;
	if (memcmp(dst, f->host6, 16) == 0)
		return f->loopback ? NET_PASS : NET_REFUSE;
	return begins(dst, f->host6, 64) || never_6(f, dst) || f->restricted ||
		(own_6(f, dst) && !f->loopback) ? NET_REFUSE : NET_PASS;
}

/* ---- frames ---- */

enum net_verdict net_filter_sent(const struct net_filter *f, const uint8_t *p, size_t n)
{
	if (n < NET_HEADER)
		return NET_DROP;
	switch (be16(p + 12)) {
	case ETH_ARP: return NET_PASS;
	case ETH_IP4: return sent4(f, p + NET_HEADER, n - NET_HEADER);
	case ETH_IP6: return sent6(f, p + NET_HEADER, n - NET_HEADER);
	default: return NET_DROP; /* libslirp knows another one, for no good here */
	}
}

void net_filter_received(struct net_filter *f, const uint8_t *p, size_t n)
{
	if (n >= NET_HEADER && be16(p + 12) == ETH_IP4)
		received4(f, p + NET_HEADER, n - NET_HEADER);
}

/* ---- refusals: "communication administratively prohibited" ---- */

static void put16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

static void put_sum(uint8_t *at, uint64_t sum)
{
	uint16_t v = (uint16_t)~net_sum_fold(sum);

	memcpy(at, &v, 2);
}

/* out is zero.  Errors are about what has one sender and one receiver, and is no error. */
static size_t refuse4(const struct net_filter *f, const uint8_t *p, size_t n, uint8_t *out)
{
	struct packet4 at;
	size_t quote;
	uint8_t *icmp = out + IP4_MIN;

	if (!read4(p, n, &at) || !at.first || at.dst >> 29 == 7 || at.src >> 29 == 7 ||
		at.src >> 24 == 0 || (at.proto == ICMP && (at.len == 0 || at.l4[0] != 8)))
		return 0;
	quote = (size_t)(at.l4 - p) + (at.len < 8 ? at.len : 8);
	icmp[0] = 3;
	icmp[1] = 13;
	memcpy(icmp + 8, p, quote);
	put_sum(icmp + 2, net_sum(0, icmp, 8 + quote));
	out[0] = 0x45;
	put16(out + 2, (unsigned)(IP4_MIN + 8 + quote));
	out[8] = 64;
	out[9] = ICMP;
	put16(out + 12, f->host >> 16);
	put16(out + 14, f->host & 0xffff);
	memcpy(out + 16, p + 12, 4);
	put_sum(out + 10, net_sum(0, out, IP4_MIN));
	return IP4_MIN + 8 + quote;
}

static size_t refuse6(const struct net_filter *f, const uint8_t *p, size_t n, uint8_t *out)
{
	const uint8_t *src = p + 8, *dst = p + 24;
	uint8_t *icmp = out + IP6_HEAD, next[4] = { [3] = ICMP6 };
	size_t quote = IP6_HEAD + UDP_HEAD;

	if (n < quote || src[0] == 0xff || dst[0] == 0xff || (p[6] == ICMP6 && p[IP6_HEAD] != 128))
		return 0;
	icmp[0] = 1;
	icmp[1] = 1;
	memcpy(icmp + 8, p, quote);
	out[0] = 0x60;
	put16(out + 4, (unsigned)(8 + quote));
	out[6] = ICMP6;
	out[7] = 64;
	memcpy(out + 8, f->host6, 16);
	memcpy(out + 24, src, 16);
	put_sum(icmp + 2, net_sum(net_sum(net_sum(net_sum(0, out + 8, 32), out + 4, 2), next, 4), icmp,
		8 + quote));
	return IP6_HEAD + 8 + quote;
}

size_t net_filter_refusal(const struct net_filter *f, const uint8_t *p, size_t n,
	uint8_t out[NET_REFUSAL_MAX])
{
	size_t len;

	if (n < NET_HEADER)
		return 0;
	memset(out, 0, NET_REFUSAL_MAX);
	len = (be16(p + 12) == ETH_IP4 ? refuse4 : refuse6)(f, p + NET_HEADER, n - NET_HEADER,
		out + NET_HEADER);
	if (len == 0)
		return 0;
	memcpy(out, p + 6, 6);
	memcpy(out + 6, (const uint8_t[2]){ 0x52, 0x55 }, 2); /* the router's, as libslirp has it */
	put16(out + 8, f->host >> 16);
	put16(out + 10, f->host & 0xffff);
	memcpy(out + 12, p + 12, 2);
	return NET_HEADER + len;
}
