/*
 * ckfile.h - reading a checkpoint file.  Everything in it is checked before it
 * is used, the pages when they are asked for.
 */
#ifndef TTD_TIMELINE_CKFILE_H
#define TTD_TIMELINE_CKFILE_H

#include "timeline/ckformat.h"
#include "util/err.h"

struct ckfile;

/* NULL and *e: there is none, or it is not `want`'s (whose seed does not matter). */
struct ckfile *ckfile_open(const char *path, const struct ck_id *want, struct err *e);
void ckfile_close(struct ckfile *f);

/* What is in it, in order; damage has been skipped. */
size_t ckfile_count(const struct ckfile *f);
const struct ck_chunk *ckfile_at(const struct ckfile *f, size_t i);
uint64_t ckfile_skipped(const struct ckfile *f); /* damaged places */
uint32_t ckfile_pages(const struct ckfile *f);   /* numbers are less than this */

/*
 * The i-th, decoded: m->dirty and m->table are the caller's or NULL; `raw` holds
 * what m->state points into, and is the caller's to free.  -1: damaged.
 */
int ckfile_load(struct ckfile *f, size_t i, struct ck_meta *m, struct wbuf *raw, struct err *e);

/* A page's 4096 bytes; not of number CK_BOOT.  -1: damaged. */
int ckfile_page(struct ckfile *f, uint32_t page, uint8_t *to, struct err *e);

/* Where a page is stored, for copying it as it is.  Its length; 0: it is not there. */
unsigned ckfile_stored(const struct ckfile *f, uint32_t page, uint64_t *at, struct ck_hash *hash);

#endif
