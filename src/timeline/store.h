/*
 * store.h - checkpoints of one session, in memory.
 *
 * A checkpoint names a page for each frame.  Pages are immutable and shared;
 * what a page id means:
 *	PAGE_BOOT        the frame as the domain builder left it
 *	1 .. MEM - 1     a page of this store, counted by how many tables name it
 *	PAGE_FILE | n    page n of the checkpoint file
 *	PAGE_UNKNOWN     in the table of the running domain only: may be anything
 */
#ifndef TTD_TIMELINE_STORE_H
#define TTD_TIMELINE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"
#include "util/err.h"

#define PAGE_BOOT UINT32_C(0)
#define PAGE_FILE UINT32_C(0x80000000)
#define PAGE_UNKNOWN UINT32_C(0xffffffff)

struct store;

/* `bytes`: for the pages of checkpoints. */
struct store *store_create(const struct mem *m, size_t bytes, struct err *e);
void store_free(struct store *s);

uint64_t store_frames(const struct store *s);
/* 4096 bytes of a boot or store page. */
const uint8_t *store_page(const struct store *s, uint64_t frame, uint32_t id);

/* A copy of the frame as a new page, counted once.  PAGE_UNKNOWN: no room. */
uint32_t store_add(struct store *s, const uint8_t *bytes);

/* Tables of one id per frame.  The first frees, the others count. */
void table_free(struct store *s, uint32_t *table);
uint32_t *table_copy(struct store *s, const uint32_t *from); /* NULL: no memory */
/* Another id for a frame; the table takes over the count of `id`. */
void table_set(struct store *s, uint32_t *table, uint64_t frame, uint32_t id);
void table_assign(struct store *s, uint32_t *table, const uint32_t *from);

#endif
