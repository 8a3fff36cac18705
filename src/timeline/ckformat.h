/*
 * ckformat.h - the checkpoint file's header and chunks as bytes: doc/spec/checkpoint.md.
 */
#ifndef TTD_TIMELINE_CKFORMAT_H
#define TTD_TIMELINE_CKFORMAT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/log.h"
#include "mem/mem.h"
#include "util/bytes.h"

enum {
	CK_HEADER = 64, CK_CHUNK = 96, CK_INDEX = 18 /* of a page in PAGES' meta */,
	CK_META_MAX = 1 << 29,
	CK_PAGES = 1, CK_CHECKPOINT = 2,
	CK_BOOT = 0, CK_ZERO = 1, CK_FIRST = 2, /* page numbers */
	CK_MAX = 0x7ffffff0,
	CK_VERSION = 2,
};

/* What a file belongs to. */
struct ck_id {
	uint8_t run_id[RUN_ID];
	uint32_t engine, abi;
	uint64_t frames, seed;
};
void ck_header_write(uint8_t out[CK_HEADER], const struct ck_id *id);
/* NULL, or what is wrong. */
const char *ck_header_read(const uint8_t in[CK_HEADER], struct ck_id *id);

struct ck_chunk {
	uint8_t kind;
	uint64_t seq, data;
	uint32_t meta, raw, first, count;
	uint64_t icount, brctr, guest_ns, console;
	uint64_t digest; /* of meta */
};
void ck_chunk_write(uint8_t out[CK_CHUNK], const struct ck_chunk *c, const struct ck_id *id);
bool ck_chunk_read(const uint8_t in[CK_CHUNK], const struct ck_id *id, struct ck_chunk *c);

struct ck_hash {
	uint8_t b[16];
};
struct ck_hash ck_page_hash(const struct ck_id *id, const uint8_t *page);
uint64_t ck_digest(const void *p, size_t n);

/* A checkpoint's meta, decoded. */
struct ck_meta {
	uint32_t records;
	uint8_t *dirty;  /* a bit per frame */
	uint32_t *table; /* a page number per frame */
	const uint8_t *state;
	size_t state_len;
};
void ck_meta_write(struct wbuf *w, const struct ck_meta *m, uint64_t frames);
/*
 * Fills dirty and table, which may be NULL; state points into r.  -1: nonsense.
 * `pages`: numbers must be smaller.
 */
int ck_meta_read(struct rbuf *r, struct ck_meta *m, uint64_t frames, uint32_t pages);

#endif
