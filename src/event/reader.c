/*
 * reader.c - reading a log: opening, the next record, damage.
 *
 *  LR1. Nothing of a chunk is used before header and payload have checked.
 *  LR2. `next` is the file offset of the next chunk, which must have number
 *      `seq`; [0, next) has been read or skipped by a seek.
 *  LR3. After damage was reported, `next` and `seq` are those of the next chunk
 *      whose header checks, or `dead` is set.
 */
#define _GNU_SOURCE /* memmem */
#include "event/reader.h"
#include "util/fullio.h"
#include "util/names.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEARCH = 64 << 10 };

static int read_at(const struct log_reader *r, uint64_t off, void *p, size_t n)
{
	if (r->bytes.read != NULL)
		return r->bytes.read(r->bytes.ctx, off, p, n);
	return pread_full(r->fd, p, n, off) == 0 ? 0 : -1;
}

enum load reader_header(struct log_reader *r, uint64_t off, struct chunk *c, const char **what)
{
	if (off >= r->size)
		return LOAD_EOF;
	if (r->size - off < CHUNK_HEADER)
		return LOAD_TORN;
	if (read_at(r, off, r->head, CHUNK_HEADER) != 0) {
		*what = "cannot be read";
		return LOAD_BAD;
	}
	*what = chunk_read(r->head, r->run_id, c);
	if (*what != NULL)
		return LOAD_BAD;
	return c->stored > r->size - off - CHUNK_HEADER ? LOAD_TORN : LOAD_OK;
}

static bool room(struct wbuf *w, size_t n)
{
	uint8_t *p;

	if (w->cap >= n)
		return true;
	p = realloc(w->p, n);
	if (p == NULL)
		return false;
	w->p = p;
	w->cap = n;
	return true;
}

static const char *unpack(struct log_reader *r, const struct chunk *c)
{
	size_t n;

	if (c->coding == CODING_PLAIN) {
		struct wbuf b = r->payload;

		r->payload = r->stored;
		r->stored = b;
		return NULL;
	}
	n = ZSTD_decompressDCtx(r->zstd, r->payload.p, c->raw, r->stored.p, c->stored);
	return ZSTD_isError(n) || n != c->raw ? "the chunk cannot be decompressed" : NULL;
}

enum load reader_chunk(struct log_reader *r, uint64_t off, struct chunk *c, const char **what)
{
	enum load l = reader_header(r, off, c, what);

	if (l != LOAD_OK)
		return l;
	*what = "out of memory for the chunk";
	if (!room(&r->stored, (size_t)c->stored + 1) || !room(&r->payload, (size_t)c->raw + 1))
		return LOAD_BAD;
	*what = "cannot be read";
	if (read_at(r, off + CHUNK_HEADER, r->stored.p, c->stored) != 0)
		return LOAD_BAD;
	*what = "the chunk does not match its checksum";
	if (!chunk_payload_ok(r->head, r->stored.p, c->stored))
		return LOAD_BAD;
	*what = unpack(r, c);
	r->payload.len = c->raw;
	return *what == NULL ? LOAD_OK : LOAD_BAD;
}

/* ---- damage ---- */

uint64_t reader_resync(struct log_reader *r, uint64_t from, struct chunk *c)
{
	uint8_t magic[4], *buf = malloc(SEARCH);
	uint64_t found = UINT64_MAX;
	const char *what;

	put32(magic, CHUNK_MAGIC);
	while (buf != NULL && from < r->size && found == UINT64_MAX) {
		size_t n = r->size - from < SEARCH ? (size_t)(r->size - from) : SEARCH;
		const uint8_t *p = buf;

		if (n < CHUNK_HEADER || read_at(r, from, buf, n) != 0)
			break;
		while ((p = memmem(p, n - (size_t)(p - buf), magic, 4)) != NULL) {
			uint64_t at = from + (uint64_t)(p - buf);

			if (reader_header(r, at, c, &what) == LOAD_OK && c->seq >= r->seq) {
				found = at;
				break;
			}
			p++;
		}
		from += n > 3 && n == SEARCH ? n - 3 : n;
	}
	free(buf);
	return found;
}

static void where(char *text, size_t n, const struct log_damage *d)
{
	if (d->to_end)
		snprintf(text, n, "everything after icount %" PRIu64 " (brctr %" PRIu64 ") is lost",
			d->from.icount, d->from.brctr);
	else
		snprintf(text, n, "icount %" PRIu64 " to %" PRIu64 " (brctr %" PRIu64 " to %"
			PRIu64 ") is lost", d->from.icount, d->to.icount, d->from.brctr,
			d->to.brctr);
}

/* The chunk at `off` is bad; reading goes on at the next good one. */
static int damaged(struct log_reader *r, uint64_t off, const char *what, struct ttd_error *e)
{
	struct log_damage *d = &r->damage;
	struct chunk c;
	uint64_t at = reader_resync(r, off + 1, &c);
	char lost[200];

	*d = (struct log_damage){ .offset = off, .from = r->last, .to_end = at == UINT64_MAX };
	snprintf(d->what, sizeof d->what, "%s", what);
	r->decoding = false;
	if (d->to_end) {
		r->dead = true;
	} else {
		d->to.icount = c.first_icount;
		d->to.brctr = c.first_brctr;
		r->next = at;
		r->seq = c.seq;
	}
	where(lost, sizeof lost, d);
	return err_set(e, TTD_DAMAGED, "log %s: damaged at offset %" PRIu64 ": %s; %s", r->path, off,
		what, lost);
}

/* Whole chunks are missing before this one. */
static int gap(struct log_reader *r, const struct chunk *c, struct ttd_error *e)
{
	struct log_damage *d = &r->damage;
	char lost[200];

	*d = (struct log_damage){ .offset = r->next, .from = r->last };
	d->to.icount = c->first_icount;
	d->to.brctr = c->first_brctr;
	snprintf(d->what, sizeof d->what, "%" PRIu64 " chunks are missing here", c->seq - r->seq);
	r->seq = c->seq;
	where(lost, sizeof lost, d);
	return err_set(e, TTD_DAMAGED, "log %s: damaged at offset %" PRIu64 ": %s; %s", r->path,
		d->offset, d->what, lost);
}

/* ---- opening ---- */

static int open_file(struct log_reader *r, struct ttd_error *e)
{
	struct stat st;

	if (r->bytes.read != NULL) {
		r->size = r->bytes.size;
		return 0;
	}
	r->fd = names_read(r->path);
	if (r->fd < 0 || fstat(r->fd, &st) != 0)
		return err_set(e, TTD_HOST, "log %s: %s", r->path, strerror(errno));
	if (!S_ISREG(st.st_mode))
		return err_set(e, TTD_HOST, "log %s: is not a regular file", r->path);
	r->size = (uint64_t)st.st_size;
	return 0;
}

static int open_header(struct log_reader *r, struct ttd_error *e)
{
	uint8_t head[FILE_HEADER];
	const char *what;

	if (r->size < FILE_HEADER || read_at(r, 0, head, sizeof head) != 0)
		return err_set(e, TTD_DAMAGED, "log %s: is too short to be a log (%" PRIu64
			" bytes)", r->path, r->size);
	what = header_read(head, r->run_id, &r->created, &r->version);
	if (what == NULL)
		return 0;
	if (r->version > LOG_VERSION)
		return err_set(e, TTD_HOST, "log %s: has format version %u; this ttd reads up to %d",
			r->path, r->version, LOG_VERSION);
	return err_set(e, TTD_DAMAGED, "log %s: damaged at offset 0: %s", r->path, what);
}

static int open_meta(struct log_reader *r, struct ttd_error *e)
{
	const char *what = NULL, *wrong;
	char text[200];
	struct chunk c = {0};
	struct rbuf b;
	enum load l = reader_chunk(r, FILE_HEADER, &c, &what);

	if (l == LOAD_EOF || l == LOAD_TORN)
		what = "it ends before its configuration";
	else if (l == LOAD_OK && (c.kind != CHUNK_META || c.seq != 0))
		what = "it does not begin with its configuration";
	b = (struct rbuf){ .p = r->payload.p, .len = r->payload.len };
	if (what == NULL && meta_read(&b, &r->meta) != 0)
		what = "its configuration makes no sense";
	if (what == NULL && (wrong = log_meta_wrong(&r->meta)) != NULL) {
		snprintf(text, sizeof text, "its configuration makes no sense: %s", wrong);
		what = text;
	}
	if (what != NULL)
		return err_set(e, TTD_DAMAGED, "log %s: damaged at offset %d: %s", r->path,
			FILE_HEADER, what);
	r->first = r->next = FILE_HEADER + CHUNK_HEADER + c.stored;
	r->stream = c.stream;
	r->seq = 1;
	return 0;
}

static struct log_reader *open_reader(const char *path, const struct log_bytes *bytes,
	struct ttd_error *e)
{
	struct log_reader *r = calloc(1, sizeof *r);

	if (r == NULL || (r->zstd = ZSTD_createDCtx()) == NULL) {
		free(r);
		err_set(e, TTD_HOST, "log %s: out of memory", path);
		return NULL;
	}
	r->fd = -1;
	if (bytes != NULL)
		r->bytes = *bytes;
	snprintf(r->path, sizeof r->path, "%s", path);
	if (open_file(r, e) == 0 && open_header(r, e) == 0 && open_meta(r, e) == 0)
		return r;
	log_reader_close(r);
	return NULL;
}

struct log_reader *log_open(const char *path, struct ttd_error *e)
{
	return open_reader(path, NULL, e);
}

struct log_reader *log_open_bytes(const char *name, const struct log_bytes *b,
	struct ttd_error *e)
{
	return open_reader(name, b, e);
}

void log_reader_close(struct log_reader *r)
{
	if (r == NULL)
		return;
	if (r->fd >= 0)
		close(r->fd);
	ZSTD_freeDCtx(r->zstd);
	wbuf_free(&r->stored);
	wbuf_free(&r->payload);
	index_free(&r->index);
	free(r);
}

unsigned log_version(const struct log_reader *r) { return r->version; }
const uint8_t *log_run_id(const struct log_reader *r) { return r->run_id; }
uint64_t log_created(const struct log_reader *r) { return r->created; }
const struct log_meta *log_meta(const struct log_reader *r) { return &r->meta; }
uint64_t log_size(const struct log_reader *r) { return r->size; }
const struct log_damage *log_damage(const struct log_reader *r) { return &r->damage; }
const struct log_end *log_at_end(const struct log_reader *r) { return r->ended ? &r->end : NULL; }
uint64_t log_chunk_offset(const struct log_reader *r) { return r->chunk_at; }
uint64_t log_chunk_seq(const struct log_reader *r) { return r->chunk_seq; }

uint64_t log_committed(const struct log_reader *r, uint64_t *seq, uint64_t *stream)
{
	*seq = r->seq;
	*stream = r->stream;
	return r->next;
}

/* ---- records ---- */

/* Loads the chunk at `next`.  1: go on; 0: the end; -1: damage. */
static int advance(struct log_reader *r, struct ttd_error *e)
{
	const char *what = NULL;
	uint64_t at = r->next;
	struct rbuf b;
	struct chunk c;

	if (r->ended || r->dead)
		return 0;
	switch (reader_chunk(r, at, &c, &what)) {
	case LOAD_EOF:
	case LOAD_TORN:
		return 0;
	case LOAD_BAD:
		return damaged(r, at, what, e);
	case LOAD_OK:
		break;
	}
	if (c.seq < r->seq || c.kind == CHUNK_META || c.kind == CHUNK_INDEX)
		return damaged(r, at, "the chunk does not belong here", e);
	if (c.seq > r->seq)
		return gap(r, &c, e);
	b = (struct rbuf){ .p = r->payload.p, .len = r->payload.len };
	if (c.kind == CHUNK_END) {
		if (end_read(&b, &r->end) != 0)
			return damaged(r, at, "the end makes no sense", e);
		r->ended = true;
		return 0;
	}
	if (decode_start(&r->dec, r->version, r->meta.tsc_mul, b.p, b.len, c.records) != 0)
		return damaged(r, at, UNDECODABLE, e);
	r->decoding = true;
	r->chunk_at = at;
	r->chunk_seq = c.seq;
	r->stream = c.stream;
	r->next = at + CHUNK_HEADER + c.stored;
	r->seq = c.seq + 1;
	return 1;
}

int log_next(struct log_reader *r, struct log_record *out, struct ttd_error *e)
{
	int rc;

	if (r->have) {
		*out = r->held;
		r->have = false;
		return 1;
	}
	for (;;) {
		if (!r->decoding && (rc = advance(r, e)) != 1)
			return rc;
		rc = decode(&r->dec, out);
		if (rc < 0 || (rc > 0 && out->pos.icount < r->last.icount)) {
			/* What follows the chunk is intact: go on there. */
			r->seq = r->chunk_seq;
			return damaged(r, r->chunk_at, UNDECODABLE, e);
		}
		if (rc == 1) {
			r->last = out->pos;
			return 1;
		}
		r->decoding = false;
	}
}
