/*
 * lastwrite.h - who wrote some bytes of guest memory last?
 *
 * The segments between stored checkpoints are run again with a watch on the
 * bytes, the latest first, several at a time in processes of their own.  A
 * segment in which the frame was not written, as its checkpoint says, is left out.
 */
#ifndef TTD_TIMELINE_LASTWRITE_H
#define TTD_TIMELINE_LASTWRITE_H

#include "cpu/cpu.h"
#include "timeline/timeline.h"

struct last_write {
	struct timeline_pos at;  /* where it has just been done */
	uint64_t brctr;
	uint64_t rip;            /* of the instruction; 0: it was the hypervisor */
	enum mem_watch_by by;
	uint64_t machine;        /* first byte written; UINT64_MAX: known by va only */
	gva_t va;                /* the same; 0: known by machine address only */
	uint32_t size;
	unsigned segments, skipped; /* looked at; left out */
};

struct last_write_query {
	const struct mem_watch *ranges; /* machine addresses, for writes */
	size_t n;
	unsigned jobs;           /* processes at a time */
	/* Now and then, how many segments are done.  May be NULL. */
	void (*progress)(void *ctx, unsigned done, unsigned total);
	void *ctx;
};

/*
 * The last write before where the timeline stands, which is then where it was
 * done.  1: *w; 0: the bytes are as the domain builder left them, and the
 * timeline stands where it stood; -1: *e.
 */
int timeline_last_write(struct timeline *tl, const struct last_write_query *q,
	struct last_write *w, struct ttd_error *e);

#endif
