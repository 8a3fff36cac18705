/*
 * detail.h - what a digest was made of: which pages changed since the digest
 * before, and the registers.  A recorder writes it down, and a replayer whose
 * digest differs tells by it which pages and registers do.
 *
 * The format is doc/spec/log.md, Details.  What comes out of a log is checked
 * here: entries ascend, and there are at most DETAIL_PAGES.
 */
#ifndef TTD_EVENT_DETAIL_H
#define TTD_EVENT_DETAIL_H

#include "event/log.h"

enum {
	DETAIL_PAGES = 8192,
	DETAIL_SHIFT_MAX = 40,
	DETAIL_REGISTERS = 195,
	DETAIL_DIFFS = 24,  /* as many differing groups are named */
};

/* Frames [group << shift, (group + 1) << shift). */
struct detail_page {
	uint64_t group;
	uint16_t check; /* by what the sum of their digests changed */
};

struct detail {
	bool have_pages, have_registers;
	uint8_t shift;
	uint32_t n;
	struct detail_page page[DETAIL_PAGES];
	uint8_t registers[DETAIL_REGISTERS];
};

void detail_clear(struct detail *d);

/*
 * Adds what frame `mfn` changed by; frames ascend.  Where there are too many
 * they are put together to groups.
 */
void detail_add(struct detail *d, uint64_t mfn, uint64_t change);

/* Calls put() with each of its records. */
void detail_records(const struct detail *d, const struct source_pos *pos,
	void (*put)(void *ctx, const struct log_record *r), void *ctx);

/* Adds a record of a log.  What makes no sense is left out. */
void detail_take(struct detail *d, const struct log_record *r);

/* Entries of one pages record: p[0..*n), at most DETAIL_RECORD.  false: malformed. */
enum { DETAIL_RECORD = EVENT_DATA_MAX / 3 };
bool detail_decode(const void *data, size_t len, uint8_t *shift,
	struct detail_page p[DETAIL_RECORD], uint32_t *n);

/* ---- what differs ---- */

enum detail_how {
	CHANGED_OTHERWISE, /* by both runs, to something else */
	CHANGED_RECORDED,  /* by the recorded run only */
	CHANGED_REPLAYED,  /* by this run only */
};

struct detail_diff {
	bool have_pages, have_registers;
	uint64_t total; /* groups that differ */
	uint32_t n;     /* the first of them */
	struct {
		uint64_t mfn, frames;
		enum detail_how how;
	} page[DETAIL_DIFFS];
	uint8_t recorded[DETAIL_REGISTERS], replayed[DETAIL_REGISTERS];
};

/* May coarsen either. */
void detail_compare(struct detail *recorded, struct detail *replayed, struct detail_diff *out);

/* What the registers record holds. */
struct detail_field {
	const char *name;
	uint8_t at, size;
	bool digest; /* the number says nothing but that it differs */
};
enum { DETAIL_FIELDS = 27 };
extern const struct detail_field detail_fields[DETAIL_FIELDS];
uint64_t detail_value(const uint8_t registers[DETAIL_REGISTERS], const struct detail_field *f);

#endif
