/*
 * perturb.c - spoils a replay; see perturb.h.
 */
#include "lib/perturb.h"

#include <stdlib.h>
#include <string.h>

#include "util/parse.h"

struct perturb {
	struct source_wrap wrap;
	struct perturb_spec p;
	struct mem *mem;
	uint64_t inputs;
	bool poked;
};

static int parse_poke(char *text, struct perturb_spec *p)
{
	uint64_t *const to[] = { &p->icount, &p->mfn, &p->off, &p->byte };
	static const uint64_t max[] = { INT64_MAX, UINT64_MAX, PAGE_SIZE - 1, 255 };
	char *word;

	for (unsigned i = 0; i < 4; i++) {
		word = strsep(&text, ":");
		if (word == NULL || parse_u64(word, 0, max[i], to[i]) != 0)
			return -1;
	}
	p->poke = true;
	return text == NULL ? 0 : -1;
}

static int parse_word(char *word, struct perturb_spec *p)
{
	if (strcmp(word, "any-file") == 0) {
		p->any_file = true;
		return 0;
	}
	if (strncmp(word, "skip=", 5) == 0)
		return parse_u64(word + 5, 1, UINT64_MAX, &p->skip);
	return strncmp(word, "poke=", 5) == 0 ? parse_poke(word + 5, p) : -1;
}

int perturb_parse(const char *text, struct perturb_spec *p, struct ttd_error *e)
{
	char *copy, *rest, *word;
	int rc = 0;

	memset(p, 0, sizeof *p);
	if (text == NULL)
		return 0;
	copy = rest = strdup(text);
	if (copy == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	while (rc == 0 && (word = strsep(&rest, ",")) != NULL)
		rc = parse_word(word, p);
	free(copy);
	return rc == 0 ? 0 : err_set(e, TTD_USAGE, "'%s' is not what a test can do: give "
		"poke=ICOUNT:MFN:OFFSET:BYTE, skip=N or any-file", text);
}

static uint64_t per_horizon(struct source *s, const struct source_pos *now)
{
	struct perturb *r = (struct perturb *)s;
	uint64_t at = source_horizon(r->wrap.inner, now);

	return r->p.poke && r->p.icount > now->icount && r->p.icount < at ? r->p.icount : at;
}

static void poke(struct perturb *r, const struct source_pos *now)
{
	uint8_t byte = (uint8_t)r->p.byte;

	if (!r->p.poke || r->poked || now->icount < r->p.icount || r->mem == NULL)
		return;
	r->poked = true;
	mem_write_frame(r->mem, r->p.mfn, (unsigned)r->p.off, &byte, 1);
}

static bool skips(struct perturb *r, const struct event *ev)
{
	return ev->type != EV_STOP && ev->type != EV_DIGEST && ++r->inputs == r->p.skip;
}

static bool per_next(struct source *s, const struct source_pos *now, struct event *out)
{
	struct perturb *r = (struct perturb *)s;

	poke(r, now);
	do
		if (!source_next(r->wrap.inner, now, out))
			return false;
	while (skips(r, out));
	return true;
}

/* An idle guest must be given something: no time at all is nothing. */
static void per_idle(struct source *s, const struct source_pos *now, uint64_t deadline,
	struct event *out)
{
	struct perturb *r = (struct perturb *)s;

	poke(r, now);
	source_idle(r->wrap.inner, now, deadline, out);
	if (skips(r, out))
		*out = (struct event){ .type = EV_IDLE };
}

static const struct source_ops perturb_ops = {
	.boot = wrap_boot,
	.horizon = per_horizon,
	.next = per_next,
	.idle = per_idle,
	.push = wrap_push,
	.stop = wrap_stop,
	.witness = wrap_witness,
	.destroy = wrap_destroy,
};

struct source *perturb_create(struct source *inner, const struct perturb_spec *p,
	struct ttd_error *e)
{
	struct perturb *r = calloc(1, sizeof *r);

	if (r == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		source_destroy(inner);
		return NULL;
	}
	source_wrap(&r->wrap, &perturb_ops, inner);
	r->p = *p;
	return &r->wrap.source;
}

void perturb_attach(struct source *s, struct mem *m)
{
	((struct perturb *)s)->mem = m;
}
