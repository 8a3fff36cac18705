/*
 * goto.c - from a position as people write it to the place in the recording.
 *
 * Counts are seeked to at once.  An event is found in the log, without running
 * anything.  Text on the console is found by running on and listening.
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

struct console_search {
	const char *text[TEXTS];
	unsigned n;
	char tail[TAIL]; /* the last output, in which a text may begin */
	size_t len;
	bool found;
	struct timeline_pos at;
};

static bool holds(const struct console_search *c, const char *p, size_t n)
{
	for (unsigned i = 0; i < c->n; i++)
		if (memmem(p, n, c->text[i], strlen(c->text[i])) != NULL)
			return true;
	return false;
}

/* Called inside of the hypercall that prints: its place is behind it. */
void session_console(struct ttd_session *s, const void *p, size_t n)
{
	struct console_search *c = s->search;
	char *all;
	size_t keep;

	if (c->found || (all = malloc(c->len + n)) == NULL)
		return;
	memcpy(all, c->tail, c->len);
	memcpy(all + c->len, p, n);
	n += c->len;
	if (holds(c, all, n)) {
		c->found = true;
		c->at = (struct timeline_pos){ domain_cpu(s->vm->domain)->icount, 0 };
		domain_interrupt(s->vm->domain);
	}
	keep = n < TAIL - 1 ? n : TAIL - 1;
	memcpy(c->tail, all + n - keep, keep);
	c->len = keep;
	free(all);
}

static int run_to_text(struct ttd_session *s, struct console_search *c, const char *what,
	struct err *e)
{
	struct timeline_pos never = { UINT64_MAX, 0 };
	struct timeline_stop stop;

	s->search = c;
	do
		timeline_run(s->tl, never, &stop);
	while (stop.why == TIMELINE_DEBUG);
	s->search = NULL;
	if (c->found)
		return timeline_seek(s->tl, c->at, e);
	if (stop.why == TIMELINE_FAILED) {
		*e = stop.err;
		return -1;
	}
	if (stop.why == TIMELINE_INTERRUPTED)
		return err_set(e, ST_OK, "interrupted");
	return err_set(e, ST_USAGE, "the guest does not print %s between here and the end", what);
}

static int goto_text(struct ttd_session *s, const char *text, struct err *e)
{
	struct console_search c = { .text = { text }, .n = 1 };
	char what[TAIL + 8];

	if (strlen(text) >= TAIL)
		return err_set(e, ST_USAGE, "position console:TEXT: TEXT has more than %d characters",
			TAIL - 1);
	snprintf(what, sizeof what, "'%s'", text);
	return run_to_text(s, &c, what, e);
}

static int goto_panic(struct ttd_session *s, struct err *e)
{
	struct console_search c = { .n = sizeof alarms / sizeof *alarms };

	memcpy(c.text, alarms, sizeof alarms);
	return run_to_text(s, &c, "a panic or an oops", e);
}

/* A reader of its own: the replayer's is where the run is. */
static int goto_event(struct ttd_session *s, uint64_t n, struct err *e)
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
		return err_set(e, ST_USAGE, "position event:%llu: the log has %llu events",
			(unsigned long long)n, (unsigned long long)i);
	/* A hypercall is logged behind its instruction. */
	if (rec.type == LOG_HYPERCALL && rec.pos.icount > 0)
		rec.pos.icount--;
	return timeline_seek(s->tl, (struct timeline_pos){ rec.pos.icount, 0 }, e);
}

int session_goto(struct ttd_session *s, const struct position *p, struct err *e)
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
		return goto_text(s, p->text, e);
	case POSITION_PANIC:
		return goto_panic(s, e);
	}
	return err_set(e, ST_USAGE, "no such position");
}
