/*
 * fuzz_net.c - what stands between a guest and libslirp: frames of the guest's, and
 * libslirp's answers to them.
 *
 * The input is frames, each after two bytes of its length.  First each goes through
 * what reads frames, and what must hold is checked by other means.  Then all go into a
 * network with restrict=1, so that libslirp sees them and connects to nothing.
 */
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "dev/net_defrag.h"
#include "dev/net_filter.h"
#include "dev/net_host.h"
#include "dev/net_ping.h"

enum { MTU = 1500, FRAMES = 64, HOST = 0x0a000202, NAMES = 0x0a000203, LEASE = 0x0a00020f };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static void must(bool good)
{
	if (!good)
		abort();
}

/* ---- what reads frames ---- */

static uint32_t be32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

/* With restrict=1 nothing opens a connection, whatever it looks like. */
static void check_verdict(const struct net_filter *f, const uint8_t *p, size_t n,
	enum net_verdict v)
{
	unsigned head, frag, proto;
	uint32_t dst;

	if (v != NET_PASS || n < 34 || p[12] != 8 || p[13] != 0)
		return;
	head = (p[14] & 15u) * 4;
	dst = be32(p + 30);
	frag = (p[20] << 8 | p[21]) & 0x3fffu;
	proto = p[23];
	must(p[14] >> 4 == 4 && head >= 20 && n >= 14 + head);
	must(dst >> 24 != 127 && dst >> 24 != 0 && dst >> 16 != 0xa9fe);
	if (proto == 6)
		must(frag == 0 && n >= 14 + head + 14 && (p[14 + head + 13] & 0x12) != 2);
	else if (proto == 17)
		must(frag == 0 && n >= 14 + head + 8 && (p[14 + head + 3] == 67 || f->npeers != 0));
	else
		must(frag == 0 && proto == 1 && (dst == HOST || dst == NAMES));
}

static void one(const uint8_t *p, size_t n)
{
	static uint8_t copy[NET_FRAME_MAX], out[NET_FRAME_MAX + 64];
	struct net_filter f = { .host = HOST, .names = NAMES, .lease = LEASE, .restricted = true,
		.host6 = { 0xfd, 0, 0x0d, [7] = 2, [15] = 2 },
		.names6 = { 0xfd, 0, 0x0d, [7] = 2, [15] = 3 },
		.nforwards = 1, .forward = { { .udp = true, .guest_port = 0x3535 } } };
	static struct net_pings pings;
	static struct net_defrag *defrag;
	size_t at = 0, k, count = 0;

	if (defrag == NULL)
		must((defrag = net_defrag_create()) != NULL);
	check_verdict(&f, p, n, net_filter_sent(&f, p, n));
	must(net_filter_refusal(&f, p, n, out) <= NET_REFUSAL_MAX);
	net_filter_received(&f, p, n);
	check_verdict(&f, p, n, net_filter_sent(&f, p, n));
	if (net_defrag_add(defrag, p, n, 0, &k) != NULL)
		must(k > NET_HEADER && k <= NET_FRAME_MAX);
	while ((k = net_fragment(p, n, MTU, &at, out)) != 0) {
		must(k <= MTU + NET_HEADER);
		must(++count < 100);
	}
	memcpy(copy, p, n);
	net_ping_sent(&pings, p, n);
	must(net_ping_received(&pings, copy, n, HOST) <= n);
	memcpy(copy, p, n);
	net_raise_mss(copy, n, 32768);
	net_dhcp_mtu(copy, n, 9000);
	net_csum_blank(copy, n);
	net_csum_complete(copy, n);
}

/* ---- with libslirp ---- */

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static pthread_cond_t more = PTHREAD_COND_INITIALIZER;
static unsigned answered;

/* An ARP reply with this target, which only done() asks for. */
static bool is_last(const struct net_frame *f)
{
	return f->len >= 42 && f->p[12] == 8 && f->p[13] == 6 && f->p[21] == 2 &&
		memcmp(f->p + 32, "\2LAST.", 6) == 0;
}

static void heard(void *ctx, uint8_t *prefix, const struct net_frame *f)
{
	struct net_frame again;

	(void)ctx;
	must(f->p == prefix + NET_PREFIX && f->len >= NET_HEADER && f->len <= NET_FRAME_MAX);
	net_frame_prefix(f, prefix);
	must(net_frame_unpack(prefix, f->len + NET_PREFIX, &again) == 0);
	must(f->len <= MTU + NET_HEADER || f->gso != NET_GSO_NONE || f->p[12] != 8);
	if (!is_last(f))
		return;
	pthread_mutex_lock(&lock);
	answered++;
	pthread_cond_signal(&more);
	pthread_mutex_unlock(&lock);
}

static void done(struct net_host *h)
{
	static const uint8_t arp[60] = { 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 'L', 'A', 'S', 'T', '.', 8,
		6, 0, 1, 8, 0, 6, 4, 0, 1, 2, 'L', 'A', 'S', 'T', '.', 10, 0, 2, 15, 0, 0, 0, 0, 0, 0,
		10, 0, 2, 2 };
	struct timespec ts;

	h->ops->send(h, &(struct net_frame){ .p = arp, .len = sizeof arp });
	clock_gettime(CLOCK_REALTIME, &ts);
	ts.tv_sec += 20;
	pthread_mutex_lock(&lock);
	while (answered == 0)
		must(pthread_cond_timedwait(&more, &lock, &ts) == 0);
	answered = 0;
	pthread_mutex_unlock(&lock);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct vif_spec s;
	struct net_host *h;
	struct ttd_error e = TTD_ERROR_INIT;

	if (vif_spec_parse("user,restrict=1,ipv6=1", "f", 0, &s, NULL, NULL, &e) != 0 ||
	    (h = net_host_open(&s, 0, heard, NULL, &e)) == NULL)
		return 0;
	for (unsigned i = 0; n >= 2 && i < FRAMES; i++) {
		size_t k = (size_t)(p[0] << 8 | p[1]);

		p += 2;
		n -= 2;
		k = k < n ? k : n;
		if (k >= NET_HEADER) {
			one(p, k);
			h->ops->send(h, &(struct net_frame){ .p = p, .len = (uint32_t)k,
				.csum_blank = k % 2 != 0 });
		}
		p += k;
		n -= k;
	}
	done(h);
	h->ops->close(h);
	return 0;
}
