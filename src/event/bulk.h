/*
 * bulk.h - the part of a ring (ring.h) for long data that come in: a device's thread
 * copies them here once, and the guest, and whoever writes the log, take them from
 * here.
 *
 * First in, first out, in one piece each.  Offsets are of a stream, as a ring's are; an
 * item begins at a multiple of BULK_ALIGN.
 *
 *  BK1. [released, head) holds what is in use.  head is the producer's; the guest is
 *      after `done`, the log's writer after `released`, and what both have after them
 *      may be overwritten.
 *  BK2. A pointer is enough to find an item's offset in the stream: it is the lowest offset
 *      after the last item's that lies at that address.  Items may be passed over.
 *  BK3. `released` is the other process's word: it is believed as long as it moves
 *      forward and not beyond head.  So is what the data say: they are input.
 *  BK4. The bytes are mapped twice, one after the other, as a ring's are.
 */
#ifndef TTD_EVENT_BULK_H
#define TTD_EVENT_BULK_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>

enum { BULK_ALIGN = 64 };

struct bulk {
	uint8_t *base;
	uint64_t size;            /* a power of two; 0: there is none */
	const uint64_t *released; /* in the ring's header */
	uint64_t head, freed;     /* producers: the latter is the last of *released */
	_Atomic uint64_t done;    /* [vCPU thread writes] */
	uint64_t logged;          /* [vCPU thread] after the last one that is in the ring */
};

static inline uint64_t bulk_room(uint32_t len)
{
	return ((uint64_t)len + BULK_ALIGN - 1) & ~(uint64_t)(BULK_ALIGN - 1);
}

/*
 * [one producer at a time] Room for len bytes, which will be used in the order in which it
 * was asked for; NULL: there is none.
 */
uint8_t *bulk_alloc(struct bulk *b, uint32_t len);
/* [vCPU thread] The guest needs neither this any more nor what came before. */
void bulk_done(struct bulk *b, const uint8_t *p, uint32_t len);

static inline bool bulk_holds(const struct bulk *b, const uint8_t *p)
{
	return b->size != 0 && (uintptr_t)p - (uintptr_t)b->base < b->size;
}

/* BK2: the offset of what lies at p, which is not before `from`. */
static inline uint64_t bulk_offset(const struct bulk *b, const uint8_t *p, uint64_t from)
{
	return from + (((uint64_t)(p - b->base) - from) & (b->size - 1));
}

#endif
