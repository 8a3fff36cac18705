/*
 * index.c - the index of a log: at most INDEX_MAX entries, whatever its length.
 */
#include <stdlib.h>

#include "event/format.h"
#include "util/varint.h"

/* Full: every second entry goes, and only every second chunk gets one from now on. */
static void thin(struct log_index *x)
{
	for (uint32_t i = 0; i < x->n / 2; i++)
		x->v[i] = x->v[2 * i];
	x->n /= 2;
	x->stride *= 2;
}

/* Without memory the index is merely incomplete: entries are where to start from. */
void index_add(struct log_index *x, const struct index_entry *e)
{
	if (x->stride == 0)
		x->stride = 1;
	if (x->skip > 0) {
		x->skip--;
		return;
	}
	if (x->n == INDEX_MAX)
		thin(x);
	if (x->n == x->cap) {
		uint32_t cap = x->cap != 0 ? 2 * x->cap : 256;
		struct index_entry *v = realloc(x->v, cap * sizeof *v);

		if (v == NULL)
			return;
		x->v = v;
		x->cap = cap;
	}
	x->v[x->n++] = *e;
	x->skip = x->stride - 1;
}

void index_free(struct log_index *x)
{
	free(x->v);
	*x = (struct log_index){0};
}

void index_write(const struct log_index *x, uint64_t offset, struct wbuf *w)
{
	struct index_entry last = {0};

	wbuf_v(w, x->n);
	for (uint32_t i = 0; i < x->n; i++) {
		wbuf_v(w, x->v[i].offset - last.offset);
		wbuf_v(w, x->v[i].seq - last.seq);
		wbuf_v(w, x->v[i].icount - last.icount);
		wbuf_v(w, x->v[i].brctr - last.brctr);
		last = x->v[i];
	}
	wbuf_u64(w, offset);
	wbuf_put(w, INDEX_MAGIC, 8);
}

int index_read(struct rbuf *r, struct log_index *x)
{
	uint64_t n = rbuf_v(r);
	struct index_entry e = {0};

	if (r->bad || n > INDEX_MAX)
		return -1;
	for (uint64_t i = 0; i < n; i++) {
		e.offset += rbuf_v(r);
		e.seq += rbuf_v(r);
		e.icount += rbuf_v(r);
		e.brctr += rbuf_v(r);
		if (r->bad)
			return -1;
		x->skip = 0;
		index_add(x, &e);
	}
	return r->len - r->pos == INDEX_FOOTER && x->n == n ? 0 : -1;
}
