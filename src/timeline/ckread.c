/*
 * ckread.c - reading a checkpoint file; see ckread.h.
 *
 * Opening it hops from chunk header to chunk header and takes the index of the
 * pages along.  Nothing is believed: page numbers count up from chunk to chunk
 * (a damaged chunk leaves a gap), and there cannot be more of them than bytes
 * of index in the file.
 */
#include "timeline/ckread.h"
#include "util/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lz4.h>
#include <zstd.h>

#include "util/fullio.h"
#include "util/interrupt.h"
#include "util/regular.h"

struct stored {
	uint64_t at;
	uint16_t len; /* 0: damaged */
	struct ck_hash hash;
};

struct point {
	struct ck_chunk c;
	uint64_t at;    /* of its meta in the file */
	uint32_t pages; /* there were this many before it */
};

struct ckread {
	int fd;
	uint64_t size, skipped;
	struct ck_id id;
	struct stored *page; /* by number */
	uint32_t npages, cap;
	struct point *point;
	size_t n, point_cap;
	ZSTD_DCtx *z;
	uint64_t metas; /* bytes of metas that were read to see whether they check */
	uint64_t window_at;
	size_t window_n; /* what the window has of the file, for resync() */
	uint8_t window[1 << 16];
};

/* The stored meta, checked.  NULL: damaged, or no memory. */
static uint8_t *read_meta(const struct ckread *f, const struct ck_chunk *c, uint64_t at)
{
	uint8_t *p = malloc((size_t)c->meta + 1);

	if (p != NULL && pread_full(f->fd, p, c->meta, at) == 0 && ck_digest(p, c->meta) == c->digest)
		return p;
	free(p);
	return NULL;
}

static int grow_pages(struct ckread *f, uint32_t n)
{
	uint32_t cap = f->cap != 0 ? f->cap : 4096;
	struct stored *page;

	while (cap < n)
		cap *= 2;
	if (cap == f->cap)
		return 0;
	page = realloc(f->page, cap * sizeof *page);
	if (page == NULL)
		return -1;
	memset(page + f->cap, 0, (cap - f->cap) * sizeof *page);
	f->page = page;
	f->cap = cap;
	return 0;
}

/* false: damaged. */
static bool take_pages(struct ckread *f, const struct ck_chunk *c, uint64_t at)
{
	uint64_t data = at + c->meta, end = data + c->data;
	uint8_t *meta;

	if (c->meta != (uint64_t)c->count * CK_INDEX || c->first < f->npages ||
		c->first < CK_FIRST || (uint64_t)c->first + c->count > CK_FIRST + f->size / CK_INDEX ||
		(uint64_t)c->first + c->count > CK_MAX)
		return false;
	f->metas += c->meta;
	if ((meta = read_meta(f, c, at)) == NULL)
		return false;
	if (grow_pages(f, c->first + c->count) != 0) {
		free(meta);
		return false;
	}
	for (uint32_t i = 0; i < c->count; i++) {
		struct stored *s = &f->page[c->first + i];

		s->len = get16(meta + i * CK_INDEX);
		memcpy(s->hash.b, meta + i * CK_INDEX + 2, sizeof s->hash.b);
		s->at = data;
		if (s->len > PAGE_SIZE || s->len > end - data)
			s->len = 0;
		data += s->len;
	}
	f->npages = c->first + c->count;
	free(meta);
	return true;
}

static bool take_point(struct ckread *f, const struct ck_chunk *c, uint64_t at)
{
	if (c->data != 0 || (f->n > 0 && f->point[f->n - 1].c.icount >= c->icount))
		return false;
	if (f->n == f->point_cap) {
		size_t cap = f->point_cap != 0 ? 2 * f->point_cap : 64;
		struct point *p = realloc(f->point, cap * sizeof *p);

		if (p == NULL)
			return false;
		f->point = p;
		f->point_cap = cap;
	}
	f->point[f->n++] = (struct point){ .c = *c, .at = at, .pages = f->npages };
	return true;
}

/* The window from `at` on; where it does not reach it is read anew. */
static const uint8_t *look_at(struct ckread *f, uint64_t at, size_t *n)
{
	if (at < f->window_at || at + CK_CHUNK > f->window_at + f->window_n) {
		*n = f->size - at < sizeof f->window ? (size_t)(f->size - at) : sizeof f->window;
		f->window_at = at;
		f->window_n = pread_full(f->fd, f->window, *n, at) == 0 ? *n : 0;
	}
	*n = (size_t)(f->window_at + f->window_n - at);
	return f->window_n != 0 ? f->window + (at - f->window_at) : NULL;
}

/* The next place from `at` on where a chunk's header checks; the file's size: none. */
static uint64_t resync(struct ckread *f, uint64_t at)
{
	struct ck_chunk c;

	while (at + CK_CHUNK <= f->size) {
		size_t n;
		const uint8_t *p = look_at(f, at, &n);

		if (p == NULL)
			break;
		for (size_t i = 0; i + CK_CHUNK <= n; i++)
			if (p[i] == 'T' && ck_chunk_read(p + i, &f->id, &c))
				return at + i;
		at += n - (CK_CHUNK - 1);
	}
	return f->size;
}

/* Chunks that lie in each other and do not check would be read again and again. */
static bool too_much(const struct ckread *f)
{
	return f->metas > 2 * f->size;
}

static void scan(struct ckread *f)
{
	uint64_t at = CK_HEADER;
	uint8_t header[CK_CHUNK];
	struct ck_chunk c;

	while (at + CK_CHUNK <= f->size && !too_much(f) && !interrupt_pending()) {
		bool good = false;
		uint64_t left = f->size - at - CK_CHUNK;

		if (pread_full(f->fd, header, sizeof header, at) == 0 &&
			ck_chunk_read(header, &f->id, &c) && c.meta <= left && c.data <= left - c.meta)
			good = c.kind == CK_PAGES ? take_pages(f, &c, at + CK_CHUNK)
				: c.kind == CK_CHECKPOINT && take_point(f, &c, at + CK_CHUNK);
		if (good) {
			at += CK_CHUNK + c.meta + c.data;
			continue;
		}
		at = resync(f, at + 1);
		f->skipped += at < f->size; /* else it is a torn tail */
	}
}

static int check(struct ckread *f, const char *path, const struct ck_id *want,
	struct ttd_error *e)
{
	uint8_t header[CK_HEADER];
	const char *what;
	struct stat st;

	if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, TTD_HOST, "checkpoints %s: not a file", path);
	f->size = (uint64_t)st.st_size;
	if (f->size < CK_HEADER || pread_full(f->fd, header, sizeof header, 0) != 0)
		return err_set(e, TTD_DAMAGED, "checkpoints %s: too short", path);
	what = ck_header_read(header, &f->id);
	if (what != NULL)
		return err_set(e, TTD_DAMAGED, "checkpoints %s: %s", path, what);
	if (memcmp(f->id.run_id, want->run_id, RUN_ID) != 0 || f->id.engine != want->engine ||
		f->id.abi != want->abi || f->id.frames != want->frames)
		return err_set(e, TTD_DAMAGED, "checkpoints %s: they are of another recording, or "
			"made by another version of ttd", path);
	return 0;
}

struct ckread *ckread_open(const char *path, const struct ck_id *want, struct ttd_error *e)
{
	struct ckread *f = calloc(1, sizeof *f);

	if (f == NULL || (f->z = ZSTD_createDCtx()) == NULL) {
		free(f);
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	f->npages = CK_FIRST;
	f->fd = regular_open(path, REGULAR_NOFOLLOW, NULL);
	if (f->fd < 0) {
		err_set(e, TTD_HOST, "checkpoints %s: %s", path, strerror(errno));
		ckread_close(f);
		return NULL;
	}
	if (check(f, path, want, e) != 0) {
		ckread_close(f);
		return NULL;
	}
	scan(f);
	return f;
}

void ckread_close(struct ckread *f)
{
	if (f == NULL)
		return;
	if (f->fd >= 0)
		close(f->fd);
	ZSTD_freeDCtx(f->z);
	free(f->page);
	free(f->point);
	free(f);
}

size_t ckread_count(const struct ckread *f)
{
	return f->n;
}

const struct ck_chunk *ckread_at(const struct ckread *f, size_t i)
{
	return &f->point[i].c;
}

uint64_t ckread_skipped(const struct ckread *f)
{
	return f->skipped;
}

uint32_t ckread_pages(const struct ckread *f)
{
	return f->npages;
}

int ckread_load(struct ckread *f, size_t i, struct ck_meta *m, struct wbuf *raw,
	struct ttd_error *e)
{
	const struct point *p = &f->point[i];
	uint8_t *meta = read_meta(f, &p->c, p->at), *out = malloc((size_t)p->c.raw + 1);
	struct rbuf r = { .p = out, .len = p->c.raw };
	bool no_memory = out == NULL;
	int rc = -1;

	*raw = (struct wbuf){ .p = out, .len = p->c.raw, .cap = (size_t)p->c.raw + 1 };
	if (meta != NULL && out != NULL &&
		ZSTD_decompressDCtx(f->z, out, p->c.raw, meta, p->c.meta) == p->c.raw)
		rc = ck_meta_read(&r, m, f->id.frames, p->pages);
	free(meta);
	if (rc == 0)
		return 0;
	wbuf_free(raw);
	if (no_memory)
		return err_set(e, TTD_HOST, "no memory for the checkpoint at instruction %llu",
			(unsigned long long)p->c.icount);
	return err_set(e, TTD_DAMAGED, "the checkpoint at instruction %llu is damaged",
		(unsigned long long)p->c.icount);
}

static int bad_page(uint32_t page, struct ttd_error *e)
{
	return err_set(e, TTD_DAMAGED, "page %u of the checkpoints is damaged", page);
}

int ckread_page(struct ckread *f, uint32_t page, uint8_t *to, struct ttd_error *e)
{
	uint8_t buf[PAGE_SIZE];
	const struct stored *s;
	struct ck_hash h;

	if (page == CK_ZERO) {
		memset(to, 0, PAGE_SIZE);
		return 0;
	}
	if (page < CK_FIRST || page >= f->npages || f->page[page].len == 0)
		return bad_page(page, e);
	s = &f->page[page];
	if (pread_full(f->fd, s->len == PAGE_SIZE ? to : buf, s->len, s->at) != 0 ||
		(s->len < PAGE_SIZE &&
		LZ4_decompress_safe((const char *)buf, (char *)to, (int)s->len, PAGE_SIZE) != PAGE_SIZE))
		return bad_page(page, e);
	h = ck_page_hash(&f->id, to);
	return memcmp(h.b, s->hash.b, sizeof h.b) == 0 ? 0 : bad_page(page, e);
}

unsigned ckread_stored(const struct ckread *f, uint32_t page, uint64_t *at, struct ck_hash *hash)
{
	if (page < CK_FIRST || page >= f->npages)
		return 0;
	*at = f->page[page].at;
	*hash = f->page[page].hash;
	return f->page[page].len;
}
