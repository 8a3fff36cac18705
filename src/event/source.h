/*
 * source.h - the one door through which anything nondeterministic reaches a
 * guest: time steps, idle wake-ups, console bytes, control requests, received
 * frames, the wall clock at boot.
 *
 * The vCPU thread asks a source for events; who answers is a table of
 * functions.  The live source (live.h) reads the host's clock and a queue that
 * other threads push to; a recorder wraps a live source and writes down what
 * it hands out; a replayer hands out what was written down and ignores pushes.
 *
 * How positions stay exact:
 *  P1. An event is handed out by next() or idle() at the position the caller
 *      names, and takes effect there.  icount orders positions; where the
 *      guest is idle several events and clock jumps share one icount, and
 *      `tsc` orders them.  A replayer hands an event out when icount and tsc
 *      are those it was recorded at.
 *  P2. The caller asks next() only where its run loop's rules allow (see
 *      xen/run.c); horizon() is the icount at which it wants to be asked at
 *      the latest, and the caller stops the vCPU exactly there.
 *  P3. Everything else that happens to the guest is a function of its state.
 *      witness() is told what does happen, so that a recorder can write it down
 *      and a replayer can compare.
 */
#ifndef TTD_EVENT_SOURCE_H
#define TTD_EVENT_SOURCE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "event/fold.h"

enum event_type {
	EV_WALLCLOCK, /* value: ns since 1970 at guest time 0; from boot() only */
	EV_TIME,      /* guest time moves forward by value ns */
	EV_IDLE,      /* the same, ending an idle period */
	EV_CONSOLE,   /* data: bytes typed at the console */
	EV_CONTROL,   /* data: text for the guest's control/shutdown */
	EV_SYSRQ,     /* data: one character for control/sysrq */
	EV_STOP,      /* leave the run loop; the guest does not notice.  value 1: diverged */
	EV_DIGEST,    /* take a digest and hand it to witness(); nor does it notice this */
	EV_BLOCK,     /* value: device (xen/bus.c); data: a disk's request is done */
	EV_NET,       /* the same; data: a packet for the guest */
	EV_MEMORY,    /* value: memory/target, in KiB */
	EV_TYPES      /* (the log stores these numbers) */
};

/* Bytes of an event: those of most fit into it; a device's may be longer. */
enum { EVENT_DATA_MAX = 256, EVENT_LONG_MAX = 68 << 10 };

struct event {
	enum event_type type;
	uint32_t len;        /* of the bytes */
	uint64_t value;
	/*
	 * NULL: the bytes are in data.  What next() and idle() hand out stays
	 * until the source is asked again; push() copies.
	 */
	const uint8_t *bytes;
	uint8_t data[EVENT_DATA_MAX];
};

static inline const uint8_t *event_bytes(const struct event *ev)
{
	return ev->bytes != NULL ? ev->bytes : ev->data;
}
static inline uint32_t event_max(enum event_type type)
{
	return type == EV_NET || type == EV_BLOCK ? EVENT_LONG_MAX : EVENT_DATA_MAX;
}

/* Where the vCPU is. */
struct source_pos {
	uint64_t icount, brctr, rip, rcx;
	uint64_t tsc; /* guest time in ns */
};

#define SOURCE_NEVER UINT64_MAX

struct detail;

/* Something the guest did that a replay must do too, at the same position. */
enum witness_type {
	WITNESS_EXCEPTION = 4, /* the log's numbers */
	WITNESS_HYPERCALL,
	WITNESS_UPCALL,
	WITNESS_FRAME, /* one that the guest sent */
	WITNESS_DIGEST = 3,    /* the answer to EV_DIGEST */
};

struct witness {
	uint8_t type;   /* enum witness_type */
	uint8_t flags;  /* enum log_flag */
	uint8_t check;  /* digest of the registers */
	uint32_t code;  /* vector, hypercall number, network interface */
	uint32_t error; /* of an exception; length of a frame */
	uint64_t value; /* cr2; digest of memory, of a frame */
	uint64_t value2; /* digest of everything else */
	uint64_t registers; /* fold_registers() */
	uint8_t mode;
	struct detail *detail; /* of a digest: detail.h; may be NULL */
};

enum witness_answer {
	WITNESS_OK,
	WITNESS_MOVED,    /* fine, and horizon() is another now */
	WITNESS_DIVERGED, /* the recording has something else here: end the run */
	WITNESS_LOG_END,  /* the recording ends here: stop */
};

struct source;

struct source_ops {
	/* Fills the EV_WALLCLOCK; starts the clock.  Once, before anything else. */
	void (*boot)(struct source *s, struct event *out);
	/* The icount (> now->icount) to come back at, SOURCE_NEVER if none. */
	uint64_t (*horizon)(struct source *s, const struct source_pos *now);
	/* The next event due now; false when there is none. */
	bool (*next)(struct source *s, const struct source_pos *now, struct event *out);
	/*
	 * The guest has nothing to do before guest time `deadline` (or ever,
	 * SOURCE_NEVER).  Waits, then fills one event.
	 */
	void (*idle)(struct source *s, const struct source_pos *now, uint64_t deadline,
		struct event *out);
	/* [any thread] Queues an input event.  -1: no memory, or inputs are not taken. */
	int (*push)(struct source *s, const struct event *ev);
	/* [any thread, async-signal-safe] The next next() or idle() is EV_STOP. */
	void (*stop)(struct source *s);
	/* Called when the source is witnessed only; NULL where it never is. */
	enum witness_answer (*witness)(struct source *s, const struct source_pos *now,
		const struct witness *w);
	void (*destroy)(struct source *s);
};

/* Implementations embed this first. */
struct source {
	const struct source_ops *ops;
	bool witnessed; /* somebody wants to know what the guest does: witness() */
	/* What it takes may be added to it in place of witness(); NULL: nothing. */
	struct fold *fold;
};

static inline void source_boot(struct source *s, struct event *out)
{
	s->ops->boot(s, out);
}
static inline uint64_t source_horizon(struct source *s, const struct source_pos *now)
{
	return s->ops->horizon(s, now);
}
static inline bool source_next(struct source *s, const struct source_pos *now, struct event *out)
{
	return s->ops->next(s, now, out);
}
static inline void source_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	s->ops->idle(s, now, deadline, out);
}
static inline int source_push(struct source *s, const struct event *ev)
{
	return s->ops->push(s, ev);
}
static inline void source_stop(struct source *s)
{
	s->ops->stop(s);
}
static inline enum witness_answer source_witness(struct source *s, const struct source_pos *now,
	const struct witness *w)
{
	return s->witnessed ? s->ops->witness(s, now, w) : WITNESS_OK;
}
static inline void witness_fold(struct fold *f, const struct source_pos *now,
	const struct witness *w)
{
	fold_add(f, &(struct fold_item){ .what = w->type | (uint32_t)w->flags << 8 |
		(uint32_t)w->mode << 16, .code = w->code, .error = w->error, .value = w->value,
		.registers = w->registers, .icount = now->icount, .brctr = now->brctr,
		.rip = now->rip });
}
static inline void source_destroy(struct source *s)
{
	s->ops->destroy(s);
}

/*
 * One that wraps another: implementations embed this first, and their tables name
 * the wrap_*() for what they leave to the inner one.
 */
struct source_wrap {
	struct source source;
	struct source *inner; /* owned */
};

/* Takes over `inner`; it is witnessed if that is. */
void source_wrap(struct source_wrap *w, const struct source_ops *ops, struct source *inner);

void wrap_boot(struct source *s, struct event *out);
uint64_t wrap_horizon(struct source *s, const struct source_pos *now);
int wrap_push(struct source *s, const struct event *ev);
void wrap_stop(struct source *s);
enum witness_answer wrap_witness(struct source *s, const struct source_pos *now,
	const struct witness *w);
/* Frees the wrapper too: for those that malloc() one. */
void wrap_destroy(struct source *s);

/* Splits n bytes over as many events as needed and pushes them.  -1 as push. */
int source_push_bytes(struct source *s, enum event_type type, const void *p, size_t n);

#endif
