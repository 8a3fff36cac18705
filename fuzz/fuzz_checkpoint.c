/*
 * fuzz_checkpoint.c - a checkpoint file whose digests are right.  The input is the
 * chunks: KIND, what is odd, COUNT, FIRST, LENGTH (2), and as many bytes of meta; that of a
 * checkpoint is compressed here.  Opening comes to an end, and whatever loads lies
 * within its bounds.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>
#include <zstd.h>

#include "timeline/ckread.h"

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

enum { FRAMES = 300, HEAD = 6 };

static const struct ck_id id = { .run_id = "fuzz", .engine = 1, .abi = 1, .frames = FRAMES,
	.seed = 5 };
static char path[] = "/tmp/ttd-fuzz-ck.XXXXXX";
static int fd = -1;

static void chunk(struct wbuf *w, const uint8_t h[HEAD], const uint8_t *meta, size_t n, uint64_t seq)
{
	struct ck_chunk c = { .kind = h[0] % 3, .seq = seq, .icount = seq, .first = h[3],
		.count = h[2], .data = (uint64_t)h[1] & 0x7f };
	uint8_t out[CK_CHUNK], zeros[128] = {0}, *z = NULL;
	size_t cap = ZSTD_compressBound(n);

	c.meta = c.raw = (uint32_t)n;
	if (c.kind == CK_CHECKPOINT) {
		z = malloc(cap);
		if (z == NULL)
			return;
		c.meta = (uint32_t)ZSTD_compress(z, cap, meta, n, 1);
		c.data = 0;
		meta = z;
	} else if (c.kind == CK_PAGES) {
		c.count = (uint32_t)(n / CK_INDEX);
		c.meta = c.count * CK_INDEX;
	}
	c.digest = ck_digest(meta, c.meta);
	if (h[1] & 0x80) { /* something does not fit */
		c.meta += h[4];
		c.raw ^= (uint32_t)1 << (h[4] & 31);
		c.count += h[5];
	}
	ck_chunk_write(out, &c, &id);
	wbuf_put(w, out, sizeof out);
	wbuf_put(w, meta, h[1] & 0x80 ? n / 2 : c.meta < n || z != NULL ? c.meta : n);
	wbuf_put(w, zeros, (size_t)(c.data < sizeof zeros ? c.data : sizeof zeros));
	free(z);
}

static void read_all(void)
{
	static uint32_t table[FRAMES];
	static uint8_t dirty[FRAMES / 8 + 1], page[PAGE_SIZE];
	struct ttd_error e = TTD_ERROR_INIT;
	struct ckread *f = ckread_open(path, &id, &e);

	for (size_t i = 0; f != NULL && i < ckread_count(f); i++) {
		struct ck_meta m = { .table = table, .dirty = dirty };
		struct wbuf raw = {0};

		if (i > 0 && ckread_at(f, i)->icount <= ckread_at(f, i - 1)->icount)
			abort();
		if (ckread_load(f, i, &m, &raw, &e) != 0)
			continue;
		for (unsigned k = 0; k < FRAMES; k++) {
			if (table[k] >= ckread_pages(f) && table[k] >= CK_FIRST)
				abort();
			if (table[k] != CK_BOOT)
				ckread_page(f, table[k], page, &e);
		}
		wbuf_free(&raw);
	}
	ckread_close(f);
}

static void gone(void)
{
	unlink(path);
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	struct wbuf w = {0};
	uint8_t head[CK_HEADER];
	uint64_t seq = 0;

	if (fd < 0) {
		fd = mkstemp(path);
		if (fd < 0)
			return 0;
		atexit(gone);
	}
	ck_header_write(head, &id);
	wbuf_put(&w, head, sizeof head);
	while (n >= HEAD) {
		const uint8_t *h = p;
		size_t len = get16(p + 4);

		p += HEAD;
		n -= HEAD;
		len = len < n ? len : n;
		chunk(&w, h, p, len, ++seq);
		p += len;
		n -= len;
	}
	wbuf_put(&w, p, n); /* a torn end */
	if (w.bad || ftruncate(fd, 0) != 0 || pwrite(fd, w.p, w.len, 0) != (ssize_t)w.len)
		abort();
	wbuf_free(&w);
	read_all();
	return 0;
}
