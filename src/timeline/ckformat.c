/*
 * ckformat.c - encoding and decoding of checkpoint files; see ckformat.h.
 */
#include "timeline/ckformat.h"

#include <string.h>

#include "util/varint.h"
#include "util/xxh.h"

static const uint8_t magic[8] = { 'T', 'T', 'D', 'C', 'K', 'P', '\r', '\n' };
static const uint8_t chunk_magic[4] = { 'T', 'T', 'D', 'K' };

uint64_t ck_digest(const void *p, size_t n)
{
	return XXH3_64bits(p, n);
}

struct ck_hash ck_page_hash(const struct ck_id *id, const uint8_t *page)
{
	XXH128_canonical_t c;
	struct ck_hash h;

	XXH128_canonicalFromHash(&c, XXH3_128bits_withSeed(page, PAGE_SIZE, id->seed));
	memcpy(h.b, c.digest, sizeof h.b);
	return h;
}

void ck_header_write(uint8_t out[CK_HEADER], const struct ck_id *id)
{
	memset(out, 0, CK_HEADER);
	memcpy(out, magic, sizeof magic);
	put16(out + 8, CK_VERSION);
	put16(out + 10, CK_HEADER);
	memcpy(out + 16, id->run_id, RUN_ID);
	put32(out + 32, id->engine);
	put32(out + 36, id->abi);
	put64(out + 40, id->frames);
	put64(out + 48, id->seed);
	put64(out + 56, ck_digest(out, 56));
}

const char *ck_header_read(const uint8_t in[CK_HEADER], struct ck_id *id)
{
	if (memcmp(in, magic, sizeof magic) != 0)
		return "it is no checkpoint file";
	if (get16(in + 8) != CK_VERSION)
		return "it was made by another version of ttd";
	if (get16(in + 10) != CK_HEADER || get32(in + 12) != 0 || get64(in + 56) != ck_digest(in, 56))
		return "its header is damaged";
	memcpy(id->run_id, in + 16, RUN_ID);
	id->engine = get32(in + 32);
	id->abi = get32(in + 36);
	id->frames = get64(in + 40);
	id->seed = get64(in + 48);
	return NULL;
}

void ck_chunk_write(uint8_t out[CK_CHUNK], const struct ck_chunk *c, const struct ck_id *id)
{
	memcpy(out, chunk_magic, 4);
	out[4] = c->kind;
	out[5] = 0;
	put16(out + 6, CK_CHUNK);
	put64(out + 8, c->seq);
	put32(out + 16, c->meta);
	put32(out + 20, c->raw);
	put64(out + 24, c->data);
	put32(out + 32, c->first);
	put32(out + 36, c->count);
	put64(out + 40, c->icount);
	put64(out + 48, c->brctr);
	put64(out + 56, c->guest_ns);
	put64(out + 64, c->console);
	put64(out + 72, c->digest);
	memcpy(out + 80, id->run_id, 8);
	put64(out + 88, ck_digest(out, 88));
}

bool ck_chunk_read(const uint8_t in[CK_CHUNK], const struct ck_id *id, struct ck_chunk *c)
{
	if (memcmp(in, chunk_magic, 4) != 0 || in[5] != 0 || get16(in + 6) != CK_CHUNK ||
		memcmp(in + 80, id->run_id, 8) != 0 || get64(in + 88) != ck_digest(in, 88))
		return false;
	c->kind = in[4];
	c->seq = get64(in + 8);
	c->meta = get32(in + 16);
	c->raw = get32(in + 20);
	c->data = get64(in + 24);
	c->first = get32(in + 32);
	c->count = get32(in + 36);
	c->icount = get64(in + 40);
	c->brctr = get64(in + 48);
	c->guest_ns = get64(in + 56);
	c->console = get64(in + 64);
	c->digest = get64(in + 72);
	return c->meta <= CK_META_MAX && c->raw <= CK_META_MAX;
}

/* ---- runs ---- */

static bool is_dirty(const uint8_t *dirty, uint64_t f)
{
	return dirty[f / 8] >> f % 8 & 1;
}

/* Frames from f on that belong to one run with it. */
static uint64_t dirty_run(const uint8_t *dirty, uint64_t f, uint64_t frames)
{
	uint64_t n = 1;

	while (f + n < frames && is_dirty(dirty, f + n))
		n++;
	return n;
}

static uint32_t step(uint32_t page)
{
	return page >= CK_FIRST; /* pages 0 and 1 repeat */
}

static uint64_t table_run(const uint32_t *table, uint64_t f, uint64_t frames)
{
	uint64_t n = 1;

	while (f + n < frames && table[f + n] == table[f + n - 1] + step(table[f]))
		n++;
	return n;
}

static void write_dirty(struct wbuf *w, const uint8_t *dirty, uint64_t frames)
{
	uint64_t runs = 0, end = 0, n;

	for (uint64_t f = 0; f < frames; f += n) {
		n = is_dirty(dirty, f) ? dirty_run(dirty, f, frames) : 1;
		runs += is_dirty(dirty, f);
	}
	wbuf_v(w, runs);
	for (uint64_t f = 0; f < frames; f += n) {
		n = is_dirty(dirty, f) ? dirty_run(dirty, f, frames) : 1;
		if (!is_dirty(dirty, f))
			continue;
		wbuf_v(w, f - end);
		wbuf_v(w, n);
		end = f + n;
	}
}

static void write_table(struct wbuf *w, const uint32_t *table, uint64_t frames)
{
	uint64_t runs = 0, end = 0, n;
	uint32_t next = 0;

	for (uint64_t f = 0; f < frames; f += n) {
		n = table_run(table, f, frames);
		runs += table[f] != CK_BOOT;
	}
	wbuf_v(w, runs);
	for (uint64_t f = 0; f < frames; f += n) {
		n = table_run(table, f, frames);
		if (table[f] == CK_BOOT)
			continue;
		wbuf_v(w, f - end);
		wbuf_v(w, n);
		wbuf_z(w, (uint64_t)table[f] - next);
		end = f + n;
		next = table[f] + (uint32_t)n * step(table[f]);
	}
}

void ck_meta_write(struct wbuf *w, const struct ck_meta *m, uint64_t frames)
{
	wbuf_v(w, m->records);
	write_dirty(w, m->dirty, frames);
	write_table(w, m->table, frames);
	wbuf_put(w, m->state, m->state_len);
}

/* The next run's frames; false: nonsense. */
static bool read_run(struct rbuf *r, uint64_t frames, uint64_t *from, uint64_t *end)
{
	uint64_t gap = rbuf_v(r), n = rbuf_v(r);

	if (r->bad || n == 0 || gap > frames - *end || n > frames - *end - gap)
		return false;
	*from = *end + gap;
	*end = *from + n;
	return true;
}

static int read_dirty(struct rbuf *r, uint8_t *dirty, uint64_t frames)
{
	uint64_t runs = rbuf_v(r), from, end = 0;

	if (dirty != NULL)
		memset(dirty, 0, (frames + 7) / 8);
	for (; runs > 0; runs--) {
		if (!read_run(r, frames, &from, &end))
			return -1;
		for (uint64_t f = from; dirty != NULL && f < end; f++)
			dirty[f / 8] |= (uint8_t)(1u << f % 8);
	}
	return r->bad ? -1 : 0;
}

static int read_table(struct rbuf *r, uint32_t *table, uint64_t frames, uint32_t pages)
{
	uint64_t runs = rbuf_v(r), from, end = 0, page, next = 0, n;

	if (table != NULL)
		memset(table, 0, frames * sizeof *table);
	for (; runs > 0; runs--) {
		if (!read_run(r, frames, &from, &end))
			return -1;
		page = next + rbuf_z(r);
		if (r->bad || page >= pages)
			return -1;
		n = page >= CK_FIRST ? end - from : 0;
		if (n > pages - page)
			return -1;
		next = page + n;
		for (uint64_t f = from; table != NULL && f < end; f++)
			table[f] = (uint32_t)page + (uint32_t)(f - from) * step((uint32_t)page);
	}
	return r->bad ? -1 : 0;
}

int ck_meta_read(struct rbuf *r, struct ck_meta *m, uint64_t frames, uint32_t pages)
{
	uint64_t records = rbuf_v(r);

	if (r->bad || records > UINT32_MAX || read_dirty(r, m->dirty, frames) != 0 ||
		read_table(r, m->table, frames, pages) != 0)
		return -1;
	m->records = (uint32_t)records;
	m->state = r->p + r->pos;
	m->state_len = r->len - r->pos;
	return 0;
}
