/*
 * source.c - what all sources share.
 */
#include "event/source.h"

#include <stdlib.h>
#include <string.h>

int source_push_bytes(struct source *s, enum event_type type, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n > 0) {
		struct event ev = { .type = type };

		ev.len = n < EVENT_DATA_MAX ? (uint32_t)n : EVENT_DATA_MAX;
		memcpy(ev.data, b, ev.len);
		if (source_push(s, &ev) < 0)
			return -1;
		b += ev.len;
		n -= ev.len;
	}
	return 0;
}

void source_wrap(struct source_wrap *w, const struct source_ops *ops, struct source *inner)
{
	w->source.ops = ops;
	w->source.witnessed = inner->witnessed;
	w->source.fold = inner->fold;
	w->inner = inner;
}

static struct source *inner_of(struct source *s)
{
	return ((struct source_wrap *)s)->inner;
}

void wrap_boot(struct source *s, struct event *out)
{
	source_boot(inner_of(s), out);
}

uint64_t wrap_horizon(struct source *s, const struct source_pos *now)
{
	return source_horizon(inner_of(s), now);
}

int wrap_push(struct source *s, const struct event *ev)
{
	return source_push(inner_of(s), ev);
}

void wrap_stop(struct source *s)
{
	source_stop(inner_of(s));
}

enum witness_answer wrap_witness(struct source *s, const struct source_pos *now,
	const struct witness *w)
{
	return source_witness(inner_of(s), now, w);
}

void wrap_destroy(struct source *s)
{
	source_destroy(inner_of(s));
	free(s);
}
