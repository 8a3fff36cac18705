/*
 * fuzz_overlay.c - overlays as an enemy makes them: a journal whose blocks are sealed,
 * and maps to be loaded.  Whatever is read lies in the disk, and comes to an end.
 *
 * Input: FLAGS, SIZE (u16, in sectors), then blocks: COUNT, flags, NEXT, ODD and COUNT entries of
 * CLUSTER (u16), BLOCK (u16), DIGEST (u8).
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "dev/overlay.h"
#include "dev/overlay_internal.h"
#include "util/xxh.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

static char path[] = "/tmp/ttd-fuzz-ov.XXXXXX";
static int fd = -1;
static struct overlay_info info = {.run_id = "fuzz", .disk = "xvda"};

static void put_block(uint64_t at, uint8_t *b)
{
	put64(b + DIGEST_AT, XXH3_64bits(b, DIGEST_AT));
	if (pwrite(fd, b, OVERLAY_CLUSTER, (off_t)(at * OVERLAY_CLUSTER)) != OVERLAY_CLUSTER)
		abort();
}

/* The header, as overlay_create() writes it. */
static void begin(void)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct overlay *o;

	unlink(path);
	o = overlay_create(path, NULL, &info, false, false, &e);
	if (o == NULL)
		abort();
	overlay_close(o);
}

static void journal(struct rbuf *r)
{
	uint64_t at = 1, seq = 0, content = 0;

	while (!r->bad && r->pos < r->len && seq < 64) {
		uint8_t b[OVERLAY_CLUSTER] = {0}, count = rbuf_u8(r), flags = rbuf_u8(r);
		uint64_t next = rbuf_u8(r);
		uint8_t odd = rbuf_u8(r);

		memcpy(b, "TTDJ", 4);
		put16(b + 4, count % (JOURNAL_ENTRIES + 2));
		put16(b + 6, flags & 1);
		put64(b + 8, seq++);
		memcpy(b + 16, info.run_id, 8);
		put64(b + 24, next);
		for (unsigned i = 0; i < count && i < JOURNAL_ENTRIES; i++) {
			uint8_t *p = b + JOURNAL_HEAD + i * ENTRY_SIZE;

			put64(p, rbuf_u16(r));
			put64(p + 8, rbuf_u16(r) - (uint64_t)(odd & 1));
			put64(p + 16, rbuf_u8(r));
			content += content_of(get64(p), get64(p + 16));
		}
		put64(b + 32, odd & 2 ? rbuf_u64(r) : content);
		put_block(at, b);
		at = next;
	}
}

/* As commit and export go through it. */
static void go_through(struct overlay *o)
{
	uint8_t buf[8 * OVERLAY_CLUSTER];
	uint64_t clusters = (overlay_info(o)->size + OVERLAY_CLUSTER - 1) / OVERLAY_CLUSTER;

	for (uint64_t c = 0; (c = overlay_next(o, c)) != UINT64_MAX;) {
		uint64_t n = 1;

		if (c >= clusters)
			abort();
		while (n < 8 && overlay_has(o, c + n))
			n++;
		overlay_read(o, c, n, buf);
		c += n;
	}
}

static void maps(const uint8_t *p, size_t n)
{
	struct ttd_error e = TTD_ERROR_INIT;
	struct overlay *o = overlay_create(NULL, "/tmp", &info, false, false, &e);
	uint8_t ones[OVERLAY_CLUSTER];
	struct wbuf w = {0};
	struct rbuf r;

	if (o == NULL)
		return;
	memset(ones, 1, sizeof ones);
	if (overlay_back(o, path, &e) == 0 && overlay_write(o, 0, 1, ones) == 0) {
		overlay_save(o, &w);
		for (size_t i = 0; i + 1 < n && !w.bad; i += 2)
			w.p[p[i] % w.len] ^= p[i + 1];
		if (n > 40)
			wbuf_put(&w, p, n);
		r = (struct rbuf){.p = w.p, .len = w.len};
		if (overlay_load(o, &r) == 0) {
			go_through(o);
			overlay_write(o, 0, 1, ones);
			go_through(o);
		}
	}
	wbuf_free(&w);
	overlay_close(o);
}

static void gone(void)
{
	unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct rbuf r = {.p = p, .len = n};
	struct ttd_error e = TTD_ERROR_INIT;
	struct overlay *o;
	uint8_t flags = rbuf_u8(&r);

	info.size = ((uint64_t)rbuf_u16(&r) + 1) * 512;
	if (fd < 0) {
		fd = mkstemp(path);
		if (fd < 0)
			return 0;
		atexit(gone);
	}
	close(fd);
	begin();
	fd = open(path, O_RDWR);
	if (fd < 0)
		abort();
	if (flags & 1) {
		journal(&r);
		o = overlay_open(path, &e);
		if (o != NULL)
			go_through(o);
		overlay_close(o);
	} else {
		maps(p + r.pos, n - r.pos);
	}
	return 0;
}
