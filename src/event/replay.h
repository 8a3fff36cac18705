/*
 * replay.h - the replayer: a source that hands out what a log holds, at the
 * positions where it was recorded, and compares every witness.
 *
 * It reads no clock and takes no input.  The first thing that does not match
 * ends the run: witness() answers WITNESS_DIVERGED, or the next event is
 * EV_STOP where the log ends or is damaged.
 */
#ifndef TTD_EVENT_REPLAY_H
#define TTD_EVENT_REPLAY_H

#include "event/detail.h"
#include "event/log.h"
#include "event/source.h"

struct replay_params {
	struct log_reader *log; /* borrowed; at its first record */
	/* Makes the vCPU thread come back soon, for stop(). */
	void (*kick)(void *ctx);
	void *kick_ctx;
	/* [vCPU thread] Now and then, with where the run is: progress, pace.  May be NULL. */
	void (*progress)(void *ctx, const struct source_pos *now);
	void *progress_ctx;
};

enum replay_status {
	REPLAY_RUNNING,
	REPLAY_DIVERGED, /* see replay_divergence() */
	REPLAY_LOG_END,  /* a log without END has come to its end */
	REPLAY_DAMAGED,  /* see replay_error() */
	REPLAY_STOPPED,  /* by stop() */
};

/* Where and how a replay left its recording. */
struct divergence {
	struct log_record last;     /* the last that matched */
	struct log_record expected; /* of the log; type 0: the log has nothing more */
	struct log_record actual;   /* of this run; type 0: it only got to pos */
	struct source_pos now;
	struct detail_diff detail;  /* of a digest or the END: what of it differs */
	bool final;                 /* the END's digests differ, expected.code says why it ended */
};

struct replay_counts {
	uint64_t type[LOG_TYPES]; /* records consumed and found equal */
};

struct source *replay_create(const struct replay_params *p, struct ttd_error *e);
enum replay_status replay_status(const struct source *s);
const struct divergence *replay_divergence(const struct source *s);
const struct ttd_error *replay_error(const struct source *s);
void replay_counts(const struct source *s, struct replay_counts *c);

/*
 * For checkpoints: how many of the records at this icount, where the run is
 * now, have been consumed, and above COUNT_BITS how many exits of the next one have
 * been seen (not in logs that have no LOG_EXITS); and going on from there, whatever
 * happened before.
 */
enum { COUNT_BITS = 16 };
uint32_t replay_count_at(const struct source *s, uint64_t icount);
int replay_seek(struct source *s, uint64_t icount, uint32_t records, struct ttd_error *e);
/* After stop(): the run may go on. */
void replay_resume(struct source *s);

/*
 * The guest has ended like this: true when the log's END says the same (then
 * the whole log has been consumed).  false: diverged, or there is no END.
 * `detail` may be NULL.
 */
bool replay_finish(struct source *s, const struct log_end *actual, struct detail *detail);

/* XenTT's line: "TT_LOG:(cpu(0): FUNC) Error:Replay missed event:...". */
void divergence_line(const struct divergence *d, char *text, size_t n);

/* One record in XenTT's words: "brctr:D, ip:0xH, ... TTD_EXCEPTION(16),info:do_page_fault(14)". */
void log_record_text(const struct log_record *r, char *text, size_t n);
const char *log_hypercall_name(unsigned nr); /* "mmu_update"; NULL: none such */
const char *log_event_name(const struct log_record *r); /* "TTD_EXCEPTION" */
unsigned log_event_number(const struct log_record *r);  /* 16 */
const char *log_info_name(const struct log_record *r);  /* "do_page_fault" */

#endif
