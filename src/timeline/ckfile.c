/*
 * ckfile.c - reading a checkpoint file; see ckfile.h.
 *
 * Opening it hops from chunk header to chunk header and takes the index of the
 * pages along.  Nothing is believed: page numbers count up from chunk to chunk
 * (a damaged chunk leaves a gap), and there cannot be more of them than bytes
 * of index in the file.
 */
#include "timeline/ckfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <lz4.h>
#include <zstd.h>

struct stored {
	uint64_t at;
	uint16_t len; /* 0: damaged */
	struct ck_hash hash;
};

struct point {
	struct ck_chunk c;
	uint64_t at;    /* of its meta in the file */
	uint32_t pages; /* there were so many before it */
};

struct ckfile {
	int fd;
	uint64_t size, skipped;
	struct ck_id id;
	struct stored *page; /* by number */
	uint32_t npages, cap;
	struct point *point;
	size_t n, point_cap;
	ZSTD_DCtx *z;
};

static int read_at(const struct ckfile *f, void *p, size_t n, uint64_t at)
{
	uint8_t *to = p;

	while (n > 0) {
		ssize_t got = pread(f->fd, to, n, (off_t)at);

		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return -1;
		to += got;
		at += (uint64_t)got;
		n -= (size_t)got;
	}
	return 0;
}

/* The stored meta, checked.  NULL: damaged, or no memory. */
static uint8_t *read_meta(const struct ckfile *f, const struct ck_chunk *c, uint64_t at)
{
	uint8_t *p = malloc((size_t)c->meta + 1);

	if (p != NULL && read_at(f, p, c->meta, at) == 0 && ck_digest(p, c->meta) == c->digest)
		return p;
	free(p);
	return NULL;
}

static int grow_pages(struct ckfile *f, uint32_t n)
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
static bool take_pages(struct ckfile *f, const struct ck_chunk *c, uint64_t at)
{
	uint64_t data = at + c->meta, end = data + c->data;
	uint8_t *meta;

	if (c->meta != (uint64_t)c->count * CK_INDEX || c->first < f->npages ||
		c->first < CK_FIRST || (uint64_t)c->first + c->count > CK_FIRST + f->size / CK_INDEX ||
		(uint64_t)c->first + c->count > CK_MAX || (meta = read_meta(f, c, at)) == NULL)
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

static bool take_point(struct ckfile *f, const struct ck_chunk *c, uint64_t at)
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

/* The next place from `at` on where a chunk's header checks; the file's size: none. */
static uint64_t resync(const struct ckfile *f, uint64_t at)
{
	uint8_t buf[1 << 16];
	struct ck_chunk c;

	while (at + CK_CHUNK <= f->size) {
		size_t n = f->size - at < sizeof buf ? (size_t)(f->size - at) : sizeof buf;

		if (read_at(f, buf, n, at) != 0)
			break;
		for (size_t i = 0; i + CK_CHUNK <= n; i++)
			if (buf[i] == 'T' && ck_chunk_read(buf + i, &f->id, &c))
				return at + i;
		at += n - (CK_CHUNK - 1);
	}
	return f->size;
}

static void scan(struct ckfile *f)
{
	uint64_t at = CK_HEADER;
	uint8_t header[CK_CHUNK];
	struct ck_chunk c;

	while (at + CK_CHUNK <= f->size) {
		bool good = false;
		uint64_t left = f->size - at - CK_CHUNK;

		if (read_at(f, header, sizeof header, at) == 0 &&
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

static int check(struct ckfile *f, const char *path, const struct ck_id *want, struct err *e)
{
	uint8_t header[CK_HEADER];
	const char *what;
	struct stat st;

	if (fstat(f->fd, &st) != 0 || !S_ISREG(st.st_mode))
		return err_set(e, ST_HOST, "checkpoints %s: not a file", path);
	f->size = (uint64_t)st.st_size;
	if (f->size < CK_HEADER || read_at(f, header, sizeof header, 0) != 0)
		return err_set(e, ST_DAMAGED, "checkpoints %s: too short", path);
	what = ck_header_read(header, &f->id);
	if (what != NULL)
		return err_set(e, ST_DAMAGED, "checkpoints %s: %s", path, what);
	if (memcmp(f->id.session, want->session, LOG_SESSION) != 0 || f->id.engine != want->engine ||
		f->id.abi != want->abi || f->id.frames != want->frames)
		return err_set(e, ST_DAMAGED, "checkpoints %s: they are of another recording, or "
			"made by another version of ttd", path);
	return 0;
}

struct ckfile *ckfile_open(const char *path, const struct ck_id *want, struct err *e)
{
	struct ckfile *f = calloc(1, sizeof *f);

	if (f == NULL || (f->z = ZSTD_createDCtx()) == NULL) {
		free(f);
		err_set(e, ST_HOST, "out of memory");
		return NULL;
	}
	f->npages = CK_FIRST;
	f->fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	if (f->fd < 0) {
		err_set(e, ST_HOST, "checkpoints %s: %s", path, strerror(errno));
		ckfile_close(f);
		return NULL;
	}
	if (check(f, path, want, e) != 0) {
		ckfile_close(f);
		return NULL;
	}
	scan(f);
	return f;
}

void ckfile_close(struct ckfile *f)
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

size_t ckfile_count(const struct ckfile *f)
{
	return f->n;
}

const struct ck_chunk *ckfile_at(const struct ckfile *f, size_t i)
{
	return &f->point[i].c;
}

uint64_t ckfile_skipped(const struct ckfile *f)
{
	return f->skipped;
}

uint32_t ckfile_pages(const struct ckfile *f)
{
	return f->npages;
}

int ckfile_load(struct ckfile *f, size_t i, struct ck_meta *m, struct wbuf *raw, struct err *e)
{
	const struct point *p = &f->point[i];
	uint8_t *meta = read_meta(f, &p->c, p->at), *out = malloc((size_t)p->c.raw + 1);
	struct rbuf r = { .p = out, .len = p->c.raw };
	int rc = -1;

	*raw = (struct wbuf){ .p = out, .len = p->c.raw, .cap = (size_t)p->c.raw + 1 };
	if (meta != NULL && out != NULL &&
		ZSTD_decompressDCtx(f->z, out, p->c.raw, meta, p->c.meta) == p->c.raw)
		rc = ck_meta_read(&r, m, f->id.frames, p->pages);
	free(meta);
	if (rc == 0)
		return 0;
	wbuf_free(raw);
	return err_set(e, ST_DAMAGED, "the checkpoint at instruction %llu is damaged",
		(unsigned long long)p->c.icount);
}

static int bad_page(uint32_t page, struct err *e)
{
	return err_set(e, ST_DAMAGED, "page %u of the checkpoints is damaged", page);
}

int ckfile_page(struct ckfile *f, uint32_t page, uint8_t *to, struct err *e)
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
	if (read_at(f, s->len == PAGE_SIZE ? to : buf, s->len, s->at) != 0 ||
		(s->len < PAGE_SIZE &&
		LZ4_decompress_safe((const char *)buf, (char *)to, (int)s->len, PAGE_SIZE) != PAGE_SIZE))
		return bad_page(page, e);
	h = ck_page_hash(&f->id, to);
	return memcmp(h.b, s->hash.b, sizeof h.b) == 0 ? 0 : bad_page(page, e);
}

unsigned ckfile_stored(const struct ckfile *f, uint32_t page, uint64_t *at, struct ck_hash *hash)
{
	if (page < CK_FIRST || page >= f->npages)
		return 0;
	*at = f->page[page].at;
	*hash = f->page[page].hash;
	return f->page[page].len;
}
