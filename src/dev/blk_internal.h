/*
 * blk_internal.h - inside of a block backend.
 *
 *	blk.c      life, xenstore, completions, save and load
 *	blk_ring.c the guest's ring: requests out, responses in
 *	blk_work.c the thread that does the I/O
 *
 *  K1. `flight` holds all requests without response, oldest first.  The worker
 *      does them in this order, and they complete in this order: a completion
 *      is for the first, or for one that was forgotten and is ignored.
 *  K2. Of a request the worker touches buf, status, digest and error until it
 *      sets done, under the lock, and nothing after that.  The vCPU thread
 *      reads these only when done; all else is its own.
 *  K3. What was written is copied out of the guest inside its notify; what was
 *      read is copied into it inside apply().
 *  K4. A disk that could not be written is `failed`: every later request fails.
 */
#ifndef TTD_DEV_BLK_INTERNAL_H
#define TTD_DEV_BLK_INTERNAL_H

#include <pthread.h>

#include "dev/blk.h"

enum {
	RING_SLOTS = 32, SEGMENTS = 256, SEGMENTS_DIRECT = 11, SECTOR = 512,
	OP_READ = 0, OP_WRITE, OP_BARRIER, OP_FLUSH, OP_RESERVED, OP_DISCARD, OP_INDIRECT,
	RSP_OKAY = 0, RSP_ERROR = -1, RSP_UNSUPPORTED = -2,
};

struct segment {
	uint32_t ref;
	uint16_t off, len; /* in bytes, of the page */
};

struct request {
	struct request *next;
	uint32_t number;
	uint64_t id;
	uint8_t op;
	uint64_t off, len;  /* of the disk, in bytes; a discard has no buf */
	uint64_t due;       /* B4 */
	bool expired;       /* its completion was posted (B4) */
	unsigned nseg;
	struct segment seg[SEGMENTS];
	uint8_t *buf;
	size_t cap;
	/* K2 */
	int8_t status;      /* before: not RSP_OKAY when it cannot be done */
	bool done;
	int error;          /* errno */
	uint64_t digest;    /* of a read's data */
};

struct blk {
	struct dev dev;
	struct disk *disk;
	struct blk_params p;
	struct blk_stats stats;

	/* The ring; vCPU thread only. */
	bool connected, broken; /* broken: its indices made no sense */
	dev_page ring;
	uint32_t req_cons, rsp_prod;
	uint32_t next_number;
	uint64_t last_due;
	struct request *flight, **flight_end; /* K1 */
	struct request *free;

	pthread_t thread;
	bool started;
	pthread_mutex_t lock;
	pthread_cond_t work, done;
	struct request *todo; /* the first that is not done; NULL: none */
	bool quit;
	bool posting; /* the worker calls post() */
	bool failed;  /* K4; written under the lock */
	bool told;  /* that it failed; the worker's */
};

/* blk_ring.c */
struct request *request_new(struct blk *b);
void request_free(struct blk *b, struct request *r);
bool request_room(struct request *r, size_t n); /* buf has n bytes */
void blk_take(struct blk *b);   /* all requests that are there */
void blk_respond(struct blk *b, const struct request *r, int status);
void flight_add(struct blk *b, struct request *r);

/* blk_work.c */
void work_init(struct blk *b);
int work_start(struct blk *b, struct ttd_error *e);
void work_stop(struct blk *b);
int work_forked(struct blk *b, struct ttd_error *e); /* the parent's thread is not ours */
void work_kick(struct blk *b); /* there are new requests in flight */
void work_quiet(struct blk *b); /* all of them are done, and posted */
void work_wait(struct blk *b, const struct request *r); /* NULL: all of them */

/* What is posted when a request is done; the bytes' number. */
enum { COMPLETION_MAX = 13, STATUS_FAILED = 255, STATUS_UNSUPPORTED = 254 };
size_t completion(const struct request *r, uint8_t p[COMPLETION_MAX]);

#endif
