/*
 * net_ping.c - see net_ping.h.
 */
#include "dev/net_ping.h"

#include <string.h>

#include "util/xxh.h"

enum { IP = NET_HEADER, IP_HEAD = 20, ICMP = IP + IP_HEAD, DATA = ICMP + 8, QUOTE = IP_HEAD + 8 };
enum { ECHO_REPLY = 0, UNREACHABLE = 3, ECHO = 8 };

/* Without options, whole: else libslirp reassembles it and there is nothing to compare with. */
static bool is_icmp(const uint8_t *p, size_t n, unsigned type)
{
	return n >= DATA && p[12] == 8 && p[13] == 0 && p[IP] == 0x45 &&
		((p[IP + 6] & 0x3f) | p[IP + 7]) == 0 && p[IP + 9] == 1 && p[ICMP] == type &&
		(size_t)(p[IP + 2] << 8 | p[IP + 3]) + IP <= n &&
		(size_t)(p[IP + 2] << 8 | p[IP + 3]) + IP >= DATA;
}

static uint64_t digest(const uint8_t *p)
{
	uint64_t d = XXH3_64bits(p + DATA, (size_t)(p[IP + 2] << 8 | p[IP + 3]) + IP - DATA);

	return d != 0 ? d : 1;
}

void net_ping_sent(struct net_pings *g, const uint8_t *p, size_t n)
{
	if (!is_icmp(p, n, ECHO))
		return;
	memcpy(g->asked[g->next].what, p + IP + 16, 4);
	memcpy(g->asked[g->next].what + 4, p + ICMP + 4, 4);
	g->asked[g->next].data = digest(p);
	g->next = (g->next + 1) % NET_PINGS;
}

/* Whether this destination, identifier and number were asked for; data 0: with any data. */
static bool asked(const struct net_pings *g, const uint8_t dst[4], const uint8_t id[4],
	uint64_t data)
{
	for (unsigned i = 0; i < NET_PINGS; i++)
		if (g->asked[i].data != 0 && memcmp(g->asked[i].what, dst, 4) == 0 &&
		    memcmp(g->asked[i].what + 4, id, 4) == 0 &&
		    (data == 0 || g->asked[i].data == data))
			return true;
	return false;
}

static void put_sum(uint8_t *at, const uint8_t *p, size_t n)
{
	uint16_t sum;

	memset(at, 0, 2);
	sum = (uint16_t)~net_sum_fold(net_sum(0, p, n));
	memcpy(at, &sum, 2);
}

/* Only the type was overwritten, and the sender is the host. */
static size_t restore_error(uint8_t *p, uint32_t router)
{
	uint8_t *quote = p + DATA;

	memcpy(quote + 12, p + IP + 16, 4);
	put_sum(quote + 10, quote, IP_HEAD);
	p[ICMP] = UNREACHABLE;
	memset(p + ICMP + 4, 0, 4);
	put_sum(p + ICMP + 2, p + ICMP, 8 + QUOTE);
	p[IP + 2] = 0;
	p[IP + 3] = IP_HEAD + 8 + QUOTE;
	for (int i = 0; i < 4; i++)
		p[IP + 12 + i] = (uint8_t)(router >> (24 - 8 * i));
	put_sum(p + IP + 10, p + IP, IP_HEAD);
	return DATA + QUOTE;
}

size_t net_ping_received(struct net_pings *g, uint8_t *p, size_t n, uint32_t router)
{
	const uint8_t *quote = p + DATA;

	if (!is_icmp(p, n, ECHO_REPLY) || asked(g, p + IP + 12, p + ICMP + 4, digest(p)))
		return n;
	if ((size_t)(p[IP + 2] << 8 | p[IP + 3]) + IP < DATA + QUOTE || p[ICMP + 1] > 15 ||
	    quote[0] != 0x45 || quote[9] != 1 || quote[IP_HEAD] != ECHO ||
	    memcmp(quote + 16, p + IP + 12, 4) != 0 ||
	    !asked(g, quote + 16, quote + IP_HEAD + 4, 0))
		return 0;
	return restore_error(p, router);
}
