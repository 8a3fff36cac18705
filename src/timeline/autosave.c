/*
 * autosave.c - when to take checkpoints; see autosave.h.
 *
 * The run loop is halted now and then to look at the clock.  The guest does not
 * notice that, nor a checkpoint.
 *
 * How far they are apart is a matter of what they cost.  While a guest boots it
 * writes to memory for the first time, much at once: the longer it is waited
 * for, the more there is to be copied at the end, and no page is copied less often.
 */
#include "timeline/autosave.h"

#include <stdlib.h>
#include <time.h>

#include "event/source.h"
#include "util/clock.h"

enum { LEG = 1 << 24 /* instructions between looks at the clock */ };

/*
 * When the next checkpoint is taken: `apart` times the asked-for time after the last one, if
 * taking it costs at most 1/own_part of the time since then, or if all of them together
 * have cost at most 1/part of the whole run.
 */
static const struct {
	unsigned apart, own_part, part;
} rules[] = { { 1, 48, 32 }, { 2, 32, 20 }, { 3, 16, 12 }, { 4, 12, 7 },
	{ 24, 0, 0 /* whatever it costs */ } };

struct autosave {
	struct autosave_params p;
	struct cksave *writer; /* NULL: no more are taken */
	uint64_t start_ns, taken_ns; /* CPU time at the start, and when the last one was taken */
	uint64_t due;            /* icount, of every_insns */
};

struct autosave *autosave_create(const struct autosave_params *p, struct ttd_error *e)
{
	struct autosave *a = calloc(1, sizeof *a);

	if (a == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	a->p = *p;
	if (p->every_ns == 0 && p->every_insns == 0)
		a->p.every_ns = AUTOSAVE_NS;
	a->due = p->every_insns;
	a->writer = cksave_open(&p->writer, e);
	if (a->writer == NULL) {
		free(a);
		return NULL;
	}
	return a;
}

static void give_up(struct autosave *a, struct cksave_result *r)
{
	struct ttd_error e = TTD_ERROR_INIT;

	if (cksave_close(a->writer, r, &e) != 0 && a->p.note != NULL)
		a->p.note(a->p.ctx, e.text);
	a->writer = NULL;
}

static bool is_due(const struct autosave *a, uint64_t icount)
{
	uint64_t every, now, waited, next, cost;

	if (a->p.every_insns != 0)
		return icount >= a->due;
	if (!cksave_idle(a->writer))
		return false;
	every = a->p.every_ns * cksave_spacing(a->writer);
	now = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	waited = now - a->taken_ns;
	if (waited < every)
		return false;
	next = cksave_next_ns(a->writer);
	cost = cksave_cost_ns(a->writer) + next;
	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (waited >= rules[i].apart * every && (next * rules[i].own_part <= waited ||
		    cost * rules[i].part <= now - a->start_ns))
			return true;
	return false;
}

static void look(struct autosave *a)
{
	struct domain *d = a->p.writer.domain;
	uint64_t icount = domain_where(d).icount;
	struct cksave_result none;
	uint32_t records;

	if (domain_moment(d) != 0 || domain_inside(d) || !is_due(a, icount))
		return;
	records = a->p.records_at(a->p.ctx, icount);
	if (records == UINT32_MAX || cksave_take(a->writer, records) != 0) {
		give_up(a, &none);
		return;
	}
	a->taken_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	a->due = icount + a->p.every_insns * cksave_spacing(a->writer);
}

enum domain_end autosave_run(struct autosave *a)
{
	struct domain *d = a->p.writer.domain;
	struct domain_until until = {0};
	enum domain_halt halt;

	if (a->start_ns == 0)
		a->start_ns = a->taken_ns = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	do {
		until.icount = domain_where(d).icount + LEG;
		if (a->p.every_insns != 0)
			until.icount = a->due > domain_where(d).icount ? a->due : until.icount;
		if (a->writer == NULL)
			until.icount = SOURCE_NEVER;
		halt = domain_run_to(d, &until);
		if (halt == HALT_REACHED && a->writer != NULL)
			look(a);
	} while (halt == HALT_REACHED || halt == HALT_INTERRUPTED);
	return domain_ended(d);
}

void autosave_free(struct autosave *a, struct cksave_result *r)
{
	struct cksave_result none;

	if (a == NULL)
		return;
	if (a->writer != NULL)
		give_up(a, r != NULL ? r : &none);
	free(a);
}
