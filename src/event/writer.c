/*
 * writer.c - appending to a log.
 *
 *  W1. [0, end) of the file is the header and whole chunks.  Whatever lies
 *      after is cut off, at once if possible and else by the next writer.
 *  W2. A chunk that could not be written stays in the encoder: nothing that
 *      log_put() took is lost by a log_commit() that fails.
 *  W3. Events compress well, and there are few of them.  What comes in from a
 *      network may be so much that compressing it would hold the guest up, or
 *      compressed already.  So a chunk that is mostly such bulk is compressed
 *      only where a sample says that it can be, and while that takes no more than
 *      a small part of the time; else it goes to the file as it is, from where it lies:
 *      in the encoder or, if it is long, where whoever put it keeps it.
 */
#define _GNU_SOURCE /* pwritev */
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "event/codec.h"
#include "event/format.h"
#include "util/clock.h"
#include "util/names.h"
#include "util/regular.h"

enum {
	ZSTD_LEVEL = 3, ZSTD_LEVEL_BULK = 1,
	SAMPLE = 8 << 10, /* of the middle of a chunk that is mostly bulk: */
	WORTH = 8,        /* it must become smaller by such a part */
	SHARE = 32,       /* the part of the time that bulk may take, */
	CREDIT_NS = 2000000, /* of which so much may be saved up */
	LOOK_MS = 200,    /* between looks at where it is */
	PARTS = 2 + REST_PARTS, /* of a chunk: header, columns, the last column */
};

struct log_writer {
	int fd;
	bool sync;
	char path[LOG_TEXT_MAX];
	uint8_t run_id[RUN_ID];
	uint64_t end, seq, stream;
	uint64_t last_icount, last_brctr;
	uint64_t count[LOG_TYPES];
	struct encoder enc;
	struct wbuf payload, out;
	ZSTD_CCtx *zstd;
	int64_t credit_ns;   /* W3 */
	uint64_t credited_ns;
	struct log_index index;
	struct log_writer_stats stats;
	uint64_t limit, looked_ms, look_end; /* look again at the latest then */
	bool told;           /* that there is a limit */
};

static int fail(const struct log_writer *w, const char *what, int error, struct ttd_error *e)
{
	return err_set(e, TTD_HOST, "log %s: %s: %s", w->path, what, strerror(error));
}

/* Leaves of part[0..*n) what is after its first k bytes. */
static void drop_front(struct iovec **part, unsigned *n, size_t k)
{
	for (; *n > 0 && k >= (*part)->iov_len; (*part)++, (*n)--)
		k -= (*part)->iov_len;
	if (*n == 0)
		return;
	(*part)->iov_base = (uint8_t *)(*part)->iov_base + k;
	(*part)->iov_len -= k;
}

/* All of it or nothing (W1).  0, or an errno.  Changes part[]. */
static int append(struct log_writer *w, struct iovec *part, unsigned n)
{
	uint64_t at = w->end;
	int error;

	drop_front(&part, &n, 0);
	while (n > 0) {
		ssize_t k = pwritev(w->fd, part, (int)n, (off_t)at);

		if (k < 0 && errno == EINTR)
			continue;
		if (k <= 0) {
			error = k < 0 ? errno : ENOSPC;
			if (ftruncate(w->fd, (off_t)w->end) != 0)
				return error; /* a torn tail; readers drop it */
			return error;
		}
		at += (size_t)k;
		drop_front(&part, &n, (size_t)k);
	}
	if (w->sync && fdatasync(w->fd) != 0)
		return errno;
	w->end = at;
	w->stats.file_bytes = w->end;
	return 0;
}

static struct iovec part_of(const struct wbuf *b)
{
	return iov_of(b->p, b->len);
}

static size_t all_of(const struct iovec *part, unsigned n)
{
	size_t all = 0;

	while (n > 0)
		all += part[--n].iov_len;
	return all;
}

/* As it is: payload and, after it, what is in more[0..n).  They are not changed. */
static int put_as_is(struct log_writer *w, struct chunk *c, const struct wbuf *payload,
	const struct iovec *more, unsigned n, struct ttd_error *e)
{
	uint8_t header[CHUNK_HEADER];
	struct iovec part[PARTS] = { iov_of(header, sizeof header), part_of(payload) };
	size_t all = payload->len + all_of(more, n);
	int error;

	for (unsigned i = 0; i < n; i++)
		part[2 + i] = more[i];
	if (payload->bad || all > PAYLOAD_MAX)
		return err_set(e, TTD_HOST, "log %s: out of memory", w->path);
	c->seq = w->seq;
	c->coding = CODING_PLAIN;
	c->raw = c->stored = (uint32_t)all;
	chunk_write_parts(header, c, w->run_id, part + 1, 1 + n);
	error = append(w, part, 2 + n);
	if (error != 0)
		return fail(w, "cannot write", error, e);
	w->seq++;
	w->stats.chunks++;
	return 0;
}

/* Makes w->out have room for what n bytes may become. */
static int room_for(struct log_writer *w, size_t n, struct ttd_error *e)
{
	size_t room = ZSTD_compressBound(n);
	uint8_t *p;

	if (w->out.cap >= room)
		return 0;
	p = realloc(w->out.p, room);
	if (p == NULL)
		return err_set(e, TTD_HOST, "log %s: out of memory", w->path);
	w->out.p = p;
	w->out.cap = room;
	return 0;
}

static int put_chunk(struct log_writer *w, struct chunk *c, const struct wbuf *payload,
	int level, struct ttd_error *e)
{
	uint8_t header[CHUNK_HEADER];
	struct iovec part[2] = { iov_of(header, sizeof header) };
	size_t n;
	int error;

	if (payload->bad || payload->len > PAYLOAD_MAX)
		return err_set(e, TTD_HOST, "log %s: out of memory", w->path);
	if (room_for(w, payload->len, e) != 0)
		return -1;
	n = ZSTD_compressCCtx(w->zstd, w->out.p, w->out.cap, payload->p, payload->len, level);
	if (ZSTD_isError(n) || n >= payload->len)
		return put_as_is(w, c, payload, NULL, 0, e);
	c->seq = w->seq;
	c->coding = CODING_ZSTD;
	c->raw = (uint32_t)payload->len;
	c->stored = (uint32_t)n;
	chunk_write(header, c, w->run_id, w->out.p);
	w->out.len = n;
	part[1] = part_of(&w->out);
	error = append(w, part, 2);
	if (error != 0)
		return fail(w, "cannot write", error, e);
	w->seq++;
	w->stats.chunks++;
	return 0;
}

/* A chunk without records. */
static int put_plain(struct log_writer *w, enum chunk_kind kind, const struct wbuf *payload,
	struct ttd_error *e)
{
	struct chunk c = {
		.kind = (uint8_t)kind, .stream = w->stream,
		.first_icount = w->last_icount, .first_brctr = w->last_brctr,
		.last_icount = w->last_icount, .last_brctr = w->last_brctr,
	};

	return kind != CHUNK_INDEX ? put_chunk(w, &c, payload, ZSTD_LEVEL, e)
		: put_as_is(w, &c, payload, NULL, 0, e);
}

static struct log_writer *new_writer(const char *path, bool sync, struct ttd_error *e)
{
	struct log_writer *w = calloc(1, sizeof *w);

	if (w == NULL || (w->zstd = ZSTD_createCCtx()) == NULL) {
		free(w);
		err_set(e, TTD_HOST, "log %s: out of memory", path);
		return NULL;
	}
	w->fd = -1;
	w->sync = sync;
	if (strlen(path) >= sizeof w->path) {
		err_set(e, TTD_USAGE, "the log's path is too long");
		log_writer_close(w);
		return NULL;
	}
	strcpy(w->path, path);
	return w;
}

static int lock(struct log_writer *w, struct ttd_error *e)
{
	if (flock(w->fd, LOCK_EX | LOCK_NB) == 0)
		return 0;
	return err_set(e, TTD_HOST, "log %s: is being written by another process", w->path);
}

static int write_start(struct log_writer *w, const struct log_create *p, struct ttd_error *e)
{
	static const uint8_t none[RUN_ID];
	uint8_t header[FILE_HEADER];
	struct iovec part = iov_of(header, sizeof header);
	struct wbuf meta = {0};
	int rc;

	memcpy(w->run_id, p->run_id, RUN_ID);
	if (memcmp(w->run_id, none, RUN_ID) == 0 &&
		getrandom(w->run_id, RUN_ID, 0) != RUN_ID)
		return fail(w, "cannot get random bytes", errno, e);
	header_write(header, w->run_id, clock_ns(CLOCK_REALTIME));
	rc = append(w, &part, 1);
	if (rc != 0)
		return fail(w, "cannot write", rc, e);
	meta_write(&meta, p->meta);
	rc = put_plain(w, CHUNK_META, &meta, e);
	wbuf_free(&meta);
	encode_start(&w->enc, p->meta->tsc_mul);
	return rc;
}

/* A recording that would be ended at once is not begun. */
static int has_room(struct log_writer *w, struct ttd_error *e)
{
	if (log_look(w) != LOG_ROOM)
		return 0;
	return err_set(e, TTD_HOST, "log %s: %s; make room, or give --log-limit off", w->path,
		log_limit_text(LOG_ROOM));
}

/* An existing log is emptied only once it is ours: locked.  One that cannot be begun goes again. */
struct log_writer *log_create(const char *path, const struct log_create *p, struct ttd_error *e)
{
	struct log_writer *w = new_writer(path, p->sync, e);
	const char *wrong = log_meta_wrong(p->meta);
	bool made = false;

	if (w == NULL)
		return NULL;
	if (wrong != NULL) {
		err_set(e, TTD_USAGE, "log %s: cannot be made: %s", path, wrong);
		goto bad;
	}
	w->fd = regular_create(path, false);
	made = w->fd >= 0;
	if (!made && errno == EEXIST && p->force)
		w->fd = regular_create(path, true);
	if (w->fd < 0) {
		if (errno == EEXIST)
			err_set(e, TTD_USAGE, "log %s: exists already; give another name or --force",
				path);
		else
			fail(w, "cannot create", errno, e);
		goto bad;
	}
	if (lock(w, e) != 0)
		goto bad;
	if (ftruncate(w->fd, 0) != 0) {
		fail(w, "cannot empty it", errno, e);
		goto bad;
	}
	log_set_limit(w, p->limit);
	if (has_room(w, e) == 0 && write_start(w, p, e) == 0)
		return w;
bad:
	if (made)
		names_remove(path);
	log_writer_close(w);
	return NULL;
}

/* Reads all chunks up to the torn tail, for what the writer must know of them. */
static int take_over(struct log_writer *w, struct ttd_error *e)
{
	struct log_reader *r = log_open(w->path, e);
	struct log_record rec;
	uint64_t at = 0;
	int rc;

	if (r == NULL)
		return -1;
	if (memcmp(log_run_id(r), w->run_id, RUN_ID) != 0) {
		err_set(e, TTD_HOST, "log %s: is of another run; it is not continued", w->path);
		goto bad;
	}
	if (log_version(r) != LOG_VERSION) {
		err_set(e, TTD_HOST, "log %s: was begun by another version of ttd; it is not "
			"continued", w->path);
		goto bad;
	}
	while ((rc = log_next(r, &rec, e)) == 1) {
		w->count[rec.type]++;
		w->last_icount = rec.pos.icount;
		w->last_brctr = rec.pos.brctr;
		if (log_chunk_offset(r) != at) {
			at = log_chunk_offset(r);
			index_add(&w->index, &(struct index_entry){ .offset = at,
				.seq = log_chunk_seq(r), .icount = rec.pos.icount,
				.brctr = rec.pos.brctr });
		}
	}
	if (rc < 0)
		goto bad;
	if (log_at_end(r) != NULL) {
		err_set(e, TTD_HOST, "log %s: is finished; it is not continued", w->path);
		goto bad;
	}
	w->end = log_committed(r, &w->seq, &w->stream);
	encode_start(&w->enc, log_meta(r)->tsc_mul);
	log_reader_close(r);
	return 0;
bad:
	log_reader_close(r);
	return -1;
}

struct log_writer *log_append_open(const char *path, const uint8_t run_id[RUN_ID],
	bool sync, uint64_t *stream, struct ttd_error *e)
{
	struct log_writer *w = new_writer(path, sync, e);

	if (w == NULL)
		return NULL;
	memcpy(w->run_id, run_id, RUN_ID);
	w->fd = regular_update(path);
	if (w->fd < 0) {
		fail(w, "cannot open", errno, e);
		goto bad;
	}
	if (lock(w, e) != 0 || take_over(w, e) != 0)
		goto bad;
	if (ftruncate(w->fd, (off_t)w->end) != 0) {
		fail(w, "cannot cut its torn end off", errno, e);
		goto bad;
	}
	*stream = w->stream;
	return w;
bad:
	log_writer_close(w);
	return NULL;
}

const uint8_t *log_writer_run_id(const struct log_writer *w)
{
	return w->run_id;
}

int log_put(struct log_writer *w, const struct log_record *r, struct ttd_error *e)
{
	if (encode_size(&w->enc) > PAYLOAD_MAX / 2)
		return err_set(e, TTD_HOST, "log %s: too much waits to be written", w->path);
	if (r->pos.icount < w->last_icount || encode(&w->enc, r) != 0)
		return err_set(e, TTD_HOST, "log %s: a record of type %u cannot be encoded",
			w->path, r->type);
	w->count[r->type]++;
	w->last_icount = r->pos.icount;
	w->last_brctr = r->pos.brctr;
	w->stats.records++;
	return 0;
}

size_t log_pending(const struct log_writer *w)
{
	return encode_size(&w->enc);
}

/* There is time for it. */
static bool affordable(struct log_writer *w)
{
	uint64_t now = clock_ns(CLOCK_MONOTONIC), since = now - w->credited_ns;

	w->credited_ns = now;
	if (since / SHARE > CREDIT_NS)
		since = (uint64_t)CREDIT_NS * SHARE;
	w->credit_ns += (int64_t)(since / SHARE);
	if (w->credit_ns > CREDIT_NS)
		w->credit_ns = CREDIT_NS;
	return w->credit_ns > 0;
}

/*
 * The sample is of where most of the bulk is, and a copy: the bulk may lie where another
 * process can write.  A wrong guess costs time or room only.
 */
static bool compressible(struct log_writer *w, const struct iovec *part, unsigned n)
{
	size_t skip = (all_of(part, n) - SAMPLE) / 2, packed;
	uint8_t sample[SAMPLE];
	struct wbuf b = { .p = sample, .cap = sizeof sample };
	struct ttd_error none;

	for (; skip >= part->iov_len; part++)
		skip -= part->iov_len;
	for (; b.len < SAMPLE; part++, skip = 0) {
		size_t k = part->iov_len - skip, room = SAMPLE - b.len;

		wbuf_put(&b, (const uint8_t *)part->iov_base + skip, k < room ? k : room);
	}
	if (room_for(w, SAMPLE, &none) != 0)
		return false;
	packed = ZSTD_compressCCtx(w->zstd, w->out.p, w->out.cap, sample, SAMPLE, ZSTD_LEVEL_BULK);
	return !ZSTD_isError(packed) && packed <= SAMPLE - SAMPLE / WORTH;
}

static void gather(struct log_writer *w, const struct iovec *part, unsigned n)
{
	for (unsigned i = 0; i < n; i++)
		wbuf_put(&w->payload, part[i].iov_base, part[i].iov_len);
}

/* W3 */
static int put_bulk(struct log_writer *w, struct chunk *c, const struct iovec *rest, unsigned n,
	struct ttd_error *e)
{
	uint64_t start = clock_ns(CLOCK_THREAD_CPUTIME_ID);
	int rc;

	if (!affordable(w))
		return put_as_is(w, c, &w->payload, rest, n, e);
	if (compressible(w, rest, n)) {
		gather(w, rest, n);
		rc = put_chunk(w, c, &w->payload, ZSTD_LEVEL_BULK, e);
	} else {
		rc = put_as_is(w, c, &w->payload, rest, n, e);
	}
	w->credit_ns -= (int64_t)(clock_ns(CLOCK_THREAD_CPUTIME_ID) - start);
	return rc;
}

static int put_records(struct log_writer *w, struct chunk *c, struct ttd_error *e)
{
	struct iovec rest[REST_PARTS];
	unsigned n = encode_rest(&w->enc, rest);

	w->payload.len = 0;
	encode_finish(&w->enc, &w->payload);
	if (w->enc.bulk >= SAMPLE && w->enc.bulk > encode_size(&w->enc) / 2)
		return put_bulk(w, c, rest, n, e);
	gather(w, rest, n);
	return put_chunk(w, c, &w->payload, ZSTD_LEVEL, e);
}

int log_commit(struct log_writer *w, uint64_t stream, struct ttd_error *e)
{
	struct chunk c = {
		.kind = CHUNK_DATA, .stream = stream, .records = w->enc.records,
		.first_icount = w->enc.first_icount, .first_brctr = w->enc.first_brctr,
		.last_icount = w->last_icount, .last_brctr = w->last_brctr,
	};
	uint64_t at = w->end, seq = w->seq;

	if (w->enc.records == 0)
		return 0;
	if (put_records(w, &c, e) != 0)
		return -1;
	w->stream = stream;
	w->stats.raw_bytes += c.raw;
	index_add(&w->index, &(struct index_entry){ .offset = at, .seq = seq,
		.icount = c.first_icount, .brctr = c.first_brctr });
	encode_start(&w->enc, w->enc.c.tsc_mul);
	return 0;
}

int log_finish(struct log_writer *w, const struct log_end *end, uint64_t stream,
	struct ttd_error *e)
{
	struct wbuf b = {0};
	struct log_end full = *end;
	int rc;

	if (log_commit(w, stream, e) != 0)
		return -1;
	if (log_is_gone(w->fd, w->path))
		return err_set(e, TTD_HOST, "log %s: %s", w->path, log_limit_text(LOG_GONE));
	w->stream = stream;
	w->last_icount = end->icount;
	w->last_brctr = end->brctr;
	memcpy(full.count, w->count, sizeof full.count);
	end_write(&b, &full);
	rc = put_plain(w, CHUNK_END, &b, e);
	if (rc == 0) {
		b.len = 0;
		index_write(&w->index, w->end, &b);
		rc = put_plain(w, CHUNK_INDEX, &b, e);
	}
	wbuf_free(&b);
	return rc;
}

void log_set_limit(struct log_writer *w, uint64_t bytes)
{
	w->limit = bytes;
}

enum log_limit log_look(struct log_writer *w)
{
	uint64_t now = clock_ms(), room = 0;
	enum log_limit why = LOG_NO_LIMIT;

	if (w->told)
		return LOG_NO_LIMIT;
	if (w->limit != 0 && w->end >= w->limit) {
		why = LOG_BIG;
	} else if (now - w->looked_ms >= LOOK_MS || w->end >= w->look_end) {
		w->looked_ms = now;
		why = log_room(w->fd, w->path, w->limit != LOG_UNLIMITED, &room);
		w->look_end = w->end + room / 4;
	}
	w->told = why != LOG_NO_LIMIT;
	return why;
}

void log_writer_close(struct log_writer *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0)
		close(w->fd);
	encode_free(&w->enc);
	wbuf_free(&w->payload);
	wbuf_free(&w->out);
	ZSTD_freeCCtx(w->zstd);
	index_free(&w->index);
	free(w);
}

void log_writer_stats(const struct log_writer *w, struct log_writer_stats *s)
{
	*s = w->stats;
}

void log_writer_counts(const struct log_writer *w, uint64_t *inputs, uint64_t *witnesses,
	uint64_t *digests)
{
	*inputs = w->count[LOG_INPUT];
	*digests = w->count[LOG_DIGEST];
	*witnesses = log_witnesses(w->count);
}
