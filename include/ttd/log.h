/*
 * log.h - names of the kernel, a log's events, comparing logs.  Part of <ttd/ttd.h>.
 */
#ifndef TTD_LOG_H
#define TTD_LOG_H

#include <ttd/error.h>

#ifdef __cplusplus
extern "C" {
#endif

/*
 * Names of kernel addresses: of the kernel that a log was recorded with, or
 * out of a file: a System.map, what /proc/kallsyms prints, a vmlinux, a bzImage.
 */
struct ttd_symbols;
TTD_API struct ttd_symbols *ttd_symbols_open(const char *file, struct ttd_error *err);
TTD_API void ttd_symbols_free(struct ttd_symbols *s);
/* NULL: nothing at addr has a name. */
TTD_API const char *ttd_symbols_find(const struct ttd_symbols *s, uint64_t addr,
	uint64_t *offset);
/* -1: there is no such name. */
TTD_API int ttd_symbols_address(const struct ttd_symbols *s, const char *name, uint64_t *addr);

/*
 * Reading a log event by event.  It takes the memory of one chunk, whatever
 * the size of the log.
 */
enum ttd_event_type {
	TTD_EVENT_END,       /* the run's end; code is enum ttd_end */
	TTD_EVENT_INPUT,     /* something came in from outside */
	TTD_EVENT_MARK,      /* the run got here */
	TTD_EVENT_DIGEST,    /* of memory and state */
	TTD_EVENT_EXCEPTION, /* code is the vector */
	TTD_EVENT_HYPERCALL, /* code is its number */
	TTD_EVENT_UPCALL,
	TTD_EVENT_FRAME,     /* the guest sent a frame; code is the interface */
	TTD_EVENT_PAGES,     /* which pages changed since the digest before */
	TTD_EVENT_REGISTERS, /* at the digest after it */
	TTD_EVENT_EXITS,     /* several exceptions, hypercalls and upcalls; where the last one is */
	TTD_EVENT_TYPES
};
TTD_API const char *ttd_event_type_name(enum ttd_event_type type); /* "exception" */

enum ttd_event_has {
	TTD_HAS_IP = 1,      /* rip */
	TTD_HAS_CHECK = 2,   /* check */
	TTD_HAS_DOOR = 4,    /* rcx, tsc */
	TTD_HAS_VALUE = 8,   /* value: ns of a time step, the date at boot */
	TTD_HAS_DATA = 16,   /* data[len]: bytes typed, or a text */
	TTD_HAS_DIGEST = 32, /* memory, state */
	TTD_HAS_ERROR = 64,  /* error code of an exception */
	TTD_HAS_CR2 = 128,   /* value: the address of a page fault */
	TTD_HAS_IDLE = 256,  /* it ended an idle period */
	TTD_HAS_MULTICALL = 512, /* a hypercall inside a multicall */
	TTD_HAS_FRAME = 1024, /* error: its length, value: its digest */
	TTD_HAS_DETAIL = 2048,   /* data[len]: doc/spec/log.md, Details */
	TTD_HAS_EXITS = 4096,    /* error: how many, value: their digest */
};

struct ttd_event {
	enum ttd_event_type type;
	unsigned has;            /* which of the following mean something */
	unsigned number, code;   /* XenTT's number of the type; what exactly it is */
	const char *name, *info; /* "TTD_EXCEPTION", "do_page_fault" */
	uint64_t icount, brctr, rip;
	uint64_t rcx, tsc, value, memory, state;
	unsigned check, error;   /* check: of the 16 registers */
	size_t len;
	unsigned char data[256]; /* of a received frame only the beginning */
};

struct ttd_log;

/* Which log of a trace: the recording, its newest replay's, or the replay's with that number. */
#define TTD_LOG_RECORDING (-1)
#define TTD_LOG_REPLAY (-2)
TTD_API struct ttd_log *ttd_log_open(const char *trace, int which, struct ttd_error *err);
TTD_API void ttd_log_close(struct ttd_log *log);
TTD_API const char *ttd_log_path(const struct ttd_log *log);

/*
 * 1: *ev; 0: there are no more; -1: damage or another error; after damage
 * (err->status is TTD_DAMAGED) the next call goes on after it.
 */
TTD_API int ttd_log_next(struct ttd_log *log, struct ttd_event *ev, struct ttd_error *err);

/* The next event is the first at or after an instruction count, or a branch count. */
TTD_API int ttd_log_seek(struct ttd_log *log, uint64_t icount, struct ttd_error *err);
TTD_API int ttd_log_seek_brctr(struct ttd_log *log, uint64_t brctr, struct ttd_error *err);
/* The next event is the n-th before that one, or the log's first. */
TTD_API int ttd_log_seek_before(struct ttd_log *log, uint64_t brctr, unsigned n,
	struct ttd_error *err);

/* The names for this log's kernel, from the kernel file that it was recorded with. */
TTD_API struct ttd_symbols *ttd_log_symbols(struct ttd_log *log, struct ttd_error *err);

/* One line for an event, always the same for the same event. */
enum ttd_text {
	TTD_TEXT_NAMES = 1,   /* names instead of numbers */
	TTD_TEXT_VERBOSE = 2, /* everything that the log has about it */
	TTD_TEXT_JSON = 4,    /* an object; names and everything are in it */
};
#define TTD_TEXT_MAX 2048
/* `symbols` may be NULL. */
TTD_API void ttd_event_text(const struct ttd_event *ev, const struct ttd_symbols *symbols,
	unsigned how, char text[TTD_TEXT_MAX]);

/*
 * Compares a recording with the log of its newest replay (TTD_LOG_REPLAY) or
 * of replay `which`, up to the first event that is not the same, and calls fn
 * for up to `context` events before it and of both logs after it: side is
 * ' ' for both, '-' the recording, '+' the replay.  1: they differ; 0: they
 * do not, and nothing was said; -1: error.
 */
TTD_API int ttd_log_diff(const char *trace, int which, unsigned context, unsigned how,
	void (*fn)(void *ctx, char side, const char *text), void *ctx, struct ttd_error *err);

/*
 * Packs what somebody else needs to look into a divergence into one .tar.zst:
 * both logs and what is around the point, configuration, versions, digests.
 * It holds what was typed, and with kernel, ramdisk or binary guest files:
 * there may be secrets in it.
 */
struct ttd_report {
	size_t size;
	const char *trace;
	int which;           /* TTD_LOG_REPLAY: the newest replay */
	const char *out;     /* the file to make */
	int kernel, ramdisk; /* put these files in too */
	int binary;          /* and the program of the process that was running */
};
#define TTD_REPORT_INIT \
	{ \
		.size = sizeof(struct ttd_report), .which = TTD_LOG_REPLAY \
	}
TTD_API int ttd_report_write(const struct ttd_report *report, struct ttd_error *err);

#ifdef __cplusplus
}
#endif

#endif
