/*
 * readlog.c - a log's events as the public interface shows them.
 */
#include "lib/readlog.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "event/replay.h"
#include "lib/symbols.h"
#include "trace/trace.h"

enum { REPLAYS_MAX = 1000 };
/* First guess of how far back some events lie. */
#define BACK (UINT64_C(1) << 16)

struct ttd_log {
	struct log_reader *reader;
	bool end_given;
	char path[TTD_PATH_MAX];
};

static const char *const types[TTD_EVENT_TYPES] = {
	[TTD_EVENT_END] = "end", [TTD_EVENT_INPUT] = "input", [TTD_EVENT_MARK] = "mark",
	[TTD_EVENT_DIGEST] = "digest", [TTD_EVENT_EXCEPTION] = "exception",
	[TTD_EVENT_HYPERCALL] = "hypercall", [TTD_EVENT_UPCALL] = "upcall",
	[TTD_EVENT_FRAME] = "frame",
	[TTD_EVENT_PAGES] = "pages", [TTD_EVENT_REGISTERS] = "registers",
	[TTD_EVENT_EXITS] = "exits",
};

#define SAME(a, b) _Static_assert((int)(a) == (int)(b), #a " must equal " #b)
SAME(TTD_EVENT_INPUT, LOG_INPUT);
SAME(TTD_EVENT_MARK, LOG_MARK);
SAME(TTD_EVENT_DIGEST, LOG_DIGEST);
SAME(TTD_EVENT_EXCEPTION, LOG_EXCEPTION);
SAME(TTD_EVENT_HYPERCALL, LOG_HYPERCALL);
SAME(TTD_EVENT_UPCALL, LOG_UPCALL);
SAME(TTD_EVENT_FRAME, LOG_FRAME);
SAME(TTD_EVENT_PAGES, LOG_PAGES);
SAME(TTD_EVENT_REGISTERS, LOG_REGISTERS);
SAME(TTD_EVENT_EXITS, LOG_EXITS);
SAME(TTD_EVENT_TYPES, LOG_TYPES);

const char *ttd_event_type_name(enum ttd_event_type type)
{
	return (unsigned)type < TTD_EVENT_TYPES ? types[type] : NULL;
}

const char *ttd_end_name(enum ttd_end end)
{
	static const char *const ends[] = {
		[TTD_END_POWEROFF] = "poweroff", [TTD_END_REBOOT] = "reboot",
		[TTD_END_SUSPEND] = "suspend", [TTD_END_CRASH] = "crash",
		[TTD_END_STOPPED] = "stopped", [TTD_END_DIVERGED] = "diverged",
	};

	_Static_assert(sizeof ends / sizeof *ends == TTD_ENDS, "a name for each");
	return (unsigned)end < TTD_ENDS ? ends[end] : "unknown";
}

/* ---- records to events ---- */

static void from_record(struct ttd_event *ev, const struct log_record *r)
{
	static const unsigned has[LOG_TYPES] = {
		[LOG_INPUT] = TTD_HAS_DOOR | TTD_HAS_VALUE, [LOG_MARK] = TTD_HAS_DOOR,
		[LOG_DIGEST] = TTD_HAS_DOOR | TTD_HAS_DIGEST, [LOG_EXCEPTION] = TTD_HAS_CHECK,
		[LOG_HYPERCALL] = TTD_HAS_CHECK, [LOG_UPCALL] = TTD_HAS_CHECK,
		[LOG_FRAME] = TTD_HAS_CHECK | TTD_HAS_FRAME, [LOG_EXITS] = TTD_HAS_EXITS,
	};

	memset(ev, 0, sizeof *ev);
	ev->type = (enum ttd_event_type)r->type;
	ev->has = has[r->type] | TTD_HAS_IP;
	ev->number = log_event_number(r);
	ev->code = r->code;
	ev->name = log_event_name(r);
	ev->info = log_info_name(r);
	ev->icount = r->pos.icount;
	ev->brctr = r->pos.brctr;
	ev->rip = r->pos.rip;
	ev->rcx = r->pos.rcx;
	ev->tsc = r->pos.tsc;
	ev->value = r->value;
	ev->check = r->check;
	ev->error = r->error;
	if (r->type == LOG_DIGEST) {
		ev->memory = r->value;
		ev->state = r->value2;
	}
	if (r->type == LOG_INPUT && r->flags & LOG_IDLE)
		ev->has |= TTD_HAS_IDLE;
	if (r->type == LOG_HYPERCALL && r->flags & LOG_MULTICALL)
		ev->has |= TTD_HAS_MULTICALL;
	if (r->type == LOG_EXCEPTION && r->flags & LOG_ERROR)
		ev->has |= TTD_HAS_ERROR;
	if (r->type == LOG_EXCEPTION && r->flags & LOG_CR2)
		ev->has |= TTD_HAS_CR2;
	if (log_is_detail(r->type)) {
		ev->has |= TTD_HAS_DETAIL;
		ev->len = r->len;
		memcpy(ev->data, r->data, r->len);
	} else if (r->len != 0) {
		ev->has = (ev->has & ~(unsigned)TTD_HAS_VALUE) | TTD_HAS_DATA;
		ev->len = r->len;
		memcpy(ev->data, log_record_bytes(r), r->len < sizeof ev->data ? r->len : sizeof ev->data);
	}
}

void event_from_record(struct ttd_event *ev, const struct log_record *r)
{
	if (r->type > 0 && r->type < LOG_TYPES) {
		from_record(ev, r);
		return;
	}
	memset(ev, 0, sizeof *ev);
	ev->type = TTD_EVENT_END;
	ev->has = TTD_HAS_DIGEST;
	ev->code = r->code;
	ev->name = "TTD_END";
	ev->info = ttd_end_name((enum ttd_end)r->code);
	ev->icount = r->pos.icount;
	ev->brctr = r->pos.brctr;
	ev->rip = r->pos.rip;
	ev->has |= r->pos.rip != 0 ? (unsigned)TTD_HAS_IP : 0;
	ev->memory = r->value;
	ev->state = r->value2;
	ev->len = r->len;
	ev->has |= r->len != 0 ? (unsigned)TTD_HAS_DATA : 0;
	memcpy(ev->data, r->data, r->len);
}

static void from_end(struct ttd_event *ev, const struct log_end *end)
{
	struct log_record r = {
		.code = end->why,
		.pos = { .icount = end->icount, .brctr = end->brctr, .rip = end->rip },
		.value = end->memory, .value2 = end->state,
	};

	r.len = (uint32_t)strnlen(end->text, sizeof r.data);
	memcpy(r.data, end->text, r.len);
	event_from_record(ev, &r);
}

/* ---- opening ---- */

static int replay_path(const char *log, int which, char path[TTD_PATH_MAX], struct ttd_error *e)
{
	struct stat st;
	char last[32];

	if (which == TTD_LOG_RECORDING)
		return path_join(path, log, "", "", e);
	if (which >= 0) {
		snprintf(last, sizeof last, ".replay.%d", which);
		return path_join(path, log, last, "", e);
	}
	for (int i = REPLAYS_MAX - 1; i >= 0; i--) {
		snprintf(last, sizeof last, ".replay.%d", i);
		if (path_join(path, log, last, "", e) != 0)
			return -1;
		if (stat(path, &st) == 0)
			return 0;
	}
	return err_set(e, TTD_HOST, "log %s: no replay has left a log beside it; ttd replay --log "
		"does", log);
}

static int open_log(struct ttd_log *l, const char *trace, int which, struct ttd_error *e)
{
	char dir[TTD_PATH_MAX], log[TTD_PATH_MAX];

	if (trace_find(trace, dir, log, e) != 0 || replay_path(log, which, l->path, e) != 0)
		return -1;
	l->reader = log_open(l->path, e);
	return l->reader != NULL ? 0 : -1;
}

struct ttd_log *ttd_log_open(const char *trace, int which, struct ttd_error *err)
{
	struct ttd_log *l = calloc(1, sizeof *l);
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (l != NULL && open_log(l, trace, which, e) == 0)
		return l;
	if (l == NULL)
		err_set(e, TTD_HOST, "out of memory");
	free(l);
	return NULL;
}

void ttd_log_close(struct ttd_log *l)
{
	if (l == NULL)
		return;
	log_reader_close(l->reader);
	free(l);
}

const char *ttd_log_path(const struct ttd_log *l)
{
	return l->path;
}

struct ttd_symbols *ttd_log_symbols(struct ttd_log *l, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return symbols_of_kernel(log_meta(l->reader), l->path, e);
}

/* ---- going through it ---- */

int ttd_log_next(struct ttd_log *l, struct ttd_event *ev, struct ttd_error *err)
{
	const struct log_end *end;
	struct log_record r;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = log_next(l->reader, &r, e);

	if (rc == 1)
		event_from_record(ev, &r);
	if (rc != 0)
		return rc;
	end = log_at_end(l->reader);
	if (end == NULL || l->end_given)
		return 0;
	from_end(ev, end);
	l->end_given = true;
	return 1;
}

static int seek(struct ttd_log *l, uint64_t count, bool brctr, struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	l->end_given = false;
	return brctr ? log_seek_brctr(l->reader, count, e) : log_seek_icount(l->reader, count, e);
}

int ttd_log_seek(struct ttd_log *l, uint64_t icount, struct ttd_error *err)
{
	return seek(l, icount, false, err);
}

int ttd_log_seek_brctr(struct ttd_log *l, uint64_t brctr, struct ttd_error *err)
{
	return seek(l, brctr, true, err);
}

/* Events from here to `brctr`; damage between them does not count. */
static uint64_t count_to(struct ttd_log *l, uint64_t brctr)
{
	struct log_record r;
	struct ttd_error none;
	uint64_t n = 0;
	int rc;

	while ((rc = log_next(l->reader, &r, &none)) != 0)
		if (rc == 1) {
			if (r.pos.brctr >= brctr)
				break;
			n++;
		}
	return n;
}

int ttd_log_seek_before(struct ttd_log *l, uint64_t brctr, unsigned n, struct ttd_error *err)
{
	uint64_t back = BACK, from, have;
	struct log_record r;
	struct ttd_error none;

	for (;; back *= 4) {
		from = brctr > back ? brctr - back : 0;
		if (seek(l, from, true, err) != 0)
			return -1;
		have = count_to(l, brctr);
		if (have >= n || from == 0)
			break;
	}
	if (seek(l, from, true, err) != 0)
		return -1;
	for (; have > n; have--)
		while (log_next(l->reader, &r, &none) < 0)
			;
	return 0;
}
