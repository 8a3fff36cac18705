/*
 * goto.c - from a position as people write it to the place in the recording.
 *
 * Counts are seeked to at once.  An event is found in the log, without running
 * anything.  Text on the console is found by running on and listening; the last
 * one before a place by doing so from checkpoint to checkpoint backwards, where
 * anything was printed between two.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cpu/cpu.h"
#include "lib/session.h"

/* What the kernel says when it has found itself to be broken. */
static const char *const alarms[] = {
	"Kernel panic - not syncing", "BUG: ", "Oops: ", "general protection fault",
	"kernel BUG at ", "Internal error: ", "Unable to handle kernel",
};

enum { TAIL = 256, TEXTS = 16 };

/* The first output after a place, in which a text may end that began before it. */
struct head {
	size_t len;
	char text[TAIL];
	uint64_t icount[TAIL];
};

struct console_search {
	const char *text[TEXTS];
	unsigned n;
	char tail[TAIL]; /* the last output, in which a text may begin */
	size_t len;
	bool found;
	struct timeline_pos at;
	/* Backwards: not the first but the last one before this place. */
	bool back;
	struct timeline_pos before;
	struct head head;
};

/* Does a text end after the first `old` of the bytes? */
static bool holds(const struct console_search *c, const char *p, size_t n, size_t old)
{
	for (unsigned i = 0; i < c->n; i++) {
		size_t len = strlen(c->text[i]), from = old < len ? 0 : old - (len - 1);

		if (memmem(p + from, n - from, c->text[i], len) != NULL)
			return true;
	}
	return false;
}

static void note_head(struct head *h, const char *p, size_t n, uint64_t icount)
{
	for (size_t i = 0; i < n && h->len < TAIL - 1; i++) {
		h->text[h->len] = p[i];
		h->icount[h->len++] = icount;
	}
}

/* Output that is complete at icount. */
static void hear(struct console_search *c, const char *p, size_t n, uint64_t icount)
{
	struct timeline_pos at = { icount, 0 };
	char *all = malloc(c->len + n);
	size_t keep;

	if (all == NULL)
		return;
	if (c->back)
		note_head(&c->head, p, n, icount);
	memcpy(all, c->tail, c->len);
	memcpy(all + c->len, p, n);
	n += c->len;
	if ((!c->back || timeline_cmp(at, c->before) < 0) && holds(c, all, n, c->len)) {
		c->found = true;
		c->at = at;
	}
	keep = n < TAIL - 1 ? n : TAIL - 1;
	memcpy(c->tail, all + n - keep, keep);
	c->len = keep;
	free(all);
}

/* Called inside of the hypercall that prints: its place is after it. */
void session_console(struct ttd_session *s, const void *p, size_t n)
{
	struct console_search *c = s->search;

	if (c->found && !c->back)
		return;
	hear(c, p, n, domain_cpu(s->vm->domain)->icount);
	if (c->found && !c->back)
		domain_interrupt(s->vm->domain);
}

/* Runs and listens; 0 where it stopped, or the text was found. */
static int listen_to(struct ttd_session *s, struct console_search *c, struct timeline_pos until,
	struct ttd_error *e)
{
	struct timeline_stop stop;

	s->search = c;
	do
		timeline_run(s->tl, until, &stop);
	while (stop.why == TIMELINE_DEBUG);
	s->search = NULL;
	if (c->found && !c->back)
		return 0;
	if (stop.why == TIMELINE_FAILED) {
		*e = stop.err;
		return -1;
	}
	return stop.why == TIMELINE_INTERRUPTED ? err_set(e, TTD_OK, "interrupted") : 0;
}

static int run_to_text(struct ttd_session *s, struct console_search *c, const char *what,
	struct ttd_error *e)
{
	struct timeline_pos never = { UINT64_MAX, 0 };

	if (listen_to(s, c, never, e) != 0)
		return -1;
	if (c->found)
		return timeline_seek(s->tl, c->at, e);
	return err_set(e, TTD_USAGE, "the guest does not print %s between here and the end", what);
}

/* A segment, and the beginning of what was printed after it. */
static int listen_back(struct ttd_session *s, struct console_search *c, struct timeline_pos from,
	struct timeline_pos to, struct ttd_error *e)
{
	struct head after = c->head;

	c->head.len = c->len = 0;
	if (!timeline_silent(s->tl, from.icount, to.icount) &&
	    (timeline_seek(s->tl, from, e) != 0 || listen_to(s, c, to, e) != 0))
		return -1;
	for (size_t i = 0; i < after.len; i++) /* what it completes is the last one */
		hear(c, &after.text[i], 1, after.icount[i]);
	return 0;
}

static int run_back_to_text(struct ttd_session *s, struct console_search *c, const char *what,
	struct ttd_error *e)
{
	struct timeline_pos here = timeline_pos(s->tl), to = here, from = { 0, 0 };
	uint64_t unused;

	c->before = here;
	while (!c->found && (to.icount != 0 || to.moment != 0)) {
		timeline_segment(s->tl, to.moment != 0 ? to.icount : to.icount - 1, &from.icount,
			&unused);
		if (listen_back(s, c, from, to, e) != 0)
			return -1;
		to = from;
	}
	if (c->found)
		return timeline_seek(s->tl, c->at, e);
	if (timeline_seek(s->tl, here, e) != 0)
		return -1;
	return err_set(e, TTD_USAGE, "the guest does not print %s between the start and here", what);
}

static int to_text(struct ttd_session *s, struct console_search *c, const char *what,
	struct ttd_error *e)
{
	return (c->back ? run_back_to_text : run_to_text)(s, c, what, e);
}

static int goto_text(struct ttd_session *s, const char *text, bool back, struct ttd_error *e)
{
	struct console_search c = { .text = { text }, .n = 1, .back = back };
	char what[TAIL + 8];

	if (strlen(text) >= TAIL)
		return err_set(e, TTD_USAGE, "position console:TEXT: TEXT has more than %d characters",
			TAIL - 1);
	snprintf(what, sizeof what, "'%s'", text);
	return to_text(s, &c, what, e);
}

static int goto_panic(struct ttd_session *s, bool back, struct ttd_error *e)
{
	struct console_search c = { .n = sizeof alarms / sizeof *alarms, .back = back };

	memcpy(c.text, alarms, sizeof alarms);
	return to_text(s, &c, "a panic or an oops", e);
}

/* A reader of its own: the replayer's is where the run is. */
static int goto_event(struct ttd_session *s, uint64_t n, struct ttd_error *e)
{
	struct log_reader *log = log_open(s->rec.path, e);
	struct log_record rec = {0};
	uint64_t i = 0;
	int rc = 1;

	if (log == NULL)
		return -1;
	while (i < n && (rc = log_next(log, &rec, e)) == 1)
		i++;
	log_reader_close(log);
	if (rc < 0)
		return -1;
	if (rc == 0)
		return err_set(e, TTD_USAGE, "position event:%llu: the log has %llu events",
			(unsigned long long)n, (unsigned long long)i);
	/* A hypercall is logged after its instruction. */
	if (rec.type == LOG_HYPERCALL && rec.pos.icount > 0)
		rec.pos.icount--;
	return timeline_seek(s->tl, (struct timeline_pos){ rec.pos.icount, 0 }, e);
}

int session_goto(struct ttd_session *s, const struct position *p, struct ttd_error *e)
{
	switch (p->kind) {
	case POSITION_ICOUNT:
		return timeline_seek(s->tl, (struct timeline_pos){ p->n, p->moment }, e);
	case POSITION_BRCTR:
		return timeline_seek_brctr(s->tl, p->n, e);
	case POSITION_END:
		return timeline_seek(s->tl, (struct timeline_pos){ UINT64_MAX, 0 }, e);
	case POSITION_EVENT:
		return goto_event(s, p->n, e);
	case POSITION_TIME:
		return timeline_seek_time(s->tl, p->n, e);
	case POSITION_CONSOLE:
		return goto_text(s, p->text, p->back, e);
	case POSITION_PANIC:
		return goto_panic(s, p->back, e);
	}
	return err_set(e, TTD_USAGE, "no such position");
}
