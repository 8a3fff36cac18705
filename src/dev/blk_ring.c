/*
 * blk_ring.c - the ring of a PV disk: one page with the indices and 32 slots
 * of 112 bytes (xen/io/blkif.h, 64-bit).
 *
 *	u32 req_prod, req_event, rsp_prod, rsp_event; 64 bytes in all
 *	request:  u8 op, u8 segments, u16 handle, u64 id at 8, u64 sector at 16,
 *	          segments at 24: u32 grant, u8 first, u8 last, u16 0
 *	discard:  u64 sectors at 24
 *	indirect: u8 op at 1, u16 segments at 2, grants of pages of segments at 28
 *	response: u64 id, u8 op at 8, s16 status at 10
 *
 * A slot is copied once and then looked at.  A request that makes no sense is
 * answered with an error like any other; indices that make none end the ring.
 */
#include "dev/blk_internal.h"

#include <stdlib.h>
#include <string.h>

#include "util/checked.h"

enum {
	REQ_PROD = 0, REQ_EVENT = 4, RSP_PROD = 8, RSP_EVENT = 12, SLOTS_AT = 64, SLOT = 112,
	SEGMENT_SIZE = 8, PER_PAGE = DEV_PAGE / SEGMENT_SIZE,
	PAGES = (SEGMENTS + PER_PAGE - 1) / PER_PAGE,
	/* Service times on a virtual clock, in ns: a solid-state disk's. */
	LATENCY = 80000, FLUSH_TIME = 200000, BYTES_PER_NS = 2,
};

/* ---- requests ---- */

struct request *request_new(struct blk *b)
{
	struct request *r = b->free;
	uint8_t *buf;
	size_t cap;

	if (r == NULL)
		return calloc(1, sizeof *r);
	b->free = r->next;
	buf = r->buf;
	cap = r->cap;
	memset(r, 0, offsetof(struct request, seg));
	r->status = RSP_OKAY;
	r->done = false;
	r->error = 0;
	r->digest = 0;
	r->buf = buf;
	r->cap = cap;
	return r;
}

void request_free(struct blk *b, struct request *r)
{
	r->next = b->free;
	b->free = r;
}

bool request_room(struct request *r, size_t n)
{
	uint8_t *p;

	if (n <= r->cap)
		return true;
	p = realloc(r->buf, n);
	if (p == NULL)
		return false;
	r->buf = p;
	r->cap = n;
	return true;
}

void flight_add(struct blk *b, struct request *r)
{
	r->next = NULL;
	/* The worker may look at the last one's next just now. */
	pthread_mutex_lock(&b->lock);
	*b->flight_end = r;
	b->flight_end = &r->next;
	pthread_mutex_unlock(&b->lock);
}

/* ---- decoding ---- */

/* One segment as it came from the guest; false: it makes no sense. */
static bool add_segment(struct request *r, const uint8_t *p)
{
	unsigned first = p[4], last = p[5];
	struct segment *s = &r->seg[r->nseg];

	if (first > last || last >= DEV_PAGE / SECTOR)
		return false;
	s->ref = get32(p);
	s->off = (uint16_t)(first * SECTOR);
	s->len = (uint16_t)((last - first + 1) * SECTOR);
	r->nseg++;
	r->len += s->len;
	return true;
}

static bool add_indirect(struct blk *b, struct request *r, const uint8_t *slot)
{
	unsigned n = get16(slot + 2);

	if ((r->op != OP_READ && r->op != OP_WRITE) || n == 0 || n > SEGMENTS)
		return false;
	for (unsigned i = 0; i < n; i++) {
		uint8_t p[SEGMENT_SIZE];

		if (b->dev.bus->ops->copy_in(&b->dev, get32(slot + 28 + i / PER_PAGE * 4),
			i % PER_PAGE * SEGMENT_SIZE, p, sizeof p) != 0 || !add_segment(r, p))
			return false;
	}
	return true;
}

static bool add_direct(struct request *r, const uint8_t *slot)
{
	unsigned n = slot[1];

	if (n > SEGMENTS_DIRECT)
		return false;
	for (unsigned i = 0; i < n; i++)
		if (!add_segment(r, slot + 24 + i * SEGMENT_SIZE))
			return false;
	return n > 0 || r->op == OP_FLUSH || r->op == OP_BARRIER;
}

/* Where on the disk: aligned to its sectors, and inside. */
static bool in_bounds(const struct blk *b, struct request *r, uint64_t sector)
{
	uint64_t unit = b->p.sector / SECTOR;

	if (sector % unit != 0 || (r->len / SECTOR) % unit != 0)
		return false;
	return mul_u64(sector, SECTOR, &r->off) && range_ok(r->off, r->len, b->p.size);
}

/* K3: false when a segment is not granted. */
static bool copy_data(struct blk *b, struct request *r)
{
	uint8_t *p = r->buf;

	for (unsigned i = 0; i < r->nseg; i++) {
		const struct segment *s = &r->seg[i];

		if (b->dev.bus->ops->copy_in(&b->dev, s->ref, s->off, p, s->len) != 0)
			return false;
		p += s->len;
	}
	return true;
}

static int decode_discard(const struct blk *b, struct request *r, const uint8_t *slot)
{
	if (!b->p.discard)
		return RSP_UNSUPPORTED;
	return mul_u64(get64(slot + 24), SECTOR, &r->len) &&
		in_bounds(b, r, get64(slot + 16)) ? RSP_OKAY : RSP_ERROR;
}

static int decode_data(struct blk *b, struct request *r, const uint8_t *slot)
{
	bool writes;

	if (slot[0] == OP_INDIRECT ? !add_indirect(b, r, slot) : !add_direct(r, slot))
		return RSP_ERROR;
	if (!in_bounds(b, r, r->len != 0 ? get64(slot + 16) : 0))
		return RSP_ERROR;
	writes = r->op != OP_READ && r->len != 0;
	if (!request_room(r, r->len))
		return RSP_ERROR;
	return !writes || copy_data(b, r) ? RSP_OKAY : RSP_ERROR;
}

static int decode(struct blk *b, struct request *r, const uint8_t *slot)
{
	switch (r->op) {
	case OP_READ:
	case OP_WRITE:
	case OP_BARRIER:
	case OP_FLUSH:
		return decode_data(b, r, slot);
	case OP_DISCARD:
		return decode_discard(b, r, slot);
	default:
		return RSP_UNSUPPORTED;
	}
}

/* ---- the ring ---- */

static void put_index(struct blk *b, unsigned at, uint32_t value)
{
	uint8_t p[4];

	put32(p, value);
	b->dev.bus->ops->page_out(&b->dev, b->ring, at, p, sizeof p);
}

static bool get_index(struct blk *b, unsigned at, uint32_t *value)
{
	uint8_t p[4];

	if (b->dev.bus->ops->page_in(&b->dev, b->ring, at, p, sizeof p) != 0)
		return false;
	*value = get32(p);
	return true;
}

static void set_due(struct blk *b, struct request *r)
{
	uint64_t now = b->dev.bus->ops->now(&b->dev);
	uint64_t bytes = r->op == OP_DISCARD ? 0 : r->len / BYTES_PER_NS;

	r->due = now + (r->op == OP_FLUSH || r->op == OP_BARRIER ? FLUSH_TIME : LATENCY);
	if (r->due < b->last_due)
		r->due = b->last_due;
	r->due += bytes;
	b->last_due = r->due;
}

static bool take_one(struct blk *b)
{
	unsigned at = SLOTS_AT + b->req_cons % RING_SLOTS * SLOT;
	struct request *r;
	uint8_t slot[SLOT];

	if (b->dev.bus->ops->page_in(&b->dev, b->ring, at, slot, sizeof slot) != 0)
		return false;
	r = request_new(b);
	if (r == NULL)
		return false;
	b->req_cons++;
	r->number = b->next_number++;
	r->op = slot[0] == OP_INDIRECT ? slot[1] : slot[0];
	r->id = get64(slot + 8);
	r->status = (int8_t)decode(b, r, slot);
	if (r->status != RSP_OKAY)
		r->nseg = 0;
	set_due(b, r);
	flight_add(b, r);
	return true;
}

void blk_take(struct blk *b)
{
	uint32_t prod;

	if (!b->connected || b->broken || !get_index(b, REQ_PROD, &prod))
		return;
	/* As many as have no response yet at most: they have their slots still. */
	if (prod - b->rsp_prod > RING_SLOTS || prod - b->req_cons > RING_SLOTS) {
		b->broken = true;
		return;
	}
	while (b->req_cons != prod)
		if (!take_one(b)) {
			b->broken = true;
			break;
		}
	put_index(b, REQ_EVENT, b->req_cons + 1);
	work_kick(b);
}

void blk_respond(struct blk *b, const struct request *r, int status)
{
	unsigned at = SLOTS_AT + b->rsp_prod % RING_SLOTS * SLOT;
	uint32_t event;
	uint8_t p[12] = {0};

	if (!b->connected)
		return;
	put64(p, r->id);
	p[8] = r->op;
	put16(p + 10, (uint16_t)status);
	b->dev.bus->ops->page_out(&b->dev, b->ring, at, p, sizeof p);
	put_index(b, RSP_PROD, ++b->rsp_prod);
	/* Only when the guest waits for just this one: others would be spurious. */
	if (get_index(b, RSP_EVENT, &event) && event == b->rsp_prod)
		b->dev.bus->ops->raise(&b->dev, 0);
}
