/*
 * net_ping.h - pings of the outside by the user-mode network.
 *
 * Where a process may open raw sockets but no ping sockets (root on most systems), libslirp
 * takes the next ICMP message that comes to the host, whatever it is, for the answer, and
 * gives it to the guest as an echo reply.  So replies are compared with what was asked.
 */
#ifndef TTD_DEV_NET_PING_H
#define TTD_DEV_NET_PING_H

#include "dev/net_frame.h"

enum { NET_PINGS = 64 };

struct net_pings {
	struct {
		uint8_t what[8]; /* destination, identifier, number */
		uint64_t data;   /* a digest of what it carries; 0: no entry */
	} asked[NET_PINGS];
	unsigned next;
};

/* A frame of the guest's: remembered if it is an echo request. */
void net_ping_sent(struct net_pings *g, const uint8_t *p, size_t n);

/*
 * A frame of libslirp's for the guest.  Its length, or another one when it was an error about
 * a request, which it becomes again, from `router`; 0: it is about something else.
 */
size_t net_ping_received(struct net_pings *g, uint8_t *p, size_t n, uint32_t router);

#endif
