/*
 * test_pack.c - packed traces: what comes out is what went in, and a pack that
 * is damaged, cut or made by an enemy is refused.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "test/unit/make_pack.h"
#include "trace/pack.h"
#include "util/varint.h"

enum { SIZE = 3 * PACK_CHUNK + 1234, DAMAGES = 3000 };

struct bench {
	char dir[64], pack[100], out[100];
	uint8_t *data; /* SIZE bytes */
};

static void fill(uint8_t *p, size_t n, unsigned seed)
{
	for (size_t i = 0; i < n; i++) {
		seed = seed * 1664525 + 1013904223;
		p[i] = (uint8_t)(seed >> 24);
	}
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	assert_non_null(b);
	/* Where waiting for the disk takes no time. */
	strcpy(b->dir, access("/dev/shm", W_OK) == 0 ? "/dev/shm/ttd-pack.XXXXXX"
		: "/tmp/ttd-pack.XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->pack, sizeof b->pack, "%s/a.ttd", b->dir);
	snprintf(b->out, sizeof b->out, "%s/out", b->dir);
	b->data = malloc(SIZE);
	assert_non_null(b->data);
	fill(b->data, SIZE, 1);
	memset(b->data + PACK_CHUNK, 0, 50 * PACK_BLOCK);
	memcpy(b->data + 2 * PACK_CHUNK, b->data, 70 * PACK_BLOCK);
	*state = b;
	return 0;
}

static void clean(const char *dir)
{
	static const char *const names[] = {"ttd.log.x", "kernel", "xvda.base", "console.txt", "a.ttd",
		"b.ttd"};
	char path[200];

	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		snprintf(path, sizeof path, "%s/%s", dir, names[i]);
		unlink(path);
	}
	rmdir(dir);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	clean(b->out);
	clean(b->dir);
	free(b->data);
	free(b);
	return 0;
}

static int file_of(const uint8_t *p, size_t n)
{
	int fd = memfd_create("file", MFD_CLOEXEC);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, p, n), (ssize_t)n);
	return fd;
}

/* A log, an empty file, and a disk of 1 TiB of which two pieces were read. */
static uint64_t make(struct bench *b)
{
	struct pack_writer *w;
	uint64_t bytes;
	struct ttd_error e;
	int fd;

	w = pack_create(b->pack, "guest-1", false, &e);
	assert_non_null(w);
	fd = file_of(b->data, SIZE);
	assert_int_equal(pack_add(w, "ttd.log.x", PACK_LOG, fd, &e), 0);
	assert_int_equal(pack_add(w, "kernel", PACK_KERNEL, fd, &e), 0);
	assert_int_equal(pack_add(w, "kernel", PACK_KERNEL, fd, &e), -1);
	close(fd);
	fd = file_of(NULL, 0);
	assert_int_equal(pack_add(w, "console.txt", PACK_CONSOLE, fd, &e), 0);
	close(fd);
	assert_int_equal(pack_begin(w, "xvda.base", PACK_BASE, UINT64_C(1) << 40,
		UINT64_C(1700000000123456789), &e), 0);
	assert_int_equal(pack_piece(w, 5 * PACK_BLOCK, b->data, 3 * PACK_BLOCK, &e), 0);
	assert_int_equal(pack_piece(w, UINT64_C(1) << 39, b->data + PACK_CHUNK, 8 * PACK_BLOCK,
		&e), 0);
	assert_int_equal(pack_end(w, &e), 0);
	assert_int_equal(pack_finish(w, &bytes, &e), 0);
	pack_writer_free(w);
	return bytes;
}

static void same(const char *dir, const char *name, const uint8_t *p, size_t n, uint64_t at)
{
	uint8_t *got = malloc(n + 1);
	char path[200];
	int fd;

	snprintf(path, sizeof path, "%s/%s", dir, name);
	fd = open(path, O_RDONLY);
	assert_true(fd >= 0 && got != NULL);
	assert_int_equal(pread(fd, got, n, (off_t)at), (ssize_t)n);
	assert_memory_equal(got, p, n);
	free(got);
	close(fd);
}

static void round_trip(void **state)
{
	struct bench *b = *state;
	uint64_t bytes = make(b);
	char path[200];
	struct stat st;
	struct pack *p;
	struct ttd_error e;

	/* Both files and the disk share their blocks. */
	assert_true(bytes < SIZE && bytes > SIZE / 2);
	assert_true(pack_is(b->pack));
	p = pack_open(b->pack, &e);
	assert_non_null(p);
	assert_string_equal(pack_trace(p), "guest-1");
	assert_int_equal(pack_count(p), 4);
	assert_int_equal(pack_file(p, 3)->stored, 3 * PACK_BLOCK);
	assert_int_equal(pack_unpack(p, b->out, 0, &e), 0);
	assert_int_equal(pack_unpack(p, b->out, 0, &e), -1);
	pack_close(p);
	same(b->out, "ttd.log.x", b->data, SIZE, 0);
	same(b->out, "kernel", b->data, SIZE, 0);
	same(b->out, "console.txt", b->data, 0, 0);
	same(b->out, "xvda.base", b->data, 3 * PACK_BLOCK, 5 * PACK_BLOCK);
	same(b->out, "xvda.base", b->data + PACK_CHUNK, PACK_BLOCK, UINT64_C(1) << 39);
	snprintf(path, sizeof path, "%s/xvda.base", b->out);
	assert_int_equal(stat(path, &st), 0);
	assert_true(st.st_size == (off_t)1 << 40 && st.st_blocks < 1000);
	assert_int_equal(st.st_mtim.tv_sec, 1700000000);
	assert_int_equal(st.st_mtim.tv_nsec, 123456789);
}

static void existing(void **state)
{
	struct bench *b = *state;
	struct pack_writer *w;
	struct ttd_error e;

	make(b);
	assert_null(pack_create(b->pack, "x", false, &e));
	assert_int_equal(e.status, TTD_USAGE);
	w = pack_create(b->pack, "x", true, &e);
	assert_non_null(w);
	pack_writer_free(w); /* not finished: the old one stays, and nothing else */
	assert_true(pack_is(b->pack));
	unlink(b->pack);
	assert_int_equal(rmdir(b->dir), 0);
	assert_int_equal(mkdir(b->dir, 0700), 0);
}

static void names(void **state)
{
	static const char *const bad[] = {"", ".", "..", "a/b", "/etc/passwd", "../x", ".hidden",
		"a b", "a\nb", "\xc3\xa4"};
	char longest[PACK_NAME + 2];

	(void)state;
	for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
		assert_false(pack_name_ok(bad[i]));
	memset(longest, 'x', sizeof longest);
	longest[PACK_NAME + 1] = '\0';
	assert_false(pack_name_ok(longest));
	assert_true(pack_name_ok(longest + 1));
	assert_true(pack_name_ok("ttd.log.a-b_c+1"));
}

static int keep(void *ctx, uint64_t offset, const void *p, size_t n)
{
	const struct bench *b = ctx;

	/* Whatever is said to be right is right. */
	assert_true(offset + n <= SIZE);
	return memcmp(b->data + offset, p, n) == 0 ? 0 : EILSEQ;
}

/* 1: all of it is as it was; 0: refused. */
static int try_all(struct bench *b)
{
	struct ttd_error e = {0};
	struct pack *p = pack_open(b->pack, &e);
	int good = p != NULL;

	for (unsigned i = 0; good && i < 2; i++)
		good = pack_extract(p, i, keep, b, &e) == 0;
	if (!good)
		assert_int_equal(e.status, TTD_DAMAGED);
	pack_close(p);
	return good;
}

static void damage(void **state)
{
	struct bench *b = *state;
	uint64_t bytes = make(b);
	unsigned seed = 7, unnoticed = 0;
	int fd = open(b->pack, O_RDWR);

	assert_true(fd >= 0);
	assert_true(try_all(b));
	for (unsigned i = 0; i < DAMAGES; i++) {
		uint64_t at;
		uint8_t old, now;

		seed = seed * 1664525 + 1013904223;
		/* A third each: at the beginning, at the end, anywhere. */
		at = i % 3 == 0 ? seed % 200 : i % 3 == 1 ? bytes - 1 - seed % 300 : seed % bytes;
		assert_int_equal(pread(fd, &old, 1, (off_t)at), 1);
		now = old ^ (uint8_t)(1 << (seed >> 29));
		assert_int_equal(pwrite(fd, &now, 1, (off_t)at), 1);
		unnoticed += (unsigned)try_all(b);
		assert_int_equal(pwrite(fd, &old, 1, (off_t)at), 1);
	}
	close(fd);
	assert_int_equal(unnoticed, 0);
}

static void cut_short(void **state)
{
	struct bench *b = *state;
	uint64_t bytes = make(b);
	struct ttd_error e;

	for (unsigned i = 0; i < 300; i++) {
		bytes -= i < 150 ? 1 : bytes / 20 + 1;
		assert_int_equal(truncate(b->pack, (off_t)bytes), 0);
		assert_null(pack_open(b->pack, &e));
		if (bytes == 0)
			break;
	}
	assert_non_null(strstr(e.text, "cut short"));
}

/* ---- made by an enemy ---- */

struct enemy {
	const char *name;
	unsigned kind;
	uint64_t size, nblocks, run_kind, run_count, run_start;
	unsigned nchunks, nfiles, nruns;
	size_t chunk_says; /* length of the chunk according to the index; 0: as it is */
};

static void index_of(struct wbuf *x, const struct enemy *y, size_t chunk)
{
	static const uint8_t digest[PACK_DIGEST];

	wbuf_u16(x, 1);
	wbuf_put(x, "t", 1);
	wbuf_u16(x, 1);
	wbuf_put(x, "v", 1);
	wbuf_u64(x, y->nblocks);
	wbuf_u32(x, y->nchunks);
	wbuf_v(x, y->chunk_says != 0 ? y->chunk_says : chunk);
	wbuf_u32(x, y->nfiles);
	for (unsigned i = 0; i < y->nfiles && i < 3; i++) {
		wbuf_u8(x, (uint8_t)strlen(y->name));
		wbuf_put(x, y->name, strlen(y->name));
		wbuf_u8(x, (uint8_t)y->kind);
		wbuf_u64(x, y->size);
		wbuf_u64(x, 0);
		wbuf_put(x, digest, sizeof digest);
		wbuf_u32(x, y->nruns);
		wbuf_u8(x, (uint8_t)y->run_kind);
		wbuf_v(x, y->run_count);
		if (y->run_kind == RUN_STORED)
			wbuf_v(x, y->run_start);
	}
}

static struct pack *enemys(struct bench *b, const struct enemy *y, unsigned coding, uint32_t raw,
	const void *payload, size_t n, struct ttd_error *e)
{
	struct wbuf w = {0}, x = {0};
	int fd = open(b->pack, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	make_pack_header(&w);
	make_pack_chunk(&w, 0, coding, raw, payload, n);
	index_of(&x, y, PACK_CHUNK_HEADER + n);
	make_pack_index(&w, x.p, x.len);
	assert_int_equal(write(fd, w.p, w.len), (ssize_t)w.len);
	close(fd);
	wbuf_free(&w);
	wbuf_free(&x);
	return pack_open(b->pack, e);
}

static const struct enemy honest = {.name = "xvda.base", .kind = PACK_BASE, .size = PACK_BLOCK,
	.nblocks = 1, .run_kind = RUN_STORED, .run_count = 1, .nchunks = 1, .nfiles = 1, .nruns = 1};

static void enemies(void **state)
{
	struct bench *b = *state;
	struct enemy bad[20];
	unsigned n = 0;
	struct pack *p;
	struct ttd_error e;

#define BAD(...) (bad[n] = honest, bad[n].__VA_ARGS__, n++)
	BAD(name = "../../x");
	BAD(name = "/etc/passwd");
	BAD(name = "");
	BAD(kind = 0);
	BAD(kind = PACK_KINDS);
	BAD(size = 2 * PACK_BLOCK);
	BAD(size = 0);
	BAD(size = UINT64_MAX);
	BAD(nblocks = 2 * PACK_CHUNK_BLOCKS);
	BAD(nblocks = UINT64_MAX);
	BAD(run_kind = RUN_KINDS);
	BAD(run_count = 0);
	BAD(run_count = UINT64_MAX);
	BAD(run_start = 1);
	BAD(run_start = UINT64_MAX);
	BAD(nchunks = UINT32_MAX);
	BAD(nfiles = 2); /* of one name */
	BAD(nfiles = UINT32_MAX);
	BAD(nruns = UINT32_MAX);
	BAD(chunk_says = 1);
	for (unsigned i = 0; i < n; i++) {
		p = enemys(b, &bad[i], 0, PACK_BLOCK, b->data, PACK_BLOCK, &e);
		if (p != NULL)
			fail_msg("enemy %u was believed", i);
		assert_int_equal(e.status, TTD_DAMAGED);
	}
	p = enemys(b, &honest, 0, PACK_BLOCK, b->data, PACK_BLOCK, &e);
	assert_non_null(p);
	assert_int_equal(pack_unpack(p, b->out, 0, &e), 0);
	pack_close(p);
	same(b->out, "xvda.base", b->data, PACK_BLOCK, 0);
}

/* Chunks that decode to more, or less, than they should; more than fits on the disk. */
static void bombs(void **state)
{
	struct bench *b = *state;
	size_t big = 64 << 20, cap = ZSTD_compressBound(big), n;
	uint8_t *zeros = calloc(1, big), *z = malloc(cap);
	struct enemy huge = honest;
	struct pack *p;
	struct ttd_error e;

	assert_true(zeros != NULL && z != NULL);
	n = ZSTD_compress(z, cap, zeros, big, 1);
	p = enemys(b, &honest, 1, PACK_BLOCK, z, n, &e);
	assert_non_null(p);
	assert_int_equal(pack_unpack(p, b->out, 0, &e), -1);
	assert_int_equal(e.status, TTD_DAMAGED);
	pack_close(p);
	n = ZSTD_compress(z, cap, zeros, 100, 1);
	p = enemys(b, &honest, 1, PACK_BLOCK, z, n, &e);
	assert_non_null(p);
	assert_int_equal(pack_unpack(p, b->out, 0, &e), -1);
	pack_close(p);
	assert_int_equal(access(b->out, F_OK), -1);
	free(zeros);
	free(z);

	/* The table of runs is the bomb: one block, again and again. */
	huge.kind = PACK_LOG;
	huge.size = PACK_PLAIN_MAX + PACK_BLOCK;
	huge.run_kind = RUN_ZEROS;
	huge.run_count = huge.size / PACK_BLOCK;
	assert_null(enemys(b, &huge, 0, PACK_BLOCK, b->data, PACK_BLOCK, &e));
}

static void no_room(void **state)
{
	enum { RUNS = 1 << 20 };
	struct bench *b = *state;
	struct wbuf w = {0}, x = {0};
	static const uint8_t digest[PACK_DIGEST];
	struct pack *p;
	struct ttd_error e;
	int fd = open(b->pack, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	make_pack_header(&w);
	make_pack_chunk(&w, 0, 0, PACK_CHUNK, b->data, PACK_CHUNK);
	wbuf_u16(&x, 1);
	wbuf_put(&x, "t", 1);
	wbuf_u16(&x, 1);
	wbuf_put(&x, "v", 1);
	wbuf_u64(&x, PACK_CHUNK_BLOCKS);
	wbuf_u32(&x, 1);
	wbuf_v(&x, PACK_CHUNK_HEADER + PACK_CHUNK);
	wbuf_u32(&x, 1);
	wbuf_u8(&x, 9);
	wbuf_put(&x, "xvda.base", 9);
	wbuf_u8(&x, PACK_BASE);
	wbuf_u64(&x, (uint64_t)RUNS * PACK_CHUNK);
	wbuf_u64(&x, 0);
	wbuf_put(&x, digest, sizeof digest);
	wbuf_u32(&x, RUNS);
	for (unsigned i = 0; i < RUNS; i++) {
		wbuf_u8(&x, RUN_STORED);
		wbuf_v(&x, PACK_CHUNK_BLOCKS);
		wbuf_v(&x, 0);
	}
	make_pack_index(&w, x.p, x.len);
	assert_int_equal(write(fd, w.p, w.len), (ssize_t)w.len);
	close(fd);
	wbuf_free(&w);
	wbuf_free(&x);
	p = pack_open(b->pack, &e);
	assert_non_null(p);
	assert_int_equal(pack_stored(p), (uint64_t)RUNS * PACK_CHUNK);
	assert_int_equal(pack_unpack(p, b->out, UINT64_MAX, &e), -1);
	assert_non_null(strstr(e.text, "takes 1048576 MB"));
	assert_int_equal(access(b->out, F_OK), -1);
	pack_close(p);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
		T(round_trip), T(existing), T(names), T(damage), T(cut_short), T(enemies), T(bombs),
		T(no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
