/*
 * test_checkpoint.c - the checkpoint file: what is stored comes back, also when
 * every second one was given up; a file that was cut or damaged anywhere gives
 * what was stored or an error, never anything else.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "timeline/ckread.h"
#include "timeline/ckwrite.h"

enum { FRAMES = 300, POINTS = 12, STATE = 500 };

static const struct ck_id id = { .run_id = { 1, 2, 3 }, .engine = 7, .abi = 8,
	.frames = FRAMES, .seed = 99 };
static char path[] = "/tmp/test_checkpoint.XXXXXX";
static uint64_t rng = 88172645463325252u;

static uint64_t rnd(void)
{
	rng ^= rng << 13;
	rng ^= rng >> 7;
	rng ^= rng << 17;
	return rng;
}

/* The machine at each point: a number per frame stands for its bytes; 0: as built. */
struct model {
	uint32_t frame[FRAMES];
	uint8_t dirty[FRAMES];
};
static struct model model[POINTS];

static void page_bytes(uint32_t n, uint8_t *p)
{
	uint64_t x = n * UINT64_C(0x9e3779b97f4a7c15);

	memset(p, 0, PAGE_SIZE);
	for (unsigned i = 0; n > 1 && i < PAGE_SIZE; i += n % 5 == 0 ? 8 : 64) {
		x ^= x << 13, x ^= x >> 7, x ^= x << 17;
		memcpy(p + i, &x, 8);
	}
}

static void state_bytes(unsigned k, uint8_t *p)
{
	for (unsigned i = 0; i < STATE; i++)
		p[i] = (uint8_t)(k * 31 + i);
}

/* 1: all zero.  Small numbers come again: equal pages. */
static void change(struct model *m)
{
	memset(m->dirty, 0, sizeof m->dirty);
	for (unsigned i = 0; i < 60; i++) {
		unsigned f = rnd() % FRAMES;

		m->frame[f] = 1 + rnd() % 200;
		m->dirty[f] = 1;
	}
}

static void put_point(struct ckwrite *s, unsigned k)
{
	uint8_t *bytes = malloc(FRAMES * PAGE_SIZE), state[STATE];
	struct ck_chunk at = { .icount = 1000 + k, .brctr = k, .guest_ns = 5 * k, .console = k };
	struct wbuf w = { .p = state, .len = STATE };
	uint64_t frame[FRAMES];
	struct ttd_error e;
	size_t n = 0;

	for (unsigned f = 0; f < FRAMES; f++)
		if (model[k].dirty[f]) {
			page_bytes(model[k].frame[f], bytes + n * PAGE_SIZE);
			frame[n++] = f;
		}
	state_bytes(k, state);
	assert_int_equal(ckwrite_pages(s, frame, bytes, n, &e), 0);
	assert_int_equal(ckwrite_point(s, &at, k, &w, &e), 0);
	free(bytes);
}

static struct ckwrite *make(void)
{
	struct ttd_error e;
	struct ckwrite *s = ckwrite_create(path, &id, &e);

	assert_non_null(s);
	for (unsigned k = 0; k < POINTS; k++) {
		if (k > 0)
			model[k] = model[k - 1];
		else
			memset(&model[0], 0, sizeof model[0]);
		change(&model[k]);
		put_point(s, k);
	}
	return s;
}

/* Everything that can be loaded is right.  How many points could be, whole. */
static unsigned check(bool dirty_too)
{
	static uint32_t table[FRAMES];
	static uint8_t dirty[FRAMES / 8 + 1], page[PAGE_SIZE], want[PAGE_SIZE], state[STATE];
	struct ttd_error e;
	struct ckread *f = ckread_open(path, &id, &e);
	unsigned good = 0;

	for (size_t i = 0; f != NULL && i < ckread_count(f); i++) {
		struct ck_meta m = { .table = table, .dirty = dirty };
		unsigned k = (unsigned)(ckread_at(f, i)->icount - 1000);
		struct wbuf raw;
		bool whole = true;

		assert_in_range(k, 0, POINTS - 1);
		if (ckread_load(f, i, &m, &raw, &e) != 0)
			continue;
		state_bytes(k, state);
		assert_int_equal(m.state_len, STATE);
		assert_memory_equal(m.state, state, STATE);
		assert_int_equal(m.records, k);
		wbuf_free(&raw);
		for (unsigned n = 0; n < FRAMES; n++) {
			assert_int_equal(table[n] == CK_BOOT, model[k].frame[n] == 0);
			if (dirty_too)
				assert_int_equal(dirty[n / 8] >> n % 8 & 1, model[k].dirty[n]);
			if (table[n] == CK_BOOT)
				continue;
			if (ckread_page(f, table[n], page, &e) != 0) {
				whole = false;
				continue;
			}
			page_bytes(model[k].frame[n], want);
			assert_memory_equal(page, want, PAGE_SIZE);
		}
		good += whole;
	}
	ckread_close(f);
	return good;
}

static uint8_t *contents(size_t *n)
{
	struct stat st;
	uint8_t *p;
	FILE *f = fopen(path, "rb");

	assert_non_null(f);
	assert_int_equal(fstat(fileno(f), &st), 0);
	*n = (size_t)st.st_size;
	p = malloc(*n + 1);
	assert_int_equal(fread(p, 1, *n, f), *n);
	fclose(f);
	return p;
}

static void put_contents(const uint8_t *p, size_t n)
{
	FILE *f = fopen(path, "wb");

	assert_non_null(f);
	assert_int_equal(fwrite(p, 1, n, f), n);
	fclose(f);
}

static void comes_back(void **state)
{
	(void)state;
	ckwrite_close(make());
	assert_int_equal(check(true), POINTS);
}

static void thinned(void **state)
{
	struct ckwrite *s = make();
	uint64_t bytes = ckwrite_bytes(s);
	struct ttd_error e;

	(void)state;
	assert_int_equal(ckwrite_thin(s, &e), 0);
	assert_int_equal(ckwrite_count(s), POINTS / 2);
	assert_true(ckwrite_bytes(s) < bytes);
	assert_int_equal(check(false), POINTS / 2);
	assert_int_equal(ckwrite_thin(s, &e), 0);
	assert_int_equal(check(false), POINTS / 4);
	/* It goes on after the last. */
	model[POINTS - 1].frame[5] = 17;
	memset(model[POINTS - 1].dirty, 0, FRAMES);
	model[POINTS - 1].dirty[5] = 1;
	ckwrite_close(s);
}

static void cut(void **state)
{
	size_t n;
	uint8_t *p;
	unsigned good, last = 0;

	(void)state;
	ckwrite_close(make());
	p = contents(&n);
	for (size_t len = 0; len <= n; len += len < 200 ? 7 : 1 + rnd() % (n / 20)) {
		put_contents(p, len);
		good = check(true);
		assert_true(good >= last); /* what was whole before the cut is still there */
		last = good;
	}
	put_contents(p, n);
	assert_int_equal(check(true), POINTS);
	free(p);
}

static void damaged(void **state)
{
	size_t n;
	uint8_t *p, *q;
	unsigned lost = 0;

	(void)state;
	ckwrite_close(make());
	p = contents(&n);
	q = malloc(n);
	for (unsigned i = 0; i < 100; i++) {
		memcpy(q, p, n);
		for (unsigned k = 1 + rnd() % 4; k > 0; k--)
			q[rnd() % n] ^= (uint8_t)(1 + rnd() % 255);
		put_contents(q, n);
		lost += POINTS - check(true);
	}
	assert_true(lost > 0);
	free(p);
	free(q);
}

/* Another recording's, or another machine's, are left aside. */
static void not_ours(void **state)
{
	struct ck_id other[4] = { id, id, id, id };
	struct ttd_error e;

	(void)state;
	ckwrite_close(make());
	other[0].run_id[3]++;
	other[1].engine++;
	other[2].abi++;
	other[3].frames++;
	for (unsigned i = 0; i < 4; i++)
		assert_null(ckread_open(path, &other[i], &e));
	assert_null(ckread_open("/nonexistent/file", &id, &e));
	assert_null(ckread_open("/dev/zero", &id, &e));
	assert_null(ckread_open("/tmp", &id, &e));
}

/* Chunks that lie in each other, each with a meta of a megabyte that does not check. */
static void nested(void **state)
{
	enum { BYTES = 4 << 20 };
	struct ck_chunk c = { .kind = CK_PAGES, .first = CK_FIRST };
	uint8_t *p = malloc(BYTES);
	struct ckread *f;
	struct ttd_error e = TTD_ERROR_INIT;

	(void)state;
	assert_non_null(p);
	ck_header_write(p, &id);
	c.count = (1 << 20) / CK_INDEX;
	c.meta = c.count * CK_INDEX;
	for (size_t at = CK_HEADER; at + CK_CHUNK <= BYTES; at += CK_CHUNK)
		ck_chunk_write(p + at, &c, &id);
	put_contents(p, BYTES);
	alarm(20); /* forty thousand million bytes would be read, and again as many to find them */
	f = ckread_open(path, &id, &e);
	alarm(0);
	assert_non_null(f);
	assert_int_equal(ckread_count(f), 0);
	ckread_close(f);
	free(p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(comes_back),
		cmocka_unit_test(thinned),
		cmocka_unit_test(cut),
		cmocka_unit_test(damaged),
		cmocka_unit_test(not_ours),
		cmocka_unit_test(nested),
	};
	int fd = mkstemp(path), rc;

	if (fd < 0)
		return 1;
	close(fd);
	rc = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return rc;
}
