/*
 * fuzz_pack.c - packed traces: bytes as a whole file, and, because checksums
 * would hide all else from a fuzzer, as an index and a chunk that check.
 * Unpacking goes nowhere, comes to an end and stays within each file.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <sys/mman.h>
#include <unistd.h>

#include "test/unit/make_pack.h"
#include "trace/pack.h"

enum { BYTES_MAX = 64 << 20 };

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n);

struct sink {
	const struct pack_file *f;
	uint64_t bytes;
};

static int put(void *ctx, uint64_t offset, const void *p, size_t n)
{
	struct sink *s = ctx;

	(void)p;
	if (offset > s->f->size || n > s->f->size - offset)
		abort();
	s->bytes += n;
	return s->bytes > BYTES_MAX;
}

static void read_all(int fd)
{
	char path[40];
	struct pack *p;
	struct ttd_error e;

	snprintf(path, sizeof path, "/proc/self/fd/%d", fd);
	p = pack_open(path, &e);
	if (p == NULL)
		return;
	for (unsigned i = 0; i < pack_count(p); i++) {
		struct sink s = {.f = pack_file(p, i)};

		/* Zeros are digested, which takes its time and shows nothing. */
		if (!pack_name_ok(s.f->name))
			abort();
		if (s.f->kind == PACK_BASE || s.f->size <= BYTES_MAX)
			pack_extract(p, i, put, &s, &e);
	}
	pack_close(p);
}

static void write_all(int fd, const void *p, size_t n)
{
	if (ftruncate(fd, 0) != 0 || pwrite(fd, p, n, 0) != (ssize_t)n)
		abort();
}

int LLVMFuzzerTestOneInput(const uint8_t *p, size_t n)
{
	int fd = memfd_create("pack", MFD_CLOEXEC);
	struct wbuf w = {0};
	size_t chunk;

	if (fd < 0)
		return 0;
	write_all(fd, p, n);
	read_all(fd);
	/* The first byte says how much is a chunk's; the index is the rest. */
	if (n > 0) {
		chunk = (size_t)p[0] * 8 < n - 1 ? (size_t)p[0] * 8 : n - 1;
		make_pack_header(&w);
		if (chunk > 0)
			make_pack_chunk(&w, 0, p[0] & 1, PACK_BLOCK, p + 1, chunk);
		make_pack_index(&w, p + 1 + chunk, n - 1 - chunk);
		write_all(fd, w.p, w.len);
		read_all(fd);
		wbuf_free(&w);
	}
	close(fd);
	return 0;
}
