/*
 * net_frame.c - see net_frame.h.
 */
#include "dev/net_frame.h"

#include <string.h>

enum { ETH_IP4 = 0x0800, ETH_IP6 = 0x86dd, TCP = 6, UDP = 17, TCP_MIN = 20, UDP_MIN = 8 };
enum { TCP_SYN = 2, OPT_END = 0, OPT_NOP = 1, OPT_MSS = 2 };
enum { BLANK = 1, OK = 2 };

static unsigned be16(const uint8_t *p)
{
	return (unsigned)p[0] << 8 | p[1];
}

static void put_be16(uint8_t *p, unsigned v)
{
	p[0] = (uint8_t)(v >> 8);
	p[1] = (uint8_t)v;
}

void net_frame_prefix(const struct net_frame *f, uint8_t out[NET_PREFIX])
{
	out[0] = (uint8_t)((f->csum_blank ? BLANK : 0) | (f->csum_ok ? OK : 0));
	out[1] = f->gso;
	out[2] = (uint8_t)f->gso_size;
	out[3] = (uint8_t)(f->gso_size >> 8);
}

int net_frame_unpack(const uint8_t *p, size_t n, struct net_frame *f)
{
	if (n < NET_PREFIX + NET_HEADER || n > NET_PREFIX + NET_FRAME_MAX ||
		(p[0] & ~(BLANK | OK)) != 0 || p[1] > NET_GSO_TCP6)
		return -1;
	*f = (struct net_frame){ .p = p + NET_PREFIX, .len = (uint32_t)(n - NET_PREFIX),
		.csum_blank = p[0] & BLANK, .csum_ok = (p[0] & OK) != 0, .gso = p[1],
		.gso_size = (uint16_t)(p[2] | p[3] << 8) };
	return (f->gso == NET_GSO_NONE) == (f->gso_size == 0) ? 0 : -1;
}

/* Where the transport header is, and what comes into its pseudo header. */
struct transport {
	uint8_t *l4;
	size_t len;      /* from l4 to the packet's end */
	const uint8_t *addr;
	size_t addr_len; /* of both together */
	unsigned proto, csum_at;
	bool v6;
};

/* Fragments have no checksum of their own; extension headers are not looked through. */
static bool find(uint8_t *p, size_t n, struct transport *at)
{
	unsigned type;
	size_t head, total;

	if (n < NET_HEADER)
		return false;
	type = be16(p + 12);
	p += NET_HEADER;
	n -= NET_HEADER;
	if (type == ETH_IP4) {
		if (n < 20 || p[0] >> 4 != 4 || (be16(p + 6) & 0x3fff) != 0)
			return false;
		head = (size_t)(p[0] & 15) * 4;
		total = be16(p + 2);
		at->proto = p[9];
		at->addr = p + 12;
		at->addr_len = 8;
	} else if (type == ETH_IP6) {
		if (n < 40 || p[0] >> 4 != 6)
			return false;
		head = 40;
		total = 40 + be16(p + 4);
		at->proto = p[6];
		at->addr = p + 8;
		at->addr_len = 32;
	} else {
		return false;
	}
	if (head < 20 || total > n || total < head)
		return false;
	at->v6 = type == ETH_IP6;
	at->l4 = p + head;
	at->len = total - head;
	at->csum_at = at->proto == TCP ? 16 : 6;
	return (at->proto == TCP && at->len >= TCP_MIN) ||
		(at->proto == UDP && at->len >= UDP_MIN);
}

/* The ones' complement sum, as 64 bits of it: folded once at the end. */
uint64_t net_sum(uint64_t sum, const uint8_t *p, size_t n)
{
	uint64_t v;
	uint32_t w = 0;

	for (; n >= 8; p += 8, n -= 8) {
		memcpy(&v, p, 8);
		if (__builtin_add_overflow(sum, v, &sum))
			sum++;
	}
	for (; n >= 2; p += 2, n -= 2) {
		uint16_t h;

		memcpy(&h, p, 2);
		w += h;
	}
	if (n == 1)
		w += *p;
	return __builtin_add_overflow(sum, w, &sum) ? sum + 1 : sum;
}

/* In the machine's order, as is what net_sum() adds. */
uint16_t net_sum_fold(uint64_t sum)
{
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffffffff) + (sum >> 32);
	sum = (sum & 0xffff) + (sum >> 16);
	sum = (sum & 0xffff) + (sum >> 16);
	return (uint16_t)sum;
}

static uint64_t pseudo(const struct transport *at)
{
	uint8_t rest[4] = { 0, (uint8_t)at->proto };

	put_be16(rest + 2, (unsigned)at->len);
	return net_sum(net_sum(0, at->addr, at->addr_len), rest, 4);
}

bool net_csum_complete(uint8_t *p, size_t n)
{
	struct transport at;
	uint16_t sum;

	if (!find(p, n, &at))
		return false;
	memset(at.l4 + at.csum_at, 0, 2);
	sum = (uint16_t)~net_sum_fold(net_sum(pseudo(&at), at.l4, at.len));
	if (sum == 0 && at.proto == UDP)
		sum = 0xffff; /* 0 says that there is none */
	memcpy(at.l4 + at.csum_at, &sum, 2);
	return true;
}

bool net_csum_blank(uint8_t *p, size_t n)
{
	struct transport at;
	uint16_t sum;

	if (!find(p, n, &at))
		return false;
	sum = net_sum_fold(pseudo(&at));
	memcpy(at.l4 + at.csum_at, &sum, 2);
	return true;
}

enum net_gso net_tcp_kind(const uint8_t *p, size_t n)
{
	struct transport at;

	if (!find((uint8_t *)(uintptr_t)p, n, &at) || at.proto != TCP)
		return NET_GSO_NONE;
	return at.v6 ? NET_GSO_TCP6 : NET_GSO_TCP4;
}

void net_raise_mss(uint8_t *p, size_t n, uint16_t mss)
{
	struct transport at;
	size_t head, i;

	if (!find(p, n, &at) || at.proto != TCP || !(at.l4[13] & TCP_SYN))
		return;
	head = (size_t)(at.l4[12] >> 4) * 4;
	if (head > at.len)
		return;
	for (i = TCP_MIN; i + 1 < head && at.l4[i] != OPT_END; ) {
		size_t len = at.l4[i] == OPT_NOP ? 1 : at.l4[i + 1];

		if (len == 0 || len > head - i || (at.l4[i] != OPT_NOP && len < 2))
			return;
		if (at.l4[i] == OPT_MSS && len == 4) {
			if (be16(at.l4 + i + 2) >= mss)
				return;
			put_be16(at.l4 + i + 2, mss);
			net_csum_complete(p, n);
			return;
		}
		i += len;
	}
}

size_t net_fragment(const uint8_t *p, size_t n, unsigned mtu, size_t *at, uint8_t *out)
{
	enum { MORE = 0x2000, DONT = 0x4000 };
	size_t head, total, each, k;
	uint16_t sum;

	if (n < NET_HEADER + 20 || be16(p + 12) != ETH_IP4 || (be16(p + 20) & ~DONT) != 0)
		return 0;
	head = (size_t)(p[14] & 15) * 4;
	total = be16(p + 16);
	if (head < 20 || total > n - NET_HEADER || head + *at >= total || mtu < head + 8)
		return 0;
	each = (mtu - head) & ~(size_t)7;
	k = total - head - *at;
	k = k < each ? k : each;
	memcpy(out, p, NET_HEADER + head);
	memcpy(out + NET_HEADER + head, p + NET_HEADER + head + *at, k);
	put_be16(out + 16, (unsigned)(head + k));
	put_be16(out + 20, (unsigned)(*at / 8) | (head + *at + k < total ? MORE : 0));
	memset(out + 24, 0, 2);
	sum = (uint16_t)~net_sum_fold(net_sum(0, out + NET_HEADER, head));
	memcpy(out + 24, &sum, 2);
	*at += k;
	return NET_HEADER + head + k;
}

void net_dhcp_mtu(uint8_t *p, size_t n, unsigned mtu)
{
	enum { SERVER = 67, CLIENT = 68, FIXED = 236, COOKIE = 4, PAD = 0, END = 255, MTU = 26 };
	static const uint8_t cookie[COOKIE] = { 0x63, 0x82, 0x53, 0x63 };
	struct transport at;
	uint8_t *o, *end;

	if (!find(p, n, &at) || at.proto != UDP || at.v6 || be16(at.l4) != SERVER ||
		be16(at.l4 + 2) != CLIENT || at.len < UDP_MIN + FIXED + COOKIE ||
		memcmp(at.l4 + UDP_MIN + FIXED, cookie, COOKIE) != 0)
		return;
	end = at.l4 + at.len;
	for (o = at.l4 + UDP_MIN + FIXED + COOKIE; o < end && *o != END;) {
		if (*o == PAD)
			o++;
		else if (end - o < 2 || end - o < 2 + o[1])
			return;
		else
			o += 2 + o[1];
	}
	if (end - o < 5)
		return;
	o[0] = MTU;
	o[1] = 2;
	put_be16(o + 2, mtu);
	o[4] = END;
	net_csum_complete(p, n);
}
