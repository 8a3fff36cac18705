/*
 * ckwrite.h - a checkpoint file being written: pages that are new are appended,
 * then the checkpoint that names them; and a smaller file is made of it when some
 * checkpoints are given up.
 */
#ifndef TTD_TIMELINE_CKWRITE_H
#define TTD_TIMELINE_CKWRITE_H

#include "timeline/ckformat.h"
#include "util/err.h"

struct ckwrite;

struct ckwrite *ckwrite_create(const char *path, const struct ck_id *id, struct ttd_error *e);
void ckwrite_close(struct ckwrite *s); /* NULL is fine */

/* Frame frame[i] holds the i-th page of `bytes` now. */
int ckwrite_pages(struct ckwrite *s, const uint64_t *frame, const uint8_t *bytes, size_t n,
	struct ttd_error *e);
/* A checkpoint of all that was given so far; fills what is not known of *at. */
int ckwrite_point(struct ckwrite *s, struct ck_chunk *at, uint32_t records, const struct wbuf *state,
	struct ttd_error *e);
/* Gives up every second checkpoint, but not the last. */
int ckwrite_thin(struct ckwrite *s, struct ttd_error *e);

size_t ckwrite_count(const struct ckwrite *s);
uint64_t ckwrite_bytes(const struct ckwrite *s);
uint32_t ckwrite_stored(const struct ckwrite *s); /* pages */

#endif
