/*
 * region.h - the 2 GiB of addresses that the engine's code and tables lie in.
 *
 * A place in it is told by 32 bits, the lower half of its address.  Code reaches what is
 * there relative to rip, and tables by the host's gs, whose base is REGION_BASE while a
 * thread runs a guest.  Nobody else lies there: it is in the range of addresses
 * that a guest's programs do not use (doc/exactness.md), unless they are odd.
 */
#ifndef TTD_UTIL_REGION_H
#define TTD_UTIL_REGION_H

#include <stddef.h>
#include <stdint.h>

/* The lower half is zero.  (The thread sanitizer's own memory leaves only the lowest.) */
#ifdef __SANITIZE_THREAD__
#define REGION_BASE UINT64_C(0)
#else
#define REGION_BASE UINT64_C(0x210000000000)
#endif
#define REGION_SIZE (UINT64_C(1) << 31)

static inline uint64_t region_addr(uint32_t low) { return REGION_BASE | low; }
static inline void *region_at(uint32_t low) { return (void *)(uintptr_t)region_addr(low); }

/*
 * n bytes somewhere in it, at random, that nothing else is mapped at; aligned to 2 MiB and
 * without access, to be mapped anew.  NULL: there is no room.
 */
void *region_reserve(size_t n);

#endif
