/*
 * make_pack.h - packed traces with an index as somebody likes it, whose
 * checksums are right: for tests and the fuzzer of what comes after those.
 */
#ifndef TEST_MAKE_PACK_H
#define TEST_MAKE_PACK_H

#include <stdlib.h>
#include <string.h>
#include <zstd.h>

#include "trace/pack.h"
#include "util/bytes.h"
#include "util/xxh.h"

static const uint8_t make_pack_id[PACK_ID] = "make_pack";

static inline uint64_t make_pack_digest(const void *a, size_t an, const void *b, size_t bn)
{
	XXH3_state_t s;

	XXH3_64bits_reset(&s);
	XXH3_64bits_update(&s, a, an);
	XXH3_64bits_update(&s, make_pack_id, PACK_ID);
	XXH3_64bits_update(&s, b, bn);
	return XXH3_64bits_digest(&s);
}

static inline void make_pack_header(struct wbuf *w)
{
	uint8_t h[PACK_HEADER] = {0};

	memcpy(h, PACK_MAGIC, 8);
	put16(h + 8, 1);
	put16(h + 10, PACK_HEADER);
	put32(h + 12, PACK_BLOCK);
	memcpy(h + 16, make_pack_id, PACK_ID);
	put64(h + 56, XXH3_64bits(h, 56));
	wbuf_put(w, h, sizeof h);
}

/* Says that its payload has `raw` bytes when it is decoded. */
static inline void make_pack_chunk(struct wbuf *w, uint32_t n, unsigned coding, uint32_t raw,
	const void *p, size_t len)
{
	uint8_t h[PACK_CHUNK_HEADER] = {0};

	put32(h, PACK_CHUNK_MAGIC);
	h[4] = (uint8_t)coding;
	put32(h + 8, n);
	put32(h + 12, raw);
	put32(h + 16, (uint32_t)len);
	put64(h + 24, make_pack_digest(h, 24, p, len));
	wbuf_put(w, h, sizeof h);
	wbuf_put(w, p, len);
}

static inline void make_pack_index(struct wbuf *w, const void *index, size_t n)
{
	size_t cap = ZSTD_compressBound(n), at = w->len, len;
	uint8_t f[PACK_FOOTER], *z = malloc(cap);

	if (z == NULL)
		abort();
	len = ZSTD_compress(z, cap, index, n, 1);
	wbuf_put(w, z, len);
	put64(f, at);
	put32(f + 8, (uint32_t)len);
	put32(f + 12, (uint32_t)n);
	put64(f + 16, make_pack_digest("", 0, z, len));
	put64(f + 24, make_pack_digest(f, 24, "", 0));
	memcpy(f + 32, PACK_END, 8);
	wbuf_put(w, f, sizeof f);
	free(z);
}

#endif
