/*
 * bulk.c - see bulk.h.
 */
#include "event/bulk.h"

#include <assert.h>
#include <stddef.h>

/* Where what is in use begins (BK1). */
static uint64_t in_use(const struct bulk *b, uint64_t done)
{
	uint64_t from = done < b->freed ? done : b->freed;

	assert(from <= b->head && b->head - from <= b->size);
	return from;
}

uint8_t *bulk_alloc(struct bulk *b, uint32_t len)
{
	uint64_t n = bulk_room(len), at = b->head, released, done;

	if (b->size == 0 || n > b->size)
		return NULL;
	done = atomic_load_explicit(&b->done, memory_order_acquire);
	released = __atomic_load_n(b->released, __ATOMIC_ACQUIRE);
	if (released - b->freed <= b->head - b->freed) /* BK3 */
		b->freed = released;
	if (at + n - in_use(b, done) > b->size)
		return NULL;
	b->head += n;
	return b->base + (at & (b->size - 1));
}

void bulk_done(struct bulk *b, const uint8_t *p, uint32_t len)
{
	uint64_t done = atomic_load_explicit(&b->done, memory_order_relaxed);

	atomic_store_explicit(&b->done, bulk_offset(b, p, done) + bulk_room(len),
		memory_order_release);
}
