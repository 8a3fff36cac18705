/*
 * source.c - what all sources share.
 */
#include "event/source.h"

#include <string.h>

int source_push_bytes(struct source *s, enum event_type type, const void *p, size_t n)
{
	const uint8_t *b = p;

	while (n > 0) {
		struct event ev = { .type = type };

		ev.len = n < EVENT_DATA_MAX ? (uint32_t)n : EVENT_DATA_MAX;
		memcpy(ev.data, b, ev.len);
		if (s->ops->push(s, &ev) < 0)
			return -1;
		b += ev.len;
		n -= ev.len;
	}
	return 0;
}
