/*
 * wire.h - what a domain and ttd-deviced say to each other.
 *
 * Each is one packet on the daemon's socket.  The domain asks once and hands
 * its ring over; then its records travel through the ring only, and the
 * connection tells that both are alive.  When the END is in the log the
 * daemon says so and the connection ends.
 *
 *	domain                          daemon
 *	REQUEST [ring]                  REPLY: where the log is, or why not
 *	        ... records ...
 *	                                RESULT: counts, or why it is not complete
 */
#ifndef TTD_DAEMON_WIRE_H
#define TTD_DAEMON_WIRE_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "util/bytes.h"

enum wire_kind {
	WIRE_RECORD = 1, /* a new recording; ring */
	WIRE_RESUME,     /* its daemon died; ring */
	WIRE_FIND,       /* where is the log to replay? */
	WIRE_REPLAYED,   /* a replay's own log; ring */
};

struct wire_request {
	uint8_t kind;
	uint8_t run_id[RUN_ID];
	uint64_t limit; /* log_set_limit() */
	char name[LOG_NAME_MAX + 1]; /* the domain's */
	char path[TTD_PATH_MAX];     /* RESUME: of its log; REPLAYED: of the replayed one */
	struct log_meta meta;        /* RECORD, REPLAYED */
};

struct wire_reply {
	bool ok, done;           /* done: RESUME, and the log is complete already */
	uint32_t status;         /* when not ok: enum ttd_status */
	char text[480];          /* why not */
	char path[TTD_PATH_MAX]; /* the log */
	char dir[TTD_PATH_MAX];  /* a trace's folder of its own, or empty */
};

struct wire_result {
	bool complete;
	uint64_t inputs, witnesses, digests, bytes;
	char text[480]; /* why not */
};

/* -1: out of memory, or not what it should be. */
int request_write(struct wbuf *w, const struct wire_request *q);
int request_read(struct rbuf *r, struct wire_request *q);
int reply_write(struct wbuf *w, const struct wire_reply *p);
int reply_read(struct rbuf *r, struct wire_reply *p);
int result_write(struct wbuf *w, const struct wire_result *s);
int result_read(struct rbuf *r, struct wire_result *s);

#endif
