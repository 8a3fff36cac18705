/*
 * logdiff.c - where a replay's log leaves its recording's.
 *
 * Marks are only in recordings and do not count; nor are several exits in one record in a
 * replay's log, where each is by itself.
 */
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <ttd/ttd.h>

#include "util/err.h"

enum { CONTEXT_MAX = 100000 };

struct logdiff {
	struct ttd_log *a, *b;
	struct ttd_symbols *symbols;
	unsigned how, context;
	void (*fn)(void *ctx, char side, const char *text);
	void *ctx;
	struct ttd_event *ring; /* the last equal ones */
	uint64_t equal;
};

static int next(struct ttd_log *l, struct ttd_event *ev, struct ttd_error *err)
{
	int rc;

	do
		rc = ttd_log_next(l, ev, err);
	while (rc == 1 && ev->type == TTD_EVENT_MARK);
	return rc;
}

static bool equal(const struct ttd_event *a, const struct ttd_event *b)
{
	return a->type == b->type && a->has == b->has && a->code == b->code &&
		a->icount == b->icount && a->brctr == b->brctr && a->rip == b->rip &&
		a->rcx == b->rcx && a->tsc == b->tsc && a->value == b->value &&
		a->memory == b->memory && a->state == b->state && a->check == b->check &&
		a->error == b->error && a->len == b->len &&
		memcmp(a->data, b->data, a->len < sizeof a->data ? a->len : sizeof a->data) == 0;
}

static bool is_exit(const struct ttd_event *ev)
{
	return ev->type == TTD_EVENT_EXCEPTION || ev->type == TTD_EVENT_HYPERCALL ||
		ev->type == TTD_EVENT_UPCALL;
}

/* The recording's a->error exits against the replay's, of which *b is the first and then the last. */
static bool as_many(struct logdiff *d, const struct ttd_event *a, struct ttd_event *b,
	struct ttd_error *err)
{
	unsigned n = 1;

	while (is_exit(b) && b->icount <= a->icount && n < a->error && next(d->b, b, err) == 1)
		n++;
	return is_exit(b) && n == a->error && a->icount == b->icount && a->brctr == b->brctr &&
		a->rip == b->rip;
}

static bool same(struct logdiff *d, const struct ttd_event *a, struct ttd_event *b,
	struct ttd_error *err)
{
	return a->type == TTD_EVENT_EXITS && b->type != TTD_EVENT_EXITS ? as_many(d, a, b, err)
		: equal(a, b);
}

static void say(const struct logdiff *d, char side, const struct ttd_event *ev)
{
	char text[TTD_TEXT_MAX];

	ttd_event_text(ev, d->symbols, d->how, text);
	d->fn(d->ctx, side, text);
}

/* What one log goes on with; `rc` is what reading its first event gave. */
static void rest(const struct logdiff *d, char side, struct ttd_log *l, struct ttd_event *ev,
	int rc)
{
	struct ttd_error none;

	for (unsigned i = 0; rc == 1 && i <= d->context; i++) {
		say(d, side, ev);
		rc = next(l, ev, &none);
	}
}

static int compare(struct logdiff *d, struct ttd_error *err)
{
	struct ttd_event a, b;
	int ra, rb;

	for (;;) {
		ra = next(d->a, &a, err);
		rb = ra < 0 ? ra : next(d->b, &b, err);
		if (rb < 0)
			return -1;
		if (ra == 0 && rb == 0)
			return 0;
		if (ra != rb || !same(d, &a, &b, err))
			break;
		if (d->context != 0)
			d->ring[d->equal % d->context] = a;
		d->equal++;
	}
	for (uint64_t i = d->equal > d->context ? d->equal - d->context : 0; i < d->equal; i++)
		say(d, ' ', &d->ring[i % d->context]);
	rest(d, '-', d->a, &a, ra);
	rest(d, '+', d->b, &b, rb);
	return 1;
}

int ttd_log_diff(const char *trace, int which, unsigned context, unsigned how,
	void (*fn)(void *ctx, char side, const char *text), void *ctx, struct ttd_error *err)
{
	struct logdiff d = { .how = how, .fn = fn, .ctx = ctx,
		.context = context < CONTEXT_MAX ? context : CONTEXT_MAX };
	struct ttd_error none, spare, *e = err_begin(err, &spare);
	int rc = -1;

	d.ring = calloc((size_t)d.context + 1, sizeof *d.ring);
	if (d.ring == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	d.a = ttd_log_open(trace, TTD_LOG_RECORDING, e);
	d.b = d.a != NULL ? ttd_log_open(trace, which, e) : NULL;
	if (d.b != NULL) {
		if (how & (TTD_TEXT_NAMES | TTD_TEXT_JSON))
			d.symbols = ttd_log_symbols(d.a, &none);
		rc = compare(&d, e);
	}
	ttd_symbols_free(d.symbols);
	ttd_log_close(d.a);
	ttd_log_close(d.b);
	free(d.ring);
	return rc;
}
