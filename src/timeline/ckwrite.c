/*
 * ckwrite.c - writing a checkpoint file; see ckwrite.h.
 *
 *  Q1. A chunk is written with one write, and cut off again when that fails: the
 *      file always ends with a whole chunk, whoever is killed.
 *  Q2. hash[] is open addressing over page numbers by digest; every stored page
 *      is in it.
 */
#include "timeline/ckwrite.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lz4.h>
#include <zstd.h>

#include "timeline/ckread.h"
#include "util/fullio.h"
#include "util/names.h"
#include "util/zero.h"

/* Fast ones: single pages gain little by more, and the guest waits for this CPU. */
enum { META_LEVEL = 1, PAGE_ACCELERATION = 3 };

struct ckwrite {
	int fd;
	char *path;
	struct ck_id id;
	uint64_t bytes, seq;
	uint32_t *table;      /* page per frame */
	uint8_t *dirty;       /* since the last checkpoint */
	uint32_t npages;      /* numbers given */
	struct ck_hash *digest; /* by number */
	uint32_t cap;
	uint32_t *hash;       /* Q2; 0: free */
	uint32_t mask;
	size_t count;         /* checkpoints */
	ZSTD_CCtx *z;
	struct wbuf out;      /* the chunk at hand: header, meta, data */
};

/* ---- the file ---- */

/* Q1 */
static int append(struct ckwrite *s, struct ttd_error *e)
{
	int error;

	if (s->out.bad)
		return err_set(e, TTD_HOST, "out of memory for checkpoints: no more are stored");
	error = pwrite_full(s->fd, s->out.p, s->out.len, s->bytes);
	if (error == 0) {
		s->bytes += s->out.len;
		return 0;
	}
	if (ftruncate(s->fd, (off_t)s->bytes) != 0)
		error = errno;
	return err_set(e, TTD_HOST, "checkpoints %s: %s; no more are stored", s->path,
		strerror(error));
}

static int start_file(struct ckwrite *s, struct ttd_error *e)
{
	uint8_t header[CK_HEADER];

	ck_header_write(header, &s->id);
	s->out.len = 0;
	wbuf_put(&s->out, header, sizeof header);
	return append(s, e);
}

/* The chunk in s->out has room for its header in front; c->meta, c->data are set. */
static int append_chunk(struct ckwrite *s, struct ck_chunk *c, struct ttd_error *e)
{
	if (s->out.bad)
		return append(s, e);
	c->seq = s->seq;
	c->digest = ck_digest(s->out.p + CK_CHUNK, c->meta);
	ck_chunk_write(s->out.p, c, &s->id);
	if (append(s, e) != 0)
		return -1;
	s->seq++;
	return 0;
}

static void out_start(struct ckwrite *s)
{
	static const uint8_t room[CK_CHUNK];

	s->out.len = 0;
	wbuf_put(&s->out, room, sizeof room);
}

static uint8_t *out_room(struct ckwrite *s, size_t n)
{
	size_t cap = s->out.cap;
	uint8_t *p;

	if (s->out.len + n <= cap)
		return s->out.p + s->out.len;
	while (cap < s->out.len + n)
		cap = cap != 0 ? 2 * cap : 1 << 16;
	p = realloc(s->out.p, cap);
	if (p == NULL) {
		s->out.bad = true;
		return NULL;
	}
	s->out.p = p;
	s->out.cap = cap;
	return p + s->out.len;
}

/* ---- pages ---- */

static uint32_t slot_of(const struct ckwrite *s, const struct ck_hash *h)
{
	uint32_t i = get32(h->b) & s->mask;

	while (s->hash[i] != 0 && memcmp(s->digest[s->hash[i]].b, h->b, sizeof h->b) != 0)
		i = (i + 1) & s->mask;
	return i;
}

/* Room for one more number and its place in the hash. */
static int reserve(struct ckwrite *s)
{
	uint32_t cap = s->cap != 0 ? 2 * s->cap : 1 << 14;
	struct ck_hash *d;
	uint32_t *hash;

	if (s->npages < s->cap)
		return 0;
	if (s->npages >= CK_MAX / 2)
		return -1;
	d = realloc(s->digest, cap * sizeof *d);
	if (d == NULL)
		return -1;
	s->digest = d;
	hash = calloc(2 * (size_t)cap, sizeof *hash);
	if (hash == NULL)
		return -1;
	free(s->hash);
	s->hash = hash;
	s->mask = 2 * cap - 1;
	s->cap = cap;
	for (uint32_t n = CK_FIRST; n < s->npages; n++)
		hash[slot_of(s, &d[n])] = n;
	return 0;
}

/* The page's number; a new one is added to `index`.  0: no memory. */
static uint32_t number(struct ckwrite *s, const uint8_t *page, struct ck_hash *h, bool *fresh)
{
	uint32_t i;

	*fresh = false;
	if (is_zero(page, PAGE_SIZE))
		return CK_ZERO;
	if (reserve(s) != 0)
		return 0;
	*h = ck_page_hash(&s->id, page);
	i = slot_of(s, h);
	if (s->hash[i] != 0)
		return s->hash[i];
	*fresh = true;
	s->digest[s->npages] = *h;
	s->hash[i] = s->npages;
	return s->npages++;
}

static unsigned add_data(struct ckwrite *s, const uint8_t *page)
{
	uint8_t *to = out_room(s, PAGE_SIZE);
	int n;

	if (to == NULL)
		return 0;
	n = LZ4_compress_fast((const char *)page, (char *)to, PAGE_SIZE, PAGE_SIZE - 1,
		PAGE_ACCELERATION);
	if (n == 0) {
		memcpy(to, page, PAGE_SIZE);
		n = PAGE_SIZE;
	}
	s->out.len += (unsigned)n;
	return (unsigned)n;
}

/* The numbers of the pages, and how many of them are new, which are marked. */
static uint32_t number_all(struct ckwrite *s, const uint8_t *bytes, size_t n, uint32_t *page,
	bool *fresh)
{
	uint32_t count = 0;
	struct ck_hash h;

	for (size_t i = 0; i < n; i++) {
		page[i] = number(s, bytes + (i << PAGE_SHIFT), &h, &fresh[i]);
		if (page[i] == 0)
			s->out.bad = true;
		count += fresh[i];
	}
	return count;
}

static int write_pages(struct ckwrite *s, const uint8_t *bytes, size_t n, const uint32_t *page,
	const bool *fresh, uint32_t count, struct ttd_error *e)
{
	struct ck_chunk c = { .kind = CK_PAGES, .first = s->npages - count, .count = count,
		.meta = count * CK_INDEX };
	size_t at = CK_CHUNK;

	out_start(s);
	if (out_room(s, c.meta) == NULL)
		return append(s, e);
	s->out.len += c.meta;
	for (size_t i = 0; i < n && !s->out.bad; i++) {
		unsigned len;

		if (!fresh[i])
			continue;
		len = add_data(s, bytes + (i << PAGE_SHIFT));
		put16(s->out.p + at, (uint16_t)len);
		memcpy(s->out.p + at + 2, s->digest[page[i]].b, sizeof s->digest->b);
		at += CK_INDEX;
		c.data += len;
	}
	c.raw = c.meta;
	return append_chunk(s, &c, e);
}

int ckwrite_pages(struct ckwrite *s, const uint64_t *frame, const uint8_t *bytes, size_t n,
	struct ttd_error *e)
{
	uint32_t *page = malloc((n + 1) * sizeof *page), count;
	bool *fresh = calloc(n + 1, 1);
	int rc = -1;

	if (page != NULL && fresh != NULL) {
		count = number_all(s, bytes, n, page, fresh);
		rc = count != 0 || s->out.bad ? write_pages(s, bytes, n, page, fresh, count, e) : 0;
	} else {
		err_set(e, TTD_HOST, "out of memory for checkpoints: no more are stored");
	}
	for (size_t i = 0; rc == 0 && i < n; i++) {
		s->table[frame[i]] = page[i];
		s->dirty[frame[i] / 8] |= (uint8_t)(1u << frame[i] % 8);
	}
	free(page);
	free(fresh);
	return rc;
}

/* ---- checkpoints ---- */

static int write_point(struct ckwrite *s, struct ck_chunk *at, const struct ck_meta *m,
	struct ttd_error *e)
{
	struct wbuf raw = {0};
	uint8_t *to;
	size_t n;

	ck_meta_write(&raw, m, s->id.frames);
	out_start(s);
	to = out_room(s, ZSTD_compressBound(raw.len));
	if (raw.bad || to == NULL || raw.len > CK_META_MAX)
		s->out.bad = true;
	if (s->out.bad) {
		wbuf_free(&raw);
		return append(s, e);
	}
	n = ZSTD_compressCCtx(s->z, to, ZSTD_compressBound(raw.len), raw.p, raw.len, META_LEVEL);
	if (ZSTD_isError(n))
		s->out.bad = true;
	else
		s->out.len += n;
	at->kind = CK_CHECKPOINT;
	at->meta = (uint32_t)n;
	at->raw = (uint32_t)raw.len;
	wbuf_free(&raw);
	return append_chunk(s, at, e);
}

int ckwrite_point(struct ckwrite *s, struct ck_chunk *at, uint32_t records, const struct wbuf *state,
	struct ttd_error *e)
{
	struct ck_meta m = { .records = records, .dirty = s->dirty, .table = s->table,
		.state = state->p, .state_len = state->len };

	if (write_point(s, at, &m, e) != 0)
		return -1;
	memset(s->dirty, 0, (s->id.frames + 7) / 8);
	s->count++;
	return 0;
}

size_t ckwrite_count(const struct ckwrite *s)
{
	return s->count;
}

uint64_t ckwrite_bytes(const struct ckwrite *s)
{
	return s->bytes;
}

uint32_t ckwrite_stored(const struct ckwrite *s)
{
	return s->npages - CK_FIRST;
}

/* ---- opening, closing ---- */

static struct ckwrite *make(const char *path, const char *suffix, const struct ck_id *id)
{
	struct ckwrite *s = calloc(1, sizeof *s);

	if (s == NULL)
		return NULL;
	s->fd = -1;
	s->id = *id;
	s->npages = CK_FIRST;
	s->table = calloc(id->frames, sizeof *s->table);
	s->dirty = calloc((id->frames + 7) / 8, 1);
	s->z = ZSTD_createCCtx();
	if (asprintf(&s->path, "%s%s", path, suffix) < 0)
		s->path = NULL;
	if (s->table == NULL || s->dirty == NULL || s->z == NULL || s->path == NULL) {
		ckwrite_close(s);
		return NULL;
	}
	return s;
}

static struct ckwrite *create(const char *path, const char *suffix, const struct ck_id *id,
	struct ttd_error *e)
{
	struct ckwrite *s = make(path, suffix, id);

	if (s == NULL) {
		err_set(e, TTD_HOST, "out of memory for checkpoints");
		return NULL;
	}
	/* A new file: who reads an old one of this name keeps it. */
	names_remove(s->path);
	s->fd = names_open(s->path, O_RDWR | O_CREAT | O_EXCL);
	if (s->fd < 0)
		err_set(e, TTD_HOST, "checkpoints %s: %s", s->path, strerror(errno));
	if (s->fd < 0 || start_file(s, e) != 0) {
		if (s->fd >= 0)
			names_remove(s->path);
		ckwrite_close(s);
		return NULL;
	}
	return s;
}

struct ckwrite *ckwrite_create(const char *path, const struct ck_id *id, struct ttd_error *e)
{
	return create(path, "", id, e);
}

void ckwrite_close(struct ckwrite *s)
{
	if (s == NULL)
		return;
	if (s->fd >= 0)
		close(s->fd);
	free(s->path);
	free(s->table);
	free(s->dirty);
	free(s->digest);
	free(s->hash);
	ZSTD_freeCCtx(s->z);
	wbuf_free(&s->out);
	free(s);
}

/* ---- thinning ---- */

struct thin {
	struct ckread *from;
	struct ckwrite *to;
	uint32_t *map;      /* new numbers of the old pages; 0: not copied */
	uint32_t *table;
	uint8_t *dirty;     /* of the checkpoint at hand */
};

static uint32_t unread(const struct thin *t)
{
	uint32_t n = 0;

	for (uint64_t f = 0; f < t->to->id.frames; f++)
		if (t->table[f] >= CK_FIRST && t->map[t->table[f]] == 0) {
			t->map[t->table[f]] = UINT32_MAX;
			n++;
		}
	return n;
}

/* The pages that this checkpoint needs and the new file has not, as they are stored. */
static int copy_pages(struct thin *t, int fd, struct ttd_error *e)
{
	struct ckwrite *s = t->to;
	struct ck_chunk c = { .kind = CK_PAGES, .first = s->npages, .count = unread(t) };
	size_t at = CK_CHUNK;
	struct ck_hash h;
	uint64_t where;

	if (c.count == 0)
		return 0;
	out_start(s);
	c.raw = c.meta = c.count * CK_INDEX;
	if (out_room(s, c.meta) == NULL)
		return append(s, e);
	s->out.len += c.meta;
	for (uint64_t f = 0; f < s->id.frames; f++) {
		uint32_t old = t->table[f];
		unsigned len;
		uint8_t *to;

		if (old < CK_FIRST || t->map[old] != UINT32_MAX)
			continue;
		len = ckread_stored(t->from, old, &where, &h);
		if (reserve(s) != 0 || (to = out_room(s, len)) == NULL || len == 0 ||
			pread(fd, to, len, (off_t)where) != (ssize_t)len)
			return err_set(e, TTD_HOST, "checkpoints cannot be read again: no more are stored");
		s->out.len += len;
		put16(s->out.p + at, (uint16_t)len);
		memcpy(s->out.p + at + 2, h.b, sizeof h.b);
		at += CK_INDEX;
		c.data += len;
		s->digest[s->npages] = h;
		s->hash[slot_of(s, &h)] = s->npages;
		t->map[old] = s->npages++;
	}
	return append_chunk(s, &c, e);
}

static int copy_point(struct thin *t, int fd, size_t i, struct ttd_error *e)
{
	struct ckwrite *s = t->to;
	struct ck_meta m = { .dirty = t->dirty, .table = t->table };
	struct ck_chunk c = *ckread_at(t->from, i);
	struct wbuf raw;
	int rc;

	if (ckread_load(t->from, i, &m, &raw, e) != 0)
		return -1;
	for (size_t b = 0; b < (s->id.frames + 7) / 8; b++)
		s->dirty[b] |= t->dirty[b];
	/* Given up, but not what was written before it. */
	if (i % 2 == 0 && i + 1 < ckread_count(t->from)) {
		wbuf_free(&raw);
		return 0;
	}
	rc = copy_pages(t, fd, e);
	for (uint64_t f = 0; f < s->id.frames; f++)
		s->table[f] = t->table[f] >= CK_FIRST ? t->map[t->table[f]] : t->table[f];
	m.table = s->table;
	m.dirty = s->dirty;
	if (rc == 0)
		rc = write_point(s, &c, &m, e);
	memset(s->dirty, 0, (s->id.frames + 7) / 8);
	s->count += rc == 0;
	wbuf_free(&raw);
	return rc;
}

static int copy_all(struct thin *t, int fd, struct ttd_error *e)
{
	int rc = 0;

	t->map = calloc(ckread_pages(t->from), sizeof *t->map);
	t->table = malloc(t->to->id.frames * sizeof *t->table);
	t->dirty = malloc((t->to->id.frames + 7) / 8);
	if (t->map == NULL || t->table == NULL || t->dirty == NULL)
		rc = err_set(e, TTD_HOST, "out of memory for checkpoints: no more are stored");
	for (size_t i = 0; rc == 0 && i < ckread_count(t->from); i++)
		rc = copy_point(t, fd, i, e);
	free(t->map);
	free(t->table);
	free(t->dirty);
	return rc;
}

/* Everything of `by` becomes that of s, except for the name. */
static void take_over(struct ckwrite *s, struct ckwrite *by)
{
	struct ckwrite old = *s;

	*s = *by;
	*by = old;
	by->path = s->path;
	s->path = old.path;
	ckwrite_close(by);
}

int ckwrite_thin(struct ckwrite *s, struct ttd_error *e)
{
	struct thin t = {0};
	int rc;

	t.from = ckread_open(s->path, &s->id, e);
	if (t.from == NULL)
		return -1;
	t.to = create(s->path, ".new", &s->id, e);
	rc = t.to != NULL ? copy_all(&t, s->fd, e) : -1;
	/* All of it is on the disk before it takes the old one's place. */
	if (rc == 0 && (fdatasync(t.to->fd) != 0 || names_rename(t.to->path, s->path) != 0))
		rc = err_set(e, TTD_HOST, "checkpoints %s: %s; no more are stored", s->path,
			strerror(errno));
	if (rc == 0)
		take_over(s, t.to);
	else if (t.to != NULL) {
		names_remove(t.to->path);
		ckwrite_close(t.to);
	}
	ckread_close(t.from);
	return rc;
}
