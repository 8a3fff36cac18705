/*
 * packwrite.c - writes a packed trace; see pack.h.
 *
 * A table by digest finds blocks that are stored already.  The digest has a
 * seed that nobody knows beforehand, so a guest cannot make two blocks that
 * only look equal.  The file is written beside its final name, which it gets
 * when it is complete and on the disk.
 */
#include "trace/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>
#include <zstd.h>

#include "util/bytes.h"
#include "util/clock.h"
#include "util/fullio.h"
#include "util/regular.h"
#include "util/varint.h"
#include "util/xxh.h"
#include "util/zero.h"

enum { LEVEL = 6, PIECE = PACK_CHUNK };

struct slot {
	XXH128_hash_t digest;
	uint64_t block; /* plus 1; 0: free */
};

struct pack_writer {
	char path[4096], tmp[4128], trace[PACK_NAME + 1];
	bool force, done;
	int fd;
	uint64_t at;     /* where the next byte goes */
	uint8_t id[PACK_ID];
	uint64_t seed;
	ZSTD_CCtx *zstd;
	/* the store */
	struct slot *slot;
	uint64_t nslots, nblocks;
	uint8_t *chunk;  /* the one being filled */
	uint8_t *packed; /* header and what is stored */
	size_t packed_cap;
	struct wbuf lengths; /* of chunks, as in the index */
	uint32_t nchunks;
	/* the files */
	struct pack_file *file;
	unsigned nfiles;
	struct pack_file *open;
	uint64_t next;   /* block of the open one that comes next */
	XXH3_state_t *digest;
};

static int fail(const struct pack_writer *w, int error, struct ttd_error *e)
{
	return err_set(e, TTD_HOST, "cannot write %s: %s", w->path, strerror(error));
}

static int put(struct pack_writer *w, const void *p, size_t n, struct ttd_error *e)
{
	int error = write_full(w->fd, p, n);

	w->at += n;
	return error == 0 ? 0 : fail(w, error, e);
}

static void header(const struct pack_writer *w, uint8_t h[PACK_HEADER])
{
	memset(h, 0, PACK_HEADER);
	memcpy(h, PACK_MAGIC, 8);
	put16(h + 8, 1);
	put16(h + 10, PACK_HEADER);
	put32(h + 12, PACK_BLOCK);
	memcpy(h + 16, w->id, PACK_ID);
	put64(h + 32, clock_ns(CLOCK_REALTIME));
	put64(h + 56, XXH3_64bits(h, 56));
}

static int start(struct pack_writer *w, struct ttd_error *e)
{
	uint8_t h[PACK_HEADER];

	w->zstd = ZSTD_createCCtx();
	w->nslots = 1 << 12;
	w->slot = calloc(w->nslots, sizeof *w->slot);
	w->chunk = malloc(PACK_CHUNK);
	w->packed_cap = PACK_CHUNK_HEADER + ZSTD_compressBound(PACK_CHUNK);
	w->packed = malloc(w->packed_cap);
	w->file = calloc(PACK_FILES, sizeof *w->file);
	w->digest = XXH3_createState();
	if (w->zstd == NULL || w->slot == NULL || w->chunk == NULL || w->packed == NULL ||
		w->file == NULL || w->digest == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	ZSTD_CCtx_setParameter(w->zstd, ZSTD_c_compressionLevel, LEVEL);
	if (getrandom(w->id, sizeof w->id, 0) != sizeof w->id ||
		getrandom(&w->seed, sizeof w->seed, 0) != sizeof w->seed)
		return err_set(e, TTD_HOST, "no random numbers: %s", strerror(errno));
	w->fd = open(w->tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (w->fd < 0)
		return fail(w, errno, e);
	header(w, h);
	return put(w, h, sizeof h, e);
}

struct pack_writer *pack_create(const char *path, const char *trace, bool force,
	struct ttd_error *e)
{
	struct pack_writer *w;

	if (!force && access(path, F_OK) == 0) {
		err_set(e, TTD_USAGE, "%s exists already; give another name or --force", path);
		return NULL;
	}
	w = calloc(1, sizeof *w);
	if (w == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	w->fd = -1;
	w->force = force;
	snprintf(w->trace, sizeof w->trace, "%s", trace);
	if ((size_t)snprintf(w->path, sizeof w->path, "%s", path) >= sizeof w->path)
		err_set(e, TTD_USAGE, "the path %.60s... is too long", path);
	else if (snprintf(w->tmp, sizeof w->tmp, "%s.%d.part", path, (int)getpid()) > 0 &&
		start(w, e) == 0)
		return w;
	pack_writer_free(w);
	return NULL;
}

/* ---- the store ---- */

static int flush_chunk(struct pack_writer *w, struct ttd_error *e)
{
	size_t raw = (size_t)(w->nblocks - (uint64_t)w->nchunks * PACK_CHUNK_BLOCKS) * PACK_BLOCK;
	uint8_t *h = w->packed;
	size_t stored;
	XXH3_state_t s;

	if (raw == 0)
		return 0;
	memset(h, 0, PACK_CHUNK_HEADER);
	stored = ZSTD_compress2(w->zstd, h + PACK_CHUNK_HEADER, w->packed_cap - PACK_CHUNK_HEADER,
		w->chunk, raw);
	h[4] = 1;
	if (ZSTD_isError(stored) || stored >= raw) {
		memcpy(h + PACK_CHUNK_HEADER, w->chunk, raw);
		stored = raw;
		h[4] = 0;
	}
	put32(h, PACK_CHUNK_MAGIC);
	put32(h + 8, w->nchunks++);
	put32(h + 12, (uint32_t)raw);
	put32(h + 16, (uint32_t)stored);
	XXH3_64bits_reset(&s);
	XXH3_64bits_update(&s, h, 24);
	XXH3_64bits_update(&s, w->id, PACK_ID);
	XXH3_64bits_update(&s, h + PACK_CHUNK_HEADER, stored);
	put64(h + 24, XXH3_64bits_digest(&s));
	wbuf_v(&w->lengths, PACK_CHUNK_HEADER + stored);
	return put(w, h, PACK_CHUNK_HEADER + stored, e);
}

static struct slot *find(struct slot *table, uint64_t n, XXH128_hash_t d)
{
	uint64_t i = d.low64 & (n - 1);

	while (table[i].block != 0 && !XXH128_isEqual(table[i].digest, d))
		i = (i + 1) & (n - 1);
	return &table[i];
}

static int grow(struct pack_writer *w, struct ttd_error *e)
{
	uint64_t n = w->nslots * 2;
	struct slot *more;

	if (w->nblocks < w->nslots / 4 * 3)
		return 0;
	more = calloc(n, sizeof *more);
	if (more == NULL)
		return err_set(e, TTD_HOST, "out of memory");
	for (uint64_t i = 0; i < w->nslots; i++)
		if (w->slot[i].block != 0)
			*find(more, n, w->slot[i].digest) = w->slot[i];
	free(w->slot);
	w->slot = more;
	w->nslots = n;
	return 0;
}

/* The block's number in the store, where it is now if it was not. */
static int store(struct pack_writer *w, const uint8_t *p, uint64_t *block, struct ttd_error *e)
{
	XXH128_hash_t d = XXH3_128bits_withSeed(p, PACK_BLOCK, w->seed);
	struct slot *s;

	if (grow(w, e) != 0)
		return -1;
	s = find(w->slot, w->nslots, d);
	if (s->block == 0) {
		*s = (struct slot){.digest = d, .block = w->nblocks + 1};
		memcpy(w->chunk + w->nblocks % PACK_CHUNK_BLOCKS * PACK_BLOCK, p, PACK_BLOCK);
		w->nblocks++;
		*block = w->nblocks - 1;
		return w->nblocks % PACK_CHUNK_BLOCKS == 0 ? flush_chunk(w, e) : 0;
	}
	*block = s->block - 1;
	return 0;
}

/* ---- files ---- */

static int add_run(struct pack_file *f, enum pack_run_kind kind, uint64_t start, uint64_t count,
	struct ttd_error *e)
{
	struct pack_run *last = f->nruns > 0 ? &f->run[f->nruns - 1] : NULL;

	if (count == 0)
		return 0;
	if (last != NULL && last->kind == kind &&
		(kind != RUN_STORED || last->start + last->count == start)) {
		last->count += count;
		return 0;
	}
	if (f->nruns == f->cap) {
		uint32_t cap = f->cap != 0 ? f->cap * 2 : 16;
		struct pack_run *run = cap > f->cap ? realloc(f->run, cap * sizeof *run) : NULL;

		if (run == NULL)
			return err_set(e, TTD_HOST, "out of memory");
		f->run = run;
		f->cap = cap;
	}
	f->run[f->nruns++] = (struct pack_run){.kind = kind, .start = start, .count = count};
	return 0;
}

int pack_begin(struct pack_writer *w, const char *name, enum pack_kind kind, uint64_t size,
	uint64_t mtime, struct ttd_error *e)
{
	struct pack_file *f;

	if (!pack_name_fits(kind, name))
		return err_set(e, TTD_USAGE, "'%.100s' cannot be packed: what it is is not called so",
			name);
	for (unsigned i = 0; i < w->nfiles; i++)
		if (strcmp(w->file[i].name, name) == 0)
			return err_set(e, TTD_USAGE, "two files are called %.100s", name);
	if (kind != PACK_BASE && size > PACK_PLAIN_MAX)
		return err_set(e, TTD_HOST, "%s is too large to be packed", name);
	if (w->nfiles == PACK_FILES)
		return err_set(e, TTD_USAGE, "too many files");
	f = w->open = &w->file[w->nfiles++];
	*f = (struct pack_file){.kind = kind, .size = size, .mtime = mtime};
	strcpy(f->name, name);
	w->next = 0;
	XXH3_128bits_reset(w->digest);
	return 0;
}

int pack_piece(struct pack_writer *w, uint64_t offset, const void *p, size_t n,
	struct ttd_error *e)
{
	const uint8_t *b = p;
	uint8_t last[PACK_BLOCK];
	uint64_t block = 0;

	XXH3_128bits_update(w->digest, p, n);
	if (add_run(w->open, RUN_ABSENT, 0, offset / PACK_BLOCK - w->next, e) != 0)
		return -1;
	w->next = offset / PACK_BLOCK;
	for (; n > 0; w->next++) {
		size_t part = n < PACK_BLOCK ? n : PACK_BLOCK;
		enum pack_run_kind kind = RUN_STORED;

		if (part < PACK_BLOCK) {
			memset(last, 0, sizeof last);
			memcpy(last, b, part);
			b = last;
		}
		if (is_zero(b, PACK_BLOCK))
			kind = RUN_ZEROS;
		else if (store(w, b, &block, e) != 0)
			return -1;
		if (add_run(w->open, kind, block, 1, e) != 0)
			return -1;
		b += part;
		n -= part;
	}
	return 0;
}

int pack_end(struct pack_writer *w, struct ttd_error *e)
{
	struct pack_file *f = w->open;
	uint64_t blocks = f->size / PACK_BLOCK + (f->size % PACK_BLOCK != 0);
	XXH128_canonical_t c;

	w->open = NULL;
	if (f->kind != PACK_BASE) {
		XXH128_canonicalFromHash(&c, XXH3_128bits_digest(w->digest));
		memcpy(f->digest, c.digest, sizeof f->digest);
	}
	return add_run(f, RUN_ABSENT, 0, blocks - w->next, e);
}

int pack_add(struct pack_writer *w, const char *name, enum pack_kind kind, int fd,
	struct ttd_error *e)
{
	uint8_t *buf = malloc(PIECE);
	uint64_t at = 0;
	struct stat st;
	int rc;

	if (buf == NULL || fstat(fd, &st) != 0) {
		free(buf);
		return err_set(e, TTD_HOST, "cannot pack %s: %s", name, strerror(errno));
	}
	rc = pack_begin(w, name, kind, (uint64_t)st.st_size,
		(uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec, e);
	while (rc == 0 && at < (uint64_t)st.st_size) {
		size_t want = (uint64_t)st.st_size - at < PIECE ? (size_t)((uint64_t)st.st_size - at)
			: PIECE;
		int error = pread_full(fd, buf, want, at);

		rc = error == 0 ? pack_piece(w, at, buf, want, e)
			: err_set(e, TTD_HOST, "cannot pack %s: %s", name, error == EIO
				? "it became shorter meanwhile, or its disk fails" : strerror(error));
		at += want;
	}
	free(buf);
	return rc == 0 ? pack_end(w, e) : -1;
}

/* ---- the end ---- */

static void put_string(struct wbuf *b, const char *s)
{
	wbuf_u16(b, (uint16_t)strlen(s));
	wbuf_put(b, s, strlen(s));
}

static void put_file(struct wbuf *b, const struct pack_file *f)
{
	wbuf_u8(b, (uint8_t)strlen(f->name));
	wbuf_put(b, f->name, strlen(f->name));
	wbuf_u8(b, (uint8_t)f->kind);
	wbuf_u64(b, f->size);
	wbuf_u64(b, f->mtime);
	wbuf_put(b, f->digest, sizeof f->digest);
	wbuf_u32(b, f->nruns);
	for (uint32_t i = 0; i < f->nruns; i++) {
		wbuf_u8(b, (uint8_t)f->run[i].kind);
		wbuf_v(b, f->run[i].count);
		if (f->run[i].kind == RUN_STORED)
			wbuf_v(b, f->run[i].start);
	}
}

static void footer(const struct pack_writer *w, const void *index, size_t n, size_t raw,
	uint8_t f[PACK_FOOTER])
{
	XXH3_state_t s;

	put64(f, w->at);
	put32(f + 8, (uint32_t)n);
	put32(f + 12, (uint32_t)raw);
	XXH3_64bits_reset(&s);
	XXH3_64bits_update(&s, w->id, PACK_ID);
	XXH3_64bits_update(&s, index, n);
	put64(f + 16, XXH3_64bits_digest(&s));
	XXH3_64bits_reset(&s);
	XXH3_64bits_update(&s, f, 24);
	XXH3_64bits_update(&s, w->id, PACK_ID);
	put64(f + 24, XXH3_64bits_digest(&s));
	memcpy(f + 32, PACK_END, 8);
}

static int write_index(struct pack_writer *w, struct ttd_error *e)
{
	uint8_t f[PACK_FOOTER], *out = NULL;
	struct wbuf b = {0};
	size_t n = 0;
	int rc = -1;

	put_string(&b, w->trace);
	put_string(&b, TTD_VERSION);
	wbuf_u64(&b, w->nblocks);
	wbuf_u32(&b, w->nchunks);
	wbuf_put(&b, w->lengths.p, w->lengths.len);
	wbuf_u32(&b, w->nfiles);
	for (unsigned i = 0; i < w->nfiles; i++)
		put_file(&b, &w->file[i]);
	if (!b.bad && !w->lengths.bad && b.len <= PACK_INDEX_MAX)
		out = malloc(ZSTD_compressBound(b.len));
	if (out != NULL)
		n = ZSTD_compress2(w->zstd, out, ZSTD_compressBound(b.len), b.p, b.len);
	if (out == NULL || ZSTD_isError(n)) {
		err_set(e, TTD_HOST, "the index of %s is too large", w->path);
	} else {
		footer(w, out, n, b.len, f);
		rc = put(w, out, n, e) == 0 ? put(w, f, sizeof f, e) : -1;
	}
	wbuf_free(&b);
	free(out);
	return rc;
}

int pack_finish(struct pack_writer *w, uint64_t *bytes, struct ttd_error *e)
{
	int rc;

	if (flush_chunk(w, e) != 0 || write_index(w, e) != 0)
		return -1;
	*bytes = w->at;
	if (fsync(w->fd) != 0)
		return fail(w, errno, e);
	/* Without force it must not replace one that came meanwhile. */
	if (renameat2(AT_FDCWD, w->tmp, AT_FDCWD, w->path, w->force ? 0 : RENAME_NOREPLACE) != 0 &&
		(errno != EINVAL || rename(w->tmp, w->path) != 0))
		return fail(w, errno, e);
	w->done = true;
	rc = regular_sync_folder(w->path);
	return rc == 0 ? 0 : fail(w, rc, e);
}

void pack_writer_free(struct pack_writer *w)
{
	if (w == NULL)
		return;
	if (w->fd >= 0) {
		close(w->fd);
		if (!w->done)
			unlink(w->tmp);
	}
	for (unsigned i = 0; i < w->nfiles; i++)
		free(w->file[i].run);
	free(w->file);
	free(w->slot);
	free(w->chunk);
	free(w->packed);
	wbuf_free(&w->lengths);
	XXH3_freeState(w->digest);
	ZSTD_freeCCtx(w->zstd);
	free(w);
}
