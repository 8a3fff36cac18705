/*
 * net_frame.h - an Ethernet frame with what is left to do with it, and the
 * few things about IP that a backend must know: checksums, large segments.
 *
 * Frames come from guests and from networks: nothing in them is believed.
 */
#ifndef TTD_DEV_NET_FRAME_H
#define TTD_DEV_NET_FRAME_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum {
	NET_HEADER = 14,
	NET_FRAME_MAX = NET_HEADER + 65535,
	NET_PREFIX = 4, /* see net_frame_prefix() */
};

enum net_gso { NET_GSO_NONE, NET_GSO_TCP4, NET_GSO_TCP6 };

struct net_frame {
	const uint8_t *p;
	uint32_t len;
	bool csum_blank;   /* TCP's or UDP's holds the pseudo header's only */
	bool csum_ok;      /* they need not be checked */
	uint8_t gso;       /* enum net_gso: several segments in one */
	uint16_t gso_size; /* bytes of data in each of them */
};

/* As a device's input: 4 bytes (doc/spec/log.md, Events) and the frame. */
void net_frame_prefix(const struct net_frame *f, uint8_t out[NET_PREFIX]);
/* -1: it makes no sense. */
int net_frame_unpack(const uint8_t *p, size_t n, struct net_frame *f);

/*
 * The internet's checksum: add bytes to a sum (0 to begin with), then fold it.  The pieces before
 * the last have even lengths.  What net_sum_fold() gives is complemented and copied as it is.
 */
uint64_t net_sum(uint64_t sum, const uint8_t *p, size_t n);
uint16_t net_sum_fold(uint64_t sum);

/* Fills in the checksum of TCP or UDP over IPv4 or IPv6; false: it has none. */
bool net_csum_complete(uint8_t *p, size_t n);
/* Sets it to what csum_blank means. */
bool net_csum_blank(uint8_t *p, size_t n);

/* Is it TCP over IPv4 or IPv6, whole? */
enum net_gso net_tcp_kind(const uint8_t *p, size_t n);

/*
 * The next fragment of an IPv4 packet that is none itself, into out: *at is 0 to begin with.
 * Its length; 0: that was the last, or there are none to be made.
 */
size_t net_fragment(const uint8_t *p, size_t n, unsigned mtu, size_t *at, uint8_t *out);

/* Adds the interface's MTU to what a DHCP server says, if it is that and has room. */
void net_dhcp_mtu(uint8_t *p, size_t n, unsigned mtu);

/*
 * Raises the maximum segment size that a SYN announces; the checksum is kept
 * right (it must be).  So the other side sends larger segments than fit through
 * a wire, which there is none of.
 */
void net_raise_mss(uint8_t *p, size_t n, uint16_t mss);

#endif
