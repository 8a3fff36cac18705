/*
 * codec.h - records to the columns of a DATA chunk and back, for src/event.
 *
 * Both sides keep the same few things of the records before (struct context)
 * and start with nothing in every chunk.
 */
#ifndef TTD_EVENT_CODEC_H
#define TTD_EVENT_CODEC_H

#include <sys/uio.h>

#include "event/log.h"
#include "util/bytes.h"

enum {
	SITES = 4096, SITE_HASH = 2 * SITES,
	OUTSIDE = 64, OUTSIDE_MIN = 4096, /* bytes */
	REST_PARTS = 2 * OUTSIDE + 1,
};

struct site {
	uint64_t rip;
	uint32_t code;
	uint8_t type, flags;
};

struct context {
	uint64_t tsc_mul;
	uint64_t icount, brctr, rip, cr2;
	uint64_t door_icount, door_tsc;
	unsigned nsites;
	struct site site[SITES + 1]; /* from 1 */
};

/* Long data of a record, which are left where they are: their place in `rest`. */
struct outside {
	size_t at;
	const uint8_t *p;
	size_t len;
};

struct encoder {
	struct context c;
	uint16_t hash[SITE_HASH]; /* site numbers, 0: free */
	struct wbuf op, count, branch, rest;
	struct outside outside[OUTSIDE];
	unsigned noutside;
	size_t outside_len; /* of all of them */
	size_t bulk; /* bytes of the last column that came in from devices */
	uint32_t records;
	uint64_t first_icount, first_brctr;
};

struct decoder {
	struct context c;
	unsigned types; /* those below it may be there */
	struct rbuf op, count, branch, rest;
	uint32_t left;
};

void encode_start(struct encoder *e, uint64_t tsc_mul);
void encode_free(struct encoder *e);
size_t encode_size(const struct encoder *e);
/* -1: not a record that the format can hold, or no memory. */
int encode(struct encoder *e, const struct log_record *r);
/* The payload except for its last column; out->bad: no memory. */
void encode_finish(const struct encoder *e, struct wbuf *out);
/* Where the last column is: this many pieces. */
unsigned encode_rest(const struct encoder *e, struct iovec part[REST_PARTS]);

/* `p` must stay; `version` is the log's.  -1: malformed. */
int decode_start(struct decoder *d, unsigned version, uint64_t tsc_mul, const void *p, size_t n,
	uint32_t records);
/* 1: *r, whose bytes may lie in `p`; 0: no more; -1: malformed. */
int decode(struct decoder *d, struct log_record *r);

/* The record could have been made by this version. */
bool log_record_valid(const struct log_record *r);

#endif
