/*
 * pages.h - checkpoints of one session, in memory.
 *
 * A checkpoint names a page for each frame.  Pages are immutable and shared;
 * what a page id means:
 *	PAGE_BOOT        the frame as the domain builder left it
 *	1 .. MEM - 1     one of these pages, counted by how many tables name it
 *	PAGE_FILE | n    page n of the checkpoint file
 *	PAGE_UNKNOWN     in the table of the running domain only: may be anything
 */
#ifndef TTD_TIMELINE_PAGES_H
#define TTD_TIMELINE_PAGES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "mem/mem.h"
#include "util/bytes.h"
#include "util/err.h"

#define PAGE_BOOT UINT32_C(0)
#define PAGE_FILE UINT32_C(0x80000000)
#define PAGE_UNKNOWN UINT32_C(0xffffffff)

struct pages;

/* `bytes`: for the pages of checkpoints. */
struct pages *pages_create(const struct mem *m, size_t bytes, struct ttd_error *e);
void pages_free(struct pages *s);

uint64_t pages_frames(const struct pages *s);
/* 4096 bytes of a page of this session, boot or not. */
const uint8_t *pages_at(const struct pages *s, uint64_t frame, uint32_t id);

/* A copy of the frame as a new page, counted once.  PAGE_UNKNOWN: no room. */
uint32_t pages_add(struct pages *s, const uint8_t *bytes);

/* Tables of one id per frame.  The first frees, the others count. */
void table_free(struct pages *s, uint32_t *table);
uint32_t *table_copy(struct pages *s, const uint32_t *from); /* NULL: no memory */
/* Another id for a frame; the table takes over the count of `id`. */
void table_set(struct pages *s, uint32_t *table, uint64_t frame, uint32_t id);
void table_assign(struct pages *s, uint32_t *table, const uint32_t *from);

#endif
