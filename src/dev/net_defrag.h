/*
 * net_defrag.h - puts the fragments of a guest's IPv4 packets together.
 *
 * libslirp would, but in version 4.7 it writes through wild pointers when fragments overlap
 * or come in odd sizes.  So it never sees one; and what is allowed is decided about whole
 * packets, with their ports.  Fragments that overlap without being equal in place and length
 * make their packet disappear: nobody sends such for good.
 */
#ifndef TTD_DEV_NET_DEFRAG_H
#define TTD_DEV_NET_DEFRAG_H

#include "dev/net_frame.h"

struct net_defrag;

struct net_defrag *net_defrag_create(void); /* NULL: no memory */
void net_defrag_free(struct net_defrag *d);

bool net_is_fragment(const uint8_t *p, size_t n);
/*
 * Takes a frame with a fragment.  The whole packet's frame, when this was what was missing, valid
 * until the next call, and *len; else NULL.  At most 8 packets wait, each for 30 seconds.
 */
uint8_t *net_defrag_add(struct net_defrag *d, const uint8_t *p, size_t n, int64_t now_ns,
	size_t *len);

#endif
