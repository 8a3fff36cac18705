/*
 * internal.h - inside of struct timeline, for src/timeline only.
 */
#ifndef TTD_TIMELINE_INTERNAL_H
#define TTD_TIMELINE_INTERNAL_H

#include <stdatomic.h>

#include "timeline/ckread.h"
#include "timeline/pages.h"
#include "timeline/timeline.h"

/* A checkpoint that can be gone back to: a moment 0. */
struct ckpt {
	struct timeline_mark at;
	uint32_t records;  /* replay_seek() */
	/* Of this session's: */
	uint32_t *table;
	struct wbuf state; /* domain_save() */
	/* Of one in the file (at.stored): */
	size_t number;
};

/*
 *  TP1. now[f] tells what frame f holds, unless it is among what mem has noted
 *      as written for MEM_FOR_CHECKPOINT.
 *  TP2. list is in order of icounts, each at most once.
 */
struct timeline {
	struct timeline_params p;
	struct mem *mem;
	struct pages *pages;
	struct ckread *file; /* NULL: there is none */
	uint32_t *now;     /* TP1 */
	struct ckpt **list;
	size_t n, cap;
	struct domain_until until; /* brctr and tsc: where forward() stops too */
	bool broken;       /* a restore failed half-way: only a restore helps */
	bool diverged;
	uint64_t planted;  /* host's ns of the last checkpoint while running */
	atomic_bool interrupt;
};

/* snapshot.c */
/* Remembers where the domain is, at a moment 0.  -1: no memory. */
int snapshot_take(struct timeline *tl);
int snapshot_restore(struct timeline *tl, struct ckpt *k, struct ttd_error *e);
void ckpt_free(struct timeline *tl, struct ckpt *k);
/* The index of the last checkpoint at or before icount; -1: none. */
long ckpt_before(const struct timeline *tl, uint64_t icount);
/* Adds those of the file to the list.  -1: no memory. */
int ckpt_stored(struct timeline *tl);
/* It is damaged: forget that it is there. */
void ckpt_forget(struct timeline *tl, size_t i);

#endif
