/*
 * ckread.h - reading a checkpoint file.  Everything in it is checked before it
 * is used, the pages when they are asked for.
 */
#ifndef TTD_TIMELINE_CKREAD_H
#define TTD_TIMELINE_CKREAD_H

#include "timeline/ckformat.h"
#include "util/err.h"

struct ckread;

/* NULL and *e: there is none, or it is not `want`'s (whose seed does not matter). */
struct ckread *ckread_open(const char *path, const struct ck_id *want, struct ttd_error *e);
void ckread_close(struct ckread *f);

/* What is in it, in order; damage has been skipped. */
size_t ckread_count(const struct ckread *f);
const struct ck_chunk *ckread_at(const struct ckread *f, size_t i);
uint64_t ckread_skipped(const struct ckread *f); /* damaged places */
uint32_t ckread_pages(const struct ckread *f);   /* numbers are less than this */

/*
 * The i-th, decoded: m->dirty and m->table are the caller's or NULL; `raw` holds
 * what m->state points into, and is the caller's to free.  -1: damaged.
 */
int ckread_load(struct ckread *f, size_t i, struct ck_meta *m, struct wbuf *raw,
	struct ttd_error *e);

/* A page's 4096 bytes; not of number CK_BOOT.  -1: damaged. */
int ckread_page(struct ckread *f, uint32_t page, uint8_t *to, struct ttd_error *e);

/* Where a page is stored, for copying it as it is.  Its length; 0: it is not there. */
unsigned ckread_stored(const struct ckread *f, uint32_t page, uint64_t *at, struct ck_hash *hash);

#endif
