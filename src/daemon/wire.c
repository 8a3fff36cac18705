/*
 * wire.c - packets between a domain and ttd-deviced; see wire.h.  What comes
 * from the other side is believed only after it has been checked here.
 */
#include "daemon/wire.h"

#include <string.h>

#include "event/meta.h"
#include "util/runtime.h"
#include "util/text.h"

#define WIRE_MAGIC UINT32_C(0x56445454) /* TTDV */
enum { WIRE_VERSION = 2 };

static void put_text(struct wbuf *w, const char *s)
{
	size_t n = strlen(s);

	wbuf_u16(w, (uint16_t)n);
	wbuf_put(w, s, n);
}

static void get_text(struct rbuf *r, char *out, size_t size)
{
	size_t n = rbuf_u16(r);

	memset(out, 0, size);
	if (r->bad || n >= size || n > r->len - r->pos || memchr(r->p + r->pos, 0, n) != NULL) {
		r->bad = true;
		return;
	}
	rbuf_get(r, out, n);
}

static void put_head(struct wbuf *w, uint8_t kind)
{
	wbuf_u32(w, WIRE_MAGIC);
	wbuf_u8(w, WIRE_VERSION);
	wbuf_u8(w, kind);
}

static uint8_t get_head(struct rbuf *r)
{
	if (rbuf_u32(r) != WIRE_MAGIC || rbuf_u8(r) != WIRE_VERSION)
		r->bad = true;
	return rbuf_u8(r);
}

static int end(const struct rbuf *r)
{
	return r->bad || r->pos != r->len ? -1 : 0;
}

static bool has_meta(const struct wire_request *q)
{
	return q->kind == WIRE_RECORD || q->kind == WIRE_REPLAYED;
}

int request_write(struct wbuf *w, const struct wire_request *q)
{
	put_head(w, q->kind);
	wbuf_put(w, q->run_id, RUN_ID);
	wbuf_u64(w, q->limit);
	put_text(w, q->name);
	put_text(w, q->path);
	if (has_meta(q))
		meta_write(w, &q->meta);
	return w->bad ? -1 : 0;
}

int request_read(struct rbuf *r, struct wire_request *q)
{
	struct rbuf meta;

	memset(q, 0, sizeof *q);
	q->kind = get_head(r);
	if (q->kind < WIRE_RECORD || q->kind > WIRE_REPLAYED)
		return -1;
	rbuf_get(r, q->run_id, RUN_ID);
	q->limit = rbuf_u64(r);
	get_text(r, q->name, sizeof q->name);
	get_text(r, q->path, sizeof q->path);
	if (r->bad || !text_is_name(q->name))
		return -1;
	if (!has_meta(q))
		return end(r);
	meta = (struct rbuf){.p = r->p + r->pos, .len = r->len - r->pos};
	return meta_read(&meta, &q->meta);
}

int reply_write(struct wbuf *w, const struct wire_reply *p)
{
	put_head(w, (uint8_t)(p->ok | p->done << 1));
	wbuf_u32(w, p->status);
	put_text(w, p->text);
	put_text(w, p->path);
	put_text(w, p->dir);
	return w->bad ? -1 : 0;
}

int reply_read(struct rbuf *r, struct wire_reply *p)
{
	uint8_t bits = get_head(r);

	memset(p, 0, sizeof *p);
	p->ok = bits & 1;
	p->done = bits >> 1 & 1;
	p->status = rbuf_u32(r);
	get_text(r, p->text, sizeof p->text);
	get_text(r, p->path, sizeof p->path);
	get_text(r, p->dir, sizeof p->dir);
	if (p->status > TTD_DAMAGED)
		return -1;
	return end(r);
}

int result_write(struct wbuf *w, const struct wire_result *s)
{
	put_head(w, s->complete);
	wbuf_u64(w, s->inputs);
	wbuf_u64(w, s->witnesses);
	wbuf_u64(w, s->digests);
	wbuf_u64(w, s->bytes);
	put_text(w, s->text);
	return w->bad ? -1 : 0;
}

int result_read(struct rbuf *r, struct wire_result *s)
{
	memset(s, 0, sizeof *s);
	s->complete = get_head(r) == 1;
	s->inputs = rbuf_u64(r);
	s->witnesses = rbuf_u64(r);
	s->digests = rbuf_u64(r);
	s->bytes = rbuf_u64(r);
	get_text(r, s->text, sizeof s->text);
	return end(r);
}
