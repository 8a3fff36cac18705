/*
 * bytes.c - the growing and the borrowing buffer of bytes.h.
 *
 * Invariants: wbuf.len <= wbuf.cap, rbuf.pos <= rbuf.len, and once `bad` is
 * set neither position moves again.
 */
#include "util/bytes.h"

#include <stdlib.h>

#include "util/checked.h"

enum { WBUF_FIRST = 256 };

void wbuf_free(struct wbuf *w)
{
	free(w->p);
	*w = (struct wbuf){0};
}

static bool wbuf_room(struct wbuf *w, size_t n)
{
	size_t need, cap;
	uint8_t *p;

	if (w->bad)
		return false;
	if (n <= w->cap - w->len)
		return true;
	if (!add_size(w->len, n, &need) || !mul_size(w->cap, 2, &cap))
		goto bad;
	if (cap < WBUF_FIRST)
		cap = WBUF_FIRST;
	if (cap < need)
		cap = need;
	p = realloc(w->p, cap);
	if (p == NULL)
		goto bad;
	w->p = p;
	w->cap = cap;
	return true;
bad:
	w->bad = true;
	return false;
}

void wbuf_put(struct wbuf *w, const void *p, size_t n)
{
	if (n == 0 || !wbuf_room(w, n))
		return;
	memcpy(w->p + w->len, p, n);
	w->len += n;
}

void wbuf_u8(struct wbuf *w, uint8_t v)
{
	wbuf_put(w, &v, 1);
}

void wbuf_u16(struct wbuf *w, uint16_t v)
{
	uint8_t b[2];

	put16(b, v);
	wbuf_put(w, b, sizeof b);
}

void wbuf_u32(struct wbuf *w, uint32_t v)
{
	uint8_t b[4];

	put32(b, v);
	wbuf_put(w, b, sizeof b);
}

void wbuf_u64(struct wbuf *w, uint64_t v)
{
	uint8_t b[8];

	put64(b, v);
	wbuf_put(w, b, sizeof b);
}

void rbuf_get(struct rbuf *r, void *p, size_t n)
{
	if (r->bad || n > r->len - r->pos) {
		r->bad = true;
		if (n != 0)
			memset(p, 0, n);
		return;
	}
	if (n == 0)
		return;
	memcpy(p, r->p + r->pos, n);
	r->pos += n;
}

uint8_t rbuf_u8(struct rbuf *r)
{
	uint8_t v;

	rbuf_get(r, &v, 1);
	return v;
}

uint16_t rbuf_u16(struct rbuf *r)
{
	uint8_t b[2];

	rbuf_get(r, b, sizeof b);
	return get16(b);
}

uint32_t rbuf_u32(struct rbuf *r)
{
	uint8_t b[4];

	rbuf_get(r, b, sizeof b);
	return get32(b);
}

uint64_t rbuf_u64(struct rbuf *r)
{
	uint8_t b[8];

	rbuf_get(r, b, sizeof b);
	return get64(b);
}
