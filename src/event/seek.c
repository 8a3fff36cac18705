/*
 * seek.c - finding a place in a log, and its end: by the index, and from
 * there (or without one) by hopping from chunk header to chunk header.
 */
#include "event/reader.h"

#include <unistd.h>

static int read_index(struct log_reader *r, uint64_t off)
{
	const char *what;
	struct chunk c;
	struct rbuf b;

	if (reader_chunk(r, off, &c, &what) != LOAD_OK || c.kind != CHUNK_INDEX ||
		off + CHUNK_HEADER + c.stored != r->size)
		return -1;
	b = (struct rbuf){ .p = r->payload.p, .len = r->payload.len };
	return index_read(&b, &r->index);
}

/* Once.  A missing or bad index is an empty one.  Spoils r->payload. */
static void find_index(struct log_reader *r)
{
	uint8_t tail[INDEX_FOOTER];
	uint64_t off;
	int fd = r->fd;

	if (r->indexed)
		return;
	r->indexed = true;
	if (r->size < r->first + INDEX_FOOTER ||
		pread(fd, tail, sizeof tail, (off_t)(r->size - INDEX_FOOTER)) != INDEX_FOOTER ||
		memcmp(tail + 8, INDEX_MAGIC, 8) != 0)
		return;
	off = get64(tail);
	if (off < r->first || off >= r->size || read_index(r, off) != 0)
		index_free(&r->index);
}

/* The last entry before `count`, if it is what it says. */
static void start(struct log_reader *r, uint64_t count, bool brctr)
{
	uint32_t lo = 0, hi = r->index.n;
	const struct index_entry *x;
	const char *what;
	struct chunk c;

	r->next = r->first;
	r->seq = 1;
	while (lo < hi) {
		uint32_t mid = lo + (hi - lo) / 2;

		x = &r->index.v[mid];
		if ((brctr ? x->brctr : x->icount) < count)
			lo = mid + 1;
		else
			hi = mid;
	}
	if (lo == 0)
		return;
	x = &r->index.v[lo - 1];
	if (reader_header(r, x->offset, &c, &what) == LOAD_OK && c.seq == x->seq &&
		c.kind == CHUNK_DATA) {
		r->next = x->offset;
		r->seq = c.seq;
	}
}

static int seek(struct log_reader *r, uint64_t count, bool brctr, struct ttd_error *e)
{
	bool hurt = false, again;
	const char *what;
	struct chunk c;
	struct ttd_error more = TTD_ERROR_INIT;
	int rc;

	find_index(r);
	r->decoding = r->ended = r->dead = r->have = false;
	r->last = (struct source_pos){0};
	start(r, count, brctr);
	while (reader_header(r, r->next, &c, &what) == LOAD_OK && c.kind == CHUNK_DATA &&
		c.seq == r->seq && (brctr ? c.last_brctr : c.last_icount) < count) {
		r->last.icount = c.last_icount;
		r->last.brctr = c.last_brctr;
		r->next += CHUNK_HEADER + c.stored;
		r->seq++;
	}
	/* Damage on the way is told, but does not keep it from getting there. */
	do {
		rc = log_next(r, &r->held, hurt ? &more : e);
		again = rc < 0 && (hurt ? more.status : e->status) == TTD_DAMAGED;
		hurt |= again;
	} while (again ||
		(rc == 1 && (brctr ? r->held.pos.brctr : r->held.pos.icount) < count));
	r->have = rc == 1;
	return rc < 0 || hurt ? -1 : 0;
}

int log_seek_icount(struct log_reader *r, uint64_t icount, struct ttd_error *e)
{
	return seek(r, icount, false, e);
}

int log_seek_record(struct log_reader *r, uint64_t icount, uint32_t n, struct ttd_error *e)
{
	struct log_record rec;

	if (seek(r, icount, false, e) != 0)
		return -1;
	while (n > 0) {
		if (log_next(r, &rec, e) != 1 || rec.pos.icount != icount)
			return err_set(e, TTD_DAMAGED, "the log has fewer events at instruction %llu "
				"than it had", (unsigned long long)icount);
		n -= !log_is_detail(rec.type);
	}
	return 0;
}

int log_seek_brctr(struct log_reader *r, uint64_t brctr, struct ttd_error *e)
{
	return seek(r, brctr, true, e);
}

static int at_end(struct log_reader *r, uint64_t off, struct log_tail *t)
{
	const char *what;
	struct chunk c;
	struct rbuf b;

	if (reader_chunk(r, off, &c, &what) != LOAD_OK)
		return -1;
	b = (struct rbuf){ .p = r->payload.p, .len = r->payload.len };
	if (end_read(&b, &t->end) != 0)
		return -1;
	t->complete = true;
	return 0;
}

/* Damage on the way is skipped: it is log_next() that reports it. */
static void hop(struct log_reader *r, uint64_t off, struct log_tail *t)
{
	const char *what;
	struct chunk c;

	for (;;) {
		switch (reader_header(r, off, &c, &what)) {
		case LOAD_EOF:
			return;
		case LOAD_TORN:
			t->torn = r->size - off;
			return;
		case LOAD_BAD:
			off = reader_resync(r, off + 1, &c);
			if (off == UINT64_MAX)
				return;
			continue;
		case LOAD_OK:
			break;
		}
		if (c.kind == CHUNK_END && at_end(r, off, t) == 0)
			return;
		if (c.kind == CHUNK_DATA) {
			t->icount = c.last_icount;
			t->brctr = c.last_brctr;
			t->chunks++;
		}
		off += CHUNK_HEADER + c.stored;
	}
}

/* Before the first log_next() only: it uses the same buffers. */
int log_tail(struct log_reader *r, struct log_tail *t, struct ttd_error *e)
{
	(void)e;
	*t = (struct log_tail){0};
	find_index(r);
	hop(r, r->index.n != 0 ? r->index.v[r->index.n - 1].offset : r->first, t);
	if (r->index.n != 0)
		t->chunks = 0;
	return 0;
}

bool log_finished(const char *path, const uint8_t run_id[RUN_ID])
{
	struct ttd_error none;
	struct log_reader *r = log_open(path, &none);
	struct log_tail t;
	bool yes = r != NULL && memcmp(log_run_id(r), run_id, RUN_ID) == 0 &&
		log_tail(r, &t, &none) == 0 && t.complete;

	log_reader_close(r);
	return yes;
}
