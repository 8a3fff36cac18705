/*
 * varint.h - numbers of the log format: LEB128, zigzag for signed ones.
 */
#ifndef TTD_UTIL_VARINT_H
#define TTD_UTIL_VARINT_H

#include "util/bytes.h"

enum { VARINT_MAX = 10 };

static inline void wbuf_v(struct wbuf *w, uint64_t v)
{
	uint8_t b[VARINT_MAX];
	size_t n = 0;

	if (v < 0x80 && w->len < w->cap && !w->bad) { /* nearly always */
		w->p[w->len++] = (uint8_t)v;
		return;
	}
	for (; v >= 0x80; v >>= 7)
		b[n++] = (uint8_t)(v | 0x80);
	b[n++] = (uint8_t)v;
	wbuf_put(w, b, n);
}

/* Differences are modulo 2^64: `a - b` and back always works. */
static inline void wbuf_z(struct wbuf *w, uint64_t d)
{
	wbuf_v(w, d << 1 ^ (uint64_t)((int64_t)d >> 63));
}

/* The shortest form only, so that equal records have equal bytes. */
static inline uint64_t rbuf_v(struct rbuf *r)
{
	uint64_t v = 0;

	for (unsigned shift = 0; shift < 64; shift += 7) {
		uint8_t b = rbuf_u8(r);

		if (r->bad || (shift == 63 && b > 1) || (shift > 0 && b == 0))
			break;
		v |= (uint64_t)(b & 0x7f) << shift;
		if (b < 0x80)
			return v;
	}
	r->bad = true;
	return 0;
}

static inline uint64_t rbuf_z(struct rbuf *r)
{
	uint64_t v = rbuf_v(r);

	return v >> 1 ^ (~(v & 1) + 1);
}

#endif
