/*
 * ring.h - records on their way from the vCPU thread to whoever writes the
 * log: a single-producer single-consumer ring in a memfd or a file, so that it
 * outlives the process that filled it.
 *
 * Layout and protocol: doc/spec/log.md, "Ring".  Each side has a struct ring of
 * its own, also within one process: the producer's is ring_create()'s, the
 * consumer's ring_attach()'s, which believes nothing it reads there.
 */
#ifndef TTD_EVENT_RING_H
#define TTD_EVENT_RING_H

#include "event/bulk.h"
#include "event/log.h"

enum {
	RING_VERSION = 4,
	RING_SIZE = 1 << 20, /* of the records */
	RING_BULK = 8 << 20, /* of long data, when there is a network: some 10 ms of a busy one */
	RING_SIZE_MIN = 128 << 10, /* of either */
	RING_SIZE_MAX = 64 << 20,
	RING_HEADER = 4096,
	RING_RECORD = 80,
	RING_RECORD_MAX = RING_RECORD + EVENT_LONG_MAX,
};

/* Offsets in the header. */
enum {
	RING_MAGIC_AT = 0, RING_VERSION_AT = 8, RING_SIZE_AT = 16, RING_RUN_ID_AT = 24,
	RING_BULK_SIZE_AT = 40, RING_LOG_AT = 48,
	RING_HEAD_AT = 64, RING_CLOSED_AT = 72, RING_BULK_HEAD_AT = 80,
	RING_TAIL_AT = 128, RING_FAILED_AT = 136, RING_LIMIT_AT = 140, RING_BULK_TAIL_AT = 144,
	RING_BELL_AT = 192, RING_ASLEEP_AT = 196,
	RING_ROOM_AT = 256, RING_WAITING_AT = 260,
};

struct ring;

/* In bytes; bulk may be 0. */
struct ring_size {
	size_t records, bulk;
};

/* A new ring, for its producer. */
struct ring *ring_create(struct ring_size size, const uint8_t run_id[RUN_ID],
	struct ttd_error *e);
/*
 * The same in a file, which also outlives a process that both fills and empties it:
 * ring_find() is for whoever comes next.  ring_free() removes the file.
 */
struct ring *ring_create_file(struct ring_size size, const uint8_t run_id[RUN_ID],
	const char *path, struct ttd_error *e);
/* The other end, from a memfd that somebody handed over; dups fd. */
struct ring *ring_attach(int fd, struct ttd_error *e);
/* The other end of a ring that this process has made. */
struct ring *ring_attach_own(const struct ring *r, struct ttd_error *e);
/* The other end of a file's ring whose process is gone.  NULL: *e. */
struct ring *ring_find(const char *path, struct ttd_error *e);
void ring_free(struct ring *r);

/* Where it is, or NULL; it goes away with the ring. */
const char *ring_file(const struct ring *r);
/* The log that it is for: device and inode.  Before anybody else has the ring. */
void ring_set_log(struct ring *r, uint64_t dev, uint64_t ino);
bool ring_is_of(const struct ring *r, uint64_t dev, uint64_t ino);
int ring_fd(const struct ring *r);
const uint8_t *ring_run_id(const struct ring *r);

/* ---- producer ---- */

/* For long data, which ring_put() then leaves where they are. */
struct bulk *ring_bulk(struct ring *r);
/* false: no room. */
bool ring_put(struct ring *r, const struct log_record *rec);
/* Sleeps until there may be room, at most ms. */
void ring_wait_room(struct ring *r, unsigned ms);
/* The consumer's errno, 0 while it works. */
int ring_failed(const struct ring *r);
/* Still all works, but the recording should end: an enum log_limit, as the consumer says. */
unsigned ring_limited(const struct ring *r);
void ring_close(struct ring *r); /* no more records follow */

/* ---- consumer ---- */

/* Where to go on reading; -1 when it does not lie between tail and head. */
int ring_start(struct ring *r, uint64_t stream, struct ttd_error *e);
/*
 * 1: *out and the stream offset after it; 0: nothing there now; -1: nonsense.  Its bytes
 * stay until they are released, but may lie where the producer can write: copy, then look.
 */
int ring_take(struct ring *r, struct log_record *out, uint64_t *stream, struct ttd_error *e);
/* What was taken, up to here, is in the log: gives the room back. */
void ring_release(struct ring *r, uint64_t stream);
/* What was taken and not released holds the producer up, or soon will. */
bool ring_pressed(const struct ring *r);
uint64_t ring_released(const struct ring *r); /* [any thread] up to where */
/* [any thread] Half of it is not released, or it is closed. */
bool ring_urgent(const struct ring *r);
bool ring_full(const struct ring *r); /* [any thread] the producer waits for room */
bool ring_closed(const struct ring *r); /* and nothing is left to take */
/* Sleeps until the ring fills up or closes, at most ms. */
void ring_sleep(struct ring *r, unsigned ms);
void ring_fail(struct ring *r, int error);
void ring_limit(struct ring *r, unsigned why);

#endif
