/*
 * xs_ring.c - the ring page of xs_wire.h: messages out of its request half and
 * into its response half.
 *
 * The page is shared with the guest.  An index is copied once and then
 * checked; a pair that is more than a ring apart, or a message longer than the
 * protocol allows, breaks the connection for good.  Replies that do not fit
 * wait in xs->out; while QUOTA_REPLIES of them wait no request is read, which
 * pushes back on the guest instead of growing the queue.
 */
#include "xenstore/internal.h"

#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include "util/bytes.h"

#define RING_OFF(field) ((unsigned)offsetof(struct xenstore_domain_interface, field))

enum { HDR = sizeof(struct xsd_sockmsg) };

struct indexes {
	uint32_t cons, prod;
};

/* cons and prod are neighbours in the page.  false: the guest broke them. */
static bool read_indexes(struct xenstore *xs, unsigned off, struct indexes *ix)
{
	uint8_t raw[8];

	xs->ops.read(xs->ctx, off, raw, sizeof raw);
	ix->cons = get32(raw);
	ix->prod = get32(raw + 4);
	if (ix->prod - ix->cons > XENSTORE_RING_SIZE)
		xs->broken = true;
	return !xs->broken;
}

static void write_index(struct xenstore *xs, unsigned off, uint32_t v)
{
	uint8_t raw[4];

	put32(raw, v);
	xs->ops.write(xs->ctx, off, raw, sizeof raw);
}

/* Bytes from position `at` up to the end of the ring, at most n. */
static uint32_t piece(uint32_t at, size_t n)
{
	uint32_t room = XENSTORE_RING_SIZE - MASK_XENSTORE_IDX(at);

	return n < room ? (uint32_t)n : room;
}

/* Moves up to n request bytes after xs->in_len; returns how many. */
static size_t take_request(struct xenstore *xs, size_t n)
{
	struct indexes ix;
	size_t done = 0;

	if (!read_indexes(xs, RING_OFF(req_cons), &ix))
		return 0;
	if (n > ix.prod - ix.cons)
		n = ix.prod - ix.cons;
	while (done < n) {
		uint32_t part = piece(ix.cons, n - done);

		xs->ops.read(xs->ctx, RING_OFF(req) + MASK_XENSTORE_IDX(ix.cons),
			xs->in + xs->in_len, part);
		xs->in_len += part;
		ix.cons += part;
		done += part;
	}
	if (done)
		write_index(xs, RING_OFF(req_cons), ix.cons);
	return done;
}

static uint32_t msg_type(const struct xs_msg *m)
{
	return get32(m->data + offsetof(struct xsd_sockmsg, type));
}

static void out_pop(struct xenstore *xs)
{
	struct xs_msg *m = xs->out;

	xs->out = m->next;
	if (!xs->out)
		xs->out_end = &xs->out;
	if (msg_type(m) == XS_WATCH_EVENT)
		xs->events--;
	else
		xs->replies--;
	free(m);
}

void xs_out_clear(struct xenstore *xs)
{
	while (xs->out)
		out_pop(xs);
}

/* Sends what there is room for.  true when something was sent. */
bool xs_ring_flush(struct xenstore *xs)
{
	struct indexes ix;
	uint32_t start;

	if (!xs->out || xs->broken || !read_indexes(xs, RING_OFF(rsp_cons), &ix))
		return false;
	start = ix.prod;
	while (xs->out && ix.prod - ix.cons < XENSTORE_RING_SIZE) {
		struct xs_msg *m = xs->out;
		uint32_t room = XENSTORE_RING_SIZE - (ix.prod - ix.cons);
		size_t left = m->len - m->sent;
		uint32_t part = piece(ix.prod, left < room ? left : room);

		xs->ops.write(xs->ctx, RING_OFF(rsp) + MASK_XENSTORE_IDX(ix.prod),
			m->data + m->sent, part);
		ix.prod += part;
		m->sent += part;
		if (m->sent == m->len)
			out_pop(xs);
	}
	if (ix.prod == start)
		return false;
	write_index(xs, RING_OFF(rsp_prod), ix.prod);
	return true;
}

void xs_out_append(struct xenstore *xs, struct xs_msg *m)
{
	if (msg_type(m) == XS_WATCH_EVENT)
		xs->events++;
	else
		xs->replies++;
	*xs->out_end = m;
	xs->out_end = &m->next;
}

static struct xs_msg *msg_new(const struct xsd_sockmsg *hdr, const void *p)
{
	struct xs_msg *m = xs_alloc(sizeof *m + HDR + hdr->len);

	m->len = HDR + hdr->len;
	memcpy(m->data, hdr, HDR);
	if (hdr->len)
		memcpy(m->data + HDR, p, hdr->len);
	return m;
}

void xs_out_reply(struct xenstore *xs, const struct xsd_sockmsg *req, uint32_t type, const void *p,
	size_t n)
{
	struct xsd_sockmsg hdr = { type, req->req_id, req->tx_id, (uint32_t)n };

	xs_out_append(xs, msg_new(&hdr, p));
}

/* An event equal to one that still waits adds nothing and is left out. */
void xs_out_event(struct xenstore *xs, const void *p, size_t n)
{
	struct xsd_sockmsg hdr = { XS_WATCH_EVENT, 0, 0, (uint32_t)n };
	struct xs_msg *m = msg_new(&hdr, p);
	const struct xs_msg *o;

	for (o = xs->out; o; o = o->next) {
		if (o->sent == 0 && o->len == m->len && memcmp(o->data, m->data, m->len) == 0)
			break;
	}
	if (o || xs->events >= QUOTA_EVENTS || xs->broken)
		free(m);
	else
		xs_out_append(xs, m);
}

/* Completes xs->in up to one message.  false: not all of it is there yet. */
static bool fill(struct xenstore *xs, bool *progress)
{
	size_t want = HDR;

	for (;;) {
		if (xs->in_len >= HDR) {
			uint32_t len = get32(xs->in + offsetof(struct xsd_sockmsg, len));

			if (len > XENSTORE_PAYLOAD_MAX) {
				xs->broken = true;
				return false;
			}
			want = HDR + len;
		}
		if (xs->in_len == want)
			return true;
		if (take_request(xs, want - xs->in_len) == 0)
			return false;
		*progress = true;
	}
}

void xs_process(struct xenstore *xs)
{
	bool progress = false;

	if (xs->handling || xs->broken)
		return; /* a backend's callback: the outer loop goes on by itself */
	xs->handling = true;
	for (;;) {
		struct xsd_sockmsg hdr;

		progress |= xs_ring_flush(xs);
		if (xs->broken || xs->replies >= QUOTA_REPLIES || !fill(xs, &progress))
			break;
		memcpy(&hdr, xs->in, HDR);
		xs->in_len = 0;
		xs_request(xs, &hdr, (char *)xs->in + HDR);
		xs_tell_backends(xs);
	}
	if (xs->broken)
		xs_out_clear(xs);
	xs->handling = false;
	if (progress)
		xs->ops.notify(xs->ctx);
}
