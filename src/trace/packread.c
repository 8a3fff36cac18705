/*
 * packread.c - reads a packed trace; see pack.h.
 *
 * Packs come from strangers.  The index is checked as a whole when the pack is
 * opened: afterwards every run lies in the store and every chunk in the file.
 * Memory is bounded by the index and one chunk, the disk by what the runs add
 * up to, which is known before anything is written.
 */
#include "trace/pack.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>
#include <zstd.h>

#include "util/bytes.h"
#include "util/checked.h"
#include "util/fullio.h"
#include "util/interrupt.h"
#include "util/names.h"
#include "util/varint.h"
#include "util/xxh.h"

struct pack {
	char path[4096], trace[PACK_NAME + 1];
	int fd;
	uint8_t id[PACK_ID];
	uint64_t size, tag, stored, work;
	uint64_t nblocks;
	uint64_t *offset; /* of each chunk; one more: where they end */
	uint32_t nchunks;
	struct pack_file file[PACK_FILES];
	unsigned nfiles;
	/* the chunk that was decoded last */
	uint64_t have; /* its number plus 1; 0: none */
	uint8_t *chunk, *packed;
	ZSTD_DCtx *zstd;
};

bool pack_name_ok(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+-~";
	size_t n = strlen(s);

	return n > 0 && n <= PACK_NAME && *s != '.' && *s != '~' && strspn(s, allowed) == n;
}

/* LOG.checkpoints, DISK.base and so on: doc/spec/pack.md. */
bool pack_name_fits(enum pack_kind kind, const char *s)
{
	static const char disk[] = "abcdefghijklmnopqrstuvwxyz0123456789";
	static const char points[] = ".checkpoints";
	size_t n = strlen(s), prefix = strlen(PACK_LOG_PREFIX), m = strlen(points);
	bool log = pack_name_ok(s) && n > prefix && strncmp(s, PACK_LOG_PREFIX, prefix) == 0;

	switch (kind) {
	case PACK_LOG:
		return log && strstr(s, ".replay.") == NULL && strstr(s, points) == NULL &&
			(n < 8 || strcmp(s + n - 8, ".overlay") != 0);
	case PACK_CHECKPOINTS:
		return log && n > prefix + m && strcmp(s + n - m, points) == 0;
	case PACK_KERNEL: return strcmp(s, "kernel") == 0;
	case PACK_RAMDISK: return strcmp(s, "ramdisk") == 0;
	case PACK_CONSOLE: return strcmp(s, "console.txt") == 0;
	case PACK_BASE:
		m = strspn(s, disk);
		return m > 0 && m < 16 && strcmp(s + m, PACK_BASE_SUFFIX) == 0;
	default: return false;
	}
}

static int damaged(const struct pack *p, const char *what, struct ttd_error *e)
{
	return err_set(e, TTD_DAMAGED, "%s: %s", p->path, what);
}

static int get(const struct pack *p, uint64_t at, void *to, size_t n, struct ttd_error *e)
{
	int error;

	if (!range_ok(at, n, p->size))
		return damaged(p, "cut short", e);
	error = pread_full(p->fd, to, n, at);
	return error == 0 ? 0 : err_set(e, TTD_HOST, "cannot read %s: %s", p->path,
		error == EIO ? "it became shorter, or its disk fails" : strerror(error));
}

bool pack_is(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	char magic[8];
	bool is = fd >= 0 && pread(fd, magic, sizeof magic, 0) == (ssize_t)sizeof magic &&
		memcmp(magic, PACK_MAGIC, sizeof magic) == 0;

	if (fd >= 0)
		close(fd);
	return is;
}

/* ---- the index ---- */

static bool get_string(struct rbuf *r, size_t n, char out[PACK_NAME + 1])
{
	if (n > PACK_NAME || n > r->len - r->pos)
		return false;
	rbuf_get(r, out, n);
	out[n] = '\0';
	return !r->bad && strlen(out) == n;
}

static bool get_run(const struct pack *p, struct rbuf *r, const struct pack_file *f,
	struct pack_run *run)
{
	uint64_t kind = rbuf_u8(r);

	run->count = rbuf_v(r);
	run->start = kind == RUN_STORED ? rbuf_v(r) : 0;
	run->kind = (enum pack_run_kind)kind;
	return !r->bad && kind < RUN_KINDS && run->count > 0 &&
		(kind != RUN_ABSENT || f->kind == PACK_BASE) &&
		(kind != RUN_STORED || range_ok(run->start, run->count, p->nblocks));
}

static bool get_runs(struct pack *p, struct rbuf *r, struct pack_file *f)
{
	uint64_t blocks = f->size / PACK_BLOCK + (f->size % PACK_BLOCK != 0), have = 0, bytes;

	f->nruns = rbuf_u32(r);
	/* Each takes two bytes at least. */
	if (r->bad || f->nruns > (r->len - r->pos) / 2)
		return false;
	f->run = calloc(f->nruns + (size_t)1, sizeof *f->run);
	if (f->run == NULL)
		return false;
	for (uint32_t i = 0; i < f->nruns; i++) {
		f->run[i].at = have;
		if (!get_run(p, r, f, &f->run[i]) || !add_u64(have, f->run[i].count, &have) ||
			have > blocks)
			return false;
		if (f->run[i].kind != RUN_STORED)
			continue;
		if (!mul_u64(f->run[i].count, PACK_BLOCK, &bytes) ||
			!add_u64(f->stored, bytes, &f->stored))
			return false;
	}
	if (f->kind == PACK_BASE && !add_u64(p->work, f->stored, &p->work))
		return false;
	return have == blocks && add_u64(p->stored, f->stored, &p->stored);
}

static bool get_file(struct pack *p, struct rbuf *r)
{
	struct pack_file *f = &p->file[p->nfiles];
	uint8_t kind;

	p->nfiles++;
	if (!get_string(r, rbuf_u8(r), f->name) || !pack_name_ok(f->name))
		return false;
	for (unsigned i = 0; i + 1 < p->nfiles; i++)
		if (strcmp(p->file[i].name, f->name) == 0)
			return false;
	kind = rbuf_u8(r);
	f->kind = (enum pack_kind)kind;
	if (!pack_name_fits(f->kind, f->name))
		return false;
	f->size = rbuf_u64(r);
	f->mtime = rbuf_u64(r);
	rbuf_get(r, f->digest, sizeof f->digest);
	if (kind != PACK_BASE && !add_u64(p->work, f->size, &p->work))
		return false;
	return !r->bad && kind >= PACK_LOG && kind < PACK_KINDS &&
		f->size <= (kind == PACK_BASE ? INT64_MAX : PACK_PLAIN_MAX) &&
		get_runs(p, r, f);
}

static bool get_chunks(struct pack *p, struct rbuf *r, uint64_t end)
{
	uint64_t at = PACK_HEADER;

	p->nblocks = rbuf_u64(r);
	p->nchunks = rbuf_u32(r);
	if (r->bad || p->nchunks > r->len - r->pos || p->nblocks > UINT64_MAX / PACK_BLOCK ||
		p->nblocks / PACK_CHUNK_BLOCKS + (p->nblocks % PACK_CHUNK_BLOCKS != 0) !=
		p->nchunks)
		return false;
	p->offset = calloc(p->nchunks + (size_t)1, sizeof *p->offset);
	if (p->offset == NULL)
		return false;
	for (uint32_t i = 0; i < p->nchunks; i++) {
		uint64_t n = rbuf_v(r);

		p->offset[i] = at;
		if (n <= PACK_CHUNK_HEADER || n > PACK_CHUNK_HEADER + PACK_CHUNK ||
			!add_u64(at, n, &at))
			return false;
	}
	p->offset[p->nchunks] = at;
	return at == end;
}

static int parse_index(struct pack *p, struct rbuf *r, uint64_t end, struct ttd_error *e)
{
	char version[PACK_NAME + 1];
	uint32_t n;

	if (!get_string(r, rbuf_u16(r), p->trace) || !pack_name_ok(p->trace) ||
		!get_string(r, rbuf_u16(r), version) || !get_chunks(p, r, end))
		return damaged(p, "its index makes no sense", e);
	n = rbuf_u32(r);
	if (r->bad || n > PACK_FILES)
		return damaged(p, "its index makes no sense", e);
	while (p->nfiles < n)
		if (!get_file(p, r))
			return damaged(p, "its table of files makes no sense", e);
	return r->bad || r->pos != r->len ? damaged(p, "its index makes no sense", e) : 0;
}

static uint64_t digest(const struct pack *p, const void *a, size_t an, const void *b, size_t bn)
{
	XXH3_state_t s;

	XXH3_64bits_reset(&s);
	XXH3_64bits_update(&s, a, an);
	XXH3_64bits_update(&s, p->id, PACK_ID);
	if (bn > 0)
		XXH3_64bits_update(&s, b, bn);
	return XXH3_64bits_digest(&s);
}

static int read_index(struct pack *p, const uint8_t f[PACK_FOOTER], struct ttd_error *e)
{
	uint64_t at = get64(f);
	size_t n = get32(f + 8), raw = get32(f + 12);
	uint8_t *in = NULL, *out = NULL;
	struct rbuf r = {0};
	int rc = -1;

	if (raw > PACK_INDEX_MAX || n > p->size || at + n != p->size - PACK_FOOTER)
		return damaged(p, "its footer makes no sense", e);
	in = malloc(n + 1);
	out = malloc(raw + 1);
	if (in == NULL || out == NULL) {
		err_set(e, TTD_HOST, "out of memory");
	} else if (get(p, at, in, n, e) == 0) {
		if (digest(p, "", 0, in, n) != get64(f + 16) ||
			ZSTD_decompressDCtx(p->zstd, out, raw, in, n) != raw) {
			damaged(p, "its index does not match its checksum", e);
		} else {
			r = (struct rbuf){.p = out, .len = raw};
			rc = parse_index(p, &r, at, e);
		}
	}
	free(in);
	free(out);
	return rc;
}

static int read_ends(struct pack *p, struct ttd_error *e)
{
	uint8_t h[PACK_HEADER], f[PACK_FOOTER];
	struct stat st;

	if (fstat(p->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, TTD_HOST, "%s: not a file", p->path);
	p->size = (uint64_t)st.st_size;
	if (p->size < PACK_HEADER + PACK_FOOTER)
		return damaged(p, "cut short", e);
	if (get(p, 0, h, sizeof h, e) != 0 || get(p, p->size - sizeof f, f, sizeof f, e) != 0)
		return -1;
	if (memcmp(h, PACK_MAGIC, 8) != 0)
		return damaged(p, "not a packed trace", e);
	if (get64(h + 56) != XXH3_64bits(h, 56))
		return damaged(p, "its header does not match its checksum", e);
	if (get16(h + 8) != 1 || get16(h + 10) != PACK_HEADER || get32(h + 12) != PACK_BLOCK)
		return err_set(e, TTD_HOST, "%s: packed by another version of ttd", p->path);
	memcpy(p->id, h + 16, PACK_ID);
	if (memcmp(f + 32, PACK_END, 8) != 0)
		return damaged(p, "cut short: its index is missing; copy it again", e);
	if (digest(p, f, 24, NULL, 0) != get64(f + 24))
		return damaged(p, "its footer does not match its checksum", e);
	p->tag = digest(p, h, sizeof h, f, sizeof f);
	return read_index(p, f, e);
}

struct pack *pack_open(const char *path, struct ttd_error *e)
{
	struct pack *p = calloc(1, sizeof *p);

	if (p == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	snprintf(p->path, sizeof p->path, "%s", path);
	p->chunk = malloc(PACK_CHUNK);
	p->packed = malloc(PACK_CHUNK);
	p->zstd = ZSTD_createDCtx();
	p->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (p->fd < 0)
		err_set(e, TTD_HOST, "%s: %s", path, strerror(errno));
	else if (p->chunk == NULL || p->packed == NULL || p->zstd == NULL)
		err_set(e, TTD_HOST, "out of memory");
	else if (read_ends(p, e) == 0)
		return p;
	pack_close(p);
	return NULL;
}

void pack_close(struct pack *p)
{
	if (p == NULL)
		return;
	if (p->fd >= 0)
		close(p->fd);
	for (unsigned i = 0; i < p->nfiles; i++)
		free(p->file[i].run);
	free(p->offset);
	free(p->chunk);
	free(p->packed);
	ZSTD_freeDCtx(p->zstd);
	free(p);
}

const char *pack_trace(const struct pack *p) { return p->trace; }
unsigned pack_count(const struct pack *p) { return p->nfiles; }
const struct pack_file *pack_file(const struct pack *p, unsigned i) { return &p->file[i]; }
uint64_t pack_stored(const struct pack *p) { return p->stored; }
uint64_t pack_work(const struct pack *p) { return p->work; }
uint64_t pack_tag(const struct pack *p) { return p->tag; }

/* ---- the store ---- */

static int chunk_damaged(const struct pack *p, uint64_t n, struct ttd_error *e)
{
	return err_set(e, TTD_DAMAGED, "%s: damaged at offset %llu; copy it again", p->path,
		(unsigned long long)p->offset[n]);
}

static int load_chunk(struct pack *p, uint64_t n, struct ttd_error *e)
{
	uint64_t blocks = p->nblocks - n * PACK_CHUNK_BLOCKS;
	size_t raw = (size_t)(blocks < PACK_CHUNK_BLOCKS ? blocks : PACK_CHUNK_BLOCKS) * PACK_BLOCK;
	size_t stored = (size_t)(p->offset[n + 1] - p->offset[n]) - PACK_CHUNK_HEADER;
	uint8_t h[PACK_CHUNK_HEADER];

	if (p->have == n + 1)
		return 0;
	p->have = 0;
	if (get(p, p->offset[n], h, sizeof h, e) != 0 ||
		get(p, p->offset[n] + sizeof h, p->packed, stored, e) != 0)
		return -1;
	if (get32(h) != PACK_CHUNK_MAGIC || get32(h + 8) != n || get32(h + 12) != raw ||
		get32(h + 16) != stored || h[4] > 1 || (h[4] == 0 && stored != raw) ||
		get64(h + 24) != digest(p, h, 24, p->packed, stored))
		return chunk_damaged(p, n, e);
	if (h[4] == 0)
		memcpy(p->chunk, p->packed, raw);
	else if (ZSTD_decompressDCtx(p->zstd, p->chunk, raw, p->packed, stored) != raw)
		return chunk_damaged(p, n, e);
	p->have = n + 1;
	return 0;
}

struct extract {
	struct pack *p;
	const struct pack_file *f;
	pack_put_fn *put;
	void *ctx;
	uint64_t at; /* in the file */
	XXH3_state_t digest;
};

/* Bytes of blocks, without what is after the file's end. */
static int emit(struct extract *x, const uint8_t *b, size_t n, bool zeros, struct ttd_error *e)
{
	int error;

	if (n > x->f->size - x->at)
		n = (size_t)(x->f->size - x->at);
	if (x->f->kind != PACK_BASE)
		XXH3_128bits_update(&x->digest, b, n);
	error = zeros ? 0 : x->put(x->ctx, x->at, b, n);
	x->at += n;
	return error == 0 ? 0 : err_set(e, TTD_HOST, "cannot write %s: %s", x->f->name,
		strerror(error));
}

static int emit_run(struct extract *x, const struct pack_run *run, struct ttd_error *e)
{
	static const uint8_t zeros[1 << 16];
	uint64_t left = run->count, block = run->start;

	/* Nobody checks or wants the zeros of a base: they may be terabytes. */
	if (run->kind == RUN_ABSENT || (run->kind == RUN_ZEROS && x->f->kind == PACK_BASE)) {
		uint64_t bytes = left * PACK_BLOCK, rest = x->f->size - x->at;

		x->at += bytes < rest ? bytes : rest;
		return 0;
	}
	while (left > 0) {
		uint64_t n = left, first = block % PACK_CHUNK_BLOCKS;
		const uint8_t *b = zeros;

		if (interrupt_pending())
			return err_set(e, TTD_HOST, "%s: interrupted while it was unpacked", x->p->path);
		if (run->kind == RUN_STORED) {
			if (n > PACK_CHUNK_BLOCKS - first)
				n = PACK_CHUNK_BLOCKS - first;
			if (load_chunk(x->p, block / PACK_CHUNK_BLOCKS, e) != 0)
				return -1;
			b = x->p->chunk + first * PACK_BLOCK;
		} else if (n > sizeof zeros / PACK_BLOCK) {
			n = sizeof zeros / PACK_BLOCK;
		}
		if (emit(x, b, (size_t)n * PACK_BLOCK, run->kind == RUN_ZEROS, e) != 0)
			return -1;
		left -= n;
		block += n;
	}
	return 0;
}

int pack_extract(struct pack *p, unsigned i, pack_put_fn *put, void *ctx, struct ttd_error *e)
{
	const struct pack_file *f = &p->file[i];
	struct extract x = {.p = p, .f = f, .put = put, .ctx = ctx};
	XXH128_canonical_t c;

	XXH3_128bits_reset(&x.digest);
	for (uint32_t k = 0; k < f->nruns; k++)
		if (emit_run(&x, &f->run[k], e) != 0)
			return -1;
	if (f->kind == PACK_BASE)
		return 0;
	XXH128_canonicalFromHash(&c, XXH3_128bits_digest(&x.digest));
	if (memcmp(c.digest, f->digest, sizeof f->digest) != 0)
		return err_set(e, TTD_DAMAGED, "%s: %s does not match its checksum; copy it again",
			p->path, f->name);
	return 0;
}

/* The run that has the block; there is one, for those of a file cover it. */
static uint32_t run_at(const struct pack_file *f, uint64_t block)
{
	uint32_t lo = 0, hi = f->nruns;

	while (hi - lo > 1) {
		uint32_t mid = lo + (hi - lo) / 2;

		if (f->run[mid].at <= block)
			lo = mid;
		else
			hi = mid;
	}
	return lo;
}

int pack_read(struct pack *p, unsigned i, uint64_t offset, void *to, size_t n,
	struct ttd_error *e)
{
	const struct pack_file *f = &p->file[i];
	uint8_t *out = to;

	if (!range_ok(offset, n, f->size))
		return err_set(e, TTD_DAMAGED, "%s: %s is too short", p->path, f->name);
	for (uint32_t k = n > 0 ? run_at(f, offset / PACK_BLOCK) : 0; n > 0; k++) {
		const struct pack_run *run = &f->run[k];

		if (interrupt_pending())
			return err_set(e, TTD_HOST, "%s: interrupted while it was read", p->path);
		while (n > 0 && offset / PACK_BLOCK < run->at + run->count) {
			uint64_t block = run->start + (offset / PACK_BLOCK - run->at);
			size_t at = (size_t)(offset % PACK_BLOCK), part = PACK_BLOCK - at;

			if (part > n)
				part = n;
			if (run->kind != RUN_STORED)
				memset(out, 0, part);
			else if (load_chunk(p, block / PACK_CHUNK_BLOCKS, e) != 0)
				return -1;
			else
				memcpy(out, p->chunk + block % PACK_CHUNK_BLOCKS * PACK_BLOCK + at, part);
			out += part;
			offset += part;
			n -= part;
		}
	}
	return 0;
}

/* ---- into a folder ---- */

static int put_fd(void *ctx, uint64_t offset, const void *b, size_t n)
{
	return pwrite_full(*(int *)ctx, b, n, offset);
}

static void name_in(char path[PATH_MAX], const char *dir, const struct pack_file *f)
{
	if (snprintf(path, PATH_MAX, "%s/%s", dir, f->name) >= PATH_MAX)
		path[0] = '\0'; /* which nothing can be called */
}

static int unpack_file(struct pack *p, unsigned i, const char *dir, struct ttd_error *e)
{
	const struct pack_file *f = &p->file[i];
	struct timespec t[2];
	char path[PATH_MAX];
	int fd, rc;

	name_in(path, dir, f);
	fd = names_open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC);

	if (fd < 0 || ftruncate(fd, (off_t)f->size) != 0) {
		rc = err_set(e, TTD_HOST, "cannot write %s: %s", f->name, strerror(errno));
	} else {
		rc = pack_extract(p, i, put_fd, &fd, e);
		t[0] = t[1] = (struct timespec){.tv_sec = (time_t)(f->mtime / 1000000000),
			.tv_nsec = (long)(f->mtime % 1000000000)};
		/* A base is known by it. */
		if (rc == 0 && f->mtime != 0 && futimens(fd, t) != 0)
			rc = err_set(e, TTD_HOST, "cannot set the time of %s: %s", f->name,
				strerror(errno));
	}
	if (fd >= 0 && close(fd) != 0 && rc == 0)
		rc = err_set(e, TTD_HOST, "cannot write %s: %s", f->name, strerror(errno));
	return rc;
}

static int enough_room(const struct pack *p, const char *path, struct ttd_error *e)
{
	struct statvfs v;
	uint64_t have;

	if (statvfs(path, &v) != 0 || !mul_u64(v.f_bavail, v.f_frsize, &have) || have >= p->stored)
		return 0;
	return err_set(e, TTD_HOST, "unpacking %s takes %llu MB; there are %llu MB in %s", p->path,
		(unsigned long long)(p->stored >> 20), (unsigned long long)(have >> 20), path);
}

/* A few hundred bytes can say that they are terabytes. */
static int not_too_much(const struct pack *p, uint64_t max, struct ttd_error *e)
{
	uint64_t most = PACK_UNPACKED_MAX;

	if (max != 0)
		most = max;
	else if (p->size < most / PACK_RATIO)
		most = p->size * PACK_RATIO > PACK_SMALL ? p->size * PACK_RATIO : PACK_SMALL;
	if (p->work <= most)
		return 0;
	return err_set(e, TTD_HOST,
		"%s has %llu bytes and would become %llu, more than the %llu that "
		"are made of it unasked; ttd unpack --max-size %lluM goes on", p->path,
		(unsigned long long)p->size, (unsigned long long)p->work, (unsigned long long)most,
		(unsigned long long)((p->work >> 20) + 1));
}

int pack_unpack(struct pack *p, const char *path, uint64_t max, struct ttd_error *e)
{
	char file[PATH_MAX];
	int rc;

	if (not_too_much(p, max, e) != 0)
		return -1;
	if (names_folder(path) != 0)
		return err_set(e, TTD_HOST, "cannot create the folder %s: %s", path,
			errno == EEXIST ? "it exists already" : strerror(errno));
	rc = enough_room(p, path, e);
	for (unsigned i = 0; rc == 0 && i < p->nfiles; i++)
		rc = unpack_file(p, i, path, e);
	for (unsigned i = 0; rc != 0 && i < p->nfiles; i++) {
		name_in(file, path, &p->file[i]);
		names_remove(file);
	}
	if (rc != 0)
		names_rmdir(path);
	return rc;
}
