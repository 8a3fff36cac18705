/*
 * net_filter.h - what a guest on the user-mode network may reach.
 *
 * libslirp connects to whatever the guest names, with the host's own sockets, and
 * can close little of it.  So each frame is looked at before it gets there:
 *
 *  F1. Some addresses are never reached: the host's loopback by any spelling, link-local
 *      ones and clouds' metadata servers, groups, reserved ones, and those of the
 *      virtual network itself except for its router and name server.
 *  F2. The router's address leads to the host's loopback: closed unless the
 *      interface has hostloopback=1.  So are the host's own addresses, where the same
 *      servers listen, as they were when the first network was made.  With restrict=1
 *      everything is closed.
 *  F3. What a closed address may always get is answers to connections that came from
 *      there, by a forwarded port: TCP segments that open nothing, and UDP to where
 *      a datagram came from a short time ago.
 *  F4. ARP, neighbour discovery, DHCP and pings of the router go to libslirp
 *      always: it answers them itself.  The name server is the host's, on whichever
 *      address that is: port 53 alone, and not with restrict=1.
 *
 * Fragments do not get through: they are put together first (net_defrag.h).
 *
 * [the host side's thread] The replay of a recording has none of this: frames that
 * guests send are witnessed before it, and the answers are inputs.
 */
#ifndef TTD_DEV_NET_FILTER_H
#define TTD_DEV_NET_FILTER_H

#include "dev/net_frame.h"
#include "dev/vif_spec.h"

enum { NET_PEERS = 256, NET_REFUSAL_MAX = 128, NET_OWN = 64 };

/* Where a datagram for a forwarded port came from.  Most significant byte first. */
struct net_peer {
	uint32_t guest, peer;
	uint16_t guest_port, port;
};

/* The host's own addresses. */
struct net_own {
	unsigned n4, n6;
	uint32_t a4[NET_OWN];
	uint8_t a6[NET_OWN][16];
};

struct net_filter {
	struct net_own own;
	uint32_t host, names, lease; /* addresses of the virtual network, a /24 */
	uint8_t host6[16], names6[16]; /* a /64 */
	bool loopback, restricted;
	unsigned nforwards;
	struct vif_forward forward[VIF_FORWARDS];
	struct net_peer peer[NET_PEERS];
	unsigned npeers, next;
};

enum net_verdict { NET_PASS, NET_DROP, NET_REFUSE };

/* A frame of the guest's, its checksums complete. */
enum net_verdict net_filter_sent(const struct net_filter *f, const uint8_t *p, size_t n);
/* A frame for the guest, so that its answer gets through (F3). */
void net_filter_received(struct net_filter *f, const uint8_t *p, size_t n);
/*
 * The ICMP error that tells the guest of a refusal, as a frame from the router; its length.
 * 0: there is none to be sent to a frame like that.
 */
size_t net_filter_refusal(const struct net_filter *f, const uint8_t *p, size_t n,
	uint8_t out[NET_REFUSAL_MAX]);

#endif
