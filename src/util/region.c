/*
 * region.c - see region.h.
 */
#define _GNU_SOURCE
#include "util/region.h"

#include "util/reserve.h"

enum { TRIES = 16 };
#define HUGE ((uint64_t)2 << 20)
#define LOWEST (UINT64_C(16) << 20) /* of a region that begins at 0 */

void *region_reserve(size_t n)
{
	uint64_t room, at;

	if (n > REGION_SIZE / 2)
		return NULL;
	room = REGION_SIZE - LOWEST - n;
	for (int i = 0; i < TRIES; i++) {
		at = LOWEST + reserve_random() % room;
		if (reserve(region_addr((uint32_t)(at & ~(HUGE - 1))), n))
			return region_at((uint32_t)(at & ~(HUGE - 1)));
	}
	for (at = LOWEST; at <= room; at += HUGE)
		if (reserve(region_addr((uint32_t)at), n))
			return region_at((uint32_t)at);
	return NULL;
}
