/*
 * ckstore.h - a checkpoint file being written: pages that are new are appended,
 * then the checkpoint that names them; and a smaller file is made of it when some
 * checkpoints are given up.
 */
#ifndef TTD_TIMELINE_CKSTORE_H
#define TTD_TIMELINE_CKSTORE_H

#include "timeline/ckformat.h"
#include "util/err.h"

struct ckstore;

struct ckstore *ckstore_create(const char *path, const struct ck_id *id, struct err *e);
void ckstore_close(struct ckstore *s); /* NULL is fine */

/* Frame frame[i] holds the i-th page of `bytes` now. */
int ckstore_pages(struct ckstore *s, const uint64_t *frame, const uint8_t *bytes, size_t n,
	struct err *e);
/* A checkpoint of all that was given so far; fills what is not known of *at. */
int ckstore_point(struct ckstore *s, struct ck_chunk *at, uint32_t place, const struct wbuf *state,
	struct err *e);
/* Gives up every second checkpoint, but not the last. */
int ckstore_thin(struct ckstore *s, struct err *e);

size_t ckstore_count(const struct ckstore *s);
uint64_t ckstore_bytes(const struct ckstore *s);
uint32_t ckstore_stored(const struct ckstore *s); /* pages */

#endif
