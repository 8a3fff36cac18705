/*
 * bytes.h - little-endian loads and stores on unaligned bytes, and the two
 * buffers every save/load pair is written with.
 *
 * wbuf grows as it is written and owns its memory; a failed allocation is
 * remembered in `bad` and later puts do nothing.  rbuf borrows its bytes; a
 * get past the end sets `bad` and yields zero, so a loader may read a whole
 * structure and test `bad` once.
 */
#ifndef TTD_UTIL_BYTES_H
#define TTD_UTIL_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

static inline uint16_t get16(const void *p) { uint16_t v; memcpy(&v, p, 2); return v; }
static inline uint32_t get32(const void *p) { uint32_t v; memcpy(&v, p, 4); return v; }
static inline uint64_t get64(const void *p) { uint64_t v; memcpy(&v, p, 8); return v; }
static inline void put16(void *p, uint16_t v) { memcpy(p, &v, 2); }
static inline void put32(void *p, uint32_t v) { memcpy(p, &v, 4); }
static inline void put64(void *p, uint64_t v) { memcpy(p, &v, 8); }

struct wbuf {
	uint8_t *p;
	size_t len, cap;
	bool bad;
};

struct rbuf {
	const uint8_t *p;
	size_t len, pos;
	bool bad;
};

void wbuf_free(struct wbuf *w);
void wbuf_put(struct wbuf *w, const void *p, size_t n);
void wbuf_u8(struct wbuf *w, uint8_t v);
void wbuf_u16(struct wbuf *w, uint16_t v);
void wbuf_u32(struct wbuf *w, uint32_t v);
void wbuf_u64(struct wbuf *w, uint64_t v);

void rbuf_get(struct rbuf *r, void *p, size_t n);
uint8_t rbuf_u8(struct rbuf *r);
uint16_t rbuf_u16(struct rbuf *r);
uint32_t rbuf_u32(struct rbuf *r);
uint64_t rbuf_u64(struct rbuf *r);

#endif
