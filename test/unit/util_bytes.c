/* util_bytes.c - tests of the save and load buffers, checked arithmetic, zeros, whole reads and writes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <errno.h>
#include <stdint.h>
#include <stdio.h>
#include <unistd.h>

#include <cmocka.h>

#include "util/bytes.h"
#include "util/checked.h"
#include "util/fullio.h"
#include "util/zero.h"

static void round_trip(void **state)
{
	struct wbuf w = {0};
	struct rbuf r;
	char text[4];

	(void)state;
	wbuf_u8(&w, 0xfe);
	wbuf_u16(&w, 0x1234);
	wbuf_u32(&w, 0xdeadbeef);
	wbuf_u64(&w, UINT64_C(0x0123456789abcdef));
	wbuf_put(&w, "abc", 4);
	assert_false(w.bad);
	assert_int_equal(w.len, 1 + 2 + 4 + 8 + 4);
	assert_int_equal(w.p[1], 0x34); /* little-endian */
	r = (struct rbuf){.p = w.p, .len = w.len};
	assert_int_equal(rbuf_u8(&r), 0xfe);
	assert_int_equal(rbuf_u16(&r), 0x1234);
	assert_int_equal(rbuf_u32(&r), 0xdeadbeef);
	assert_int_equal(rbuf_u64(&r), UINT64_C(0x0123456789abcdef));
	rbuf_get(&r, text, sizeof text);
	assert_string_equal(text, "abc");
	assert_false(r.bad);
	assert_int_equal(r.pos, r.len);
	wbuf_free(&w);
	assert_null(w.p);
}

static void grows(void **state)
{
	struct wbuf w = {0};
	uint8_t page[4096] = {1};

	(void)state;
	for (int i = 0; i < 100; i++)
		wbuf_put(&w, page, sizeof page);
	assert_int_equal(w.len, 100 * sizeof page);
	for (size_t i = 0; i < w.len; i++)
		assert_int_equal(w.p[i], i % sizeof page == 0);
	wbuf_free(&w);
}

static void short_input(void **state)
{
	uint8_t in[3] = {1, 2, 3};
	struct rbuf r = {.p = in, .len = sizeof in};
	uint8_t out[2] = {9, 9};

	(void)state;
	assert_int_equal(rbuf_u16(&r), 0x0201);
	assert_int_equal(rbuf_u32(&r), 0);
	assert_true(r.bad);
	assert_int_equal(rbuf_u8(&r), 0); /* stays bad though one byte is left */
	rbuf_get(&r, out, sizeof out);
	assert_int_equal(out[0], 0);
	assert_int_equal(out[1], 0);
	assert_int_equal(r.pos, 2);
}

static void too_big(void **state)
{
	struct wbuf w = {0};

	(void)state;
	wbuf_u8(&w, 1);
	wbuf_put(&w, "", SIZE_MAX); /* the size alone must stop it */
	assert_true(w.bad);
	wbuf_u8(&w, 2);
	assert_int_equal(w.len, 1);
	wbuf_free(&w);
}

static void arithmetic(void **state)
{
	uint64_t v = 7;
	size_t s = 7;

	(void)state;
	assert_true(add_u64(1, 2, &v));
	assert_int_equal(v, 3);
	assert_false(add_u64(UINT64_MAX, 1, &v));
	assert_int_equal(v, 3);
	assert_false(mul_u64(UINT64_MAX / 2 + 1, 2, &v));
	assert_true(mul_u64(UINT64_MAX, 1, &v));
	assert_true(v == UINT64_MAX);
	assert_false(mul_size(SIZE_MAX, 2, &s));
	assert_false(add_size(SIZE_MAX, 1, &s));
	assert_int_equal(s, 7);
	assert_true(round_up_u64(4097, 4096, &v));
	assert_int_equal(v, 8192);
	assert_false(round_up_u64(UINT64_MAX - 1, 4096, &v));
	assert_true(range_ok(10, 5, 15));
	assert_true(range_ok(15, 0, 15));
	assert_false(range_ok(10, 6, 15));
	assert_false(range_ok(16, 0, 15));
	assert_false(range_ok(8, UINT64_MAX, 15));
}

static void zeros(void **state)
{
	uint8_t b[ZERO_PAGE] = {0};

	(void)state;
	assert_true(is_zero(b, 0) && is_zero(b, 1) && is_zero(b, sizeof b));
	assert_true(is_zero(zero_page, sizeof zero_page));
	for (size_t i = 0; i < sizeof b; i++) {
		b[i] = 1;
		assert_false(is_zero(b, sizeof b));
		assert_true(is_zero(b, i));
		b[i] = 0;
	}
}

static void all_of_it(void **state)
{
	FILE *f = tmpfile();
	int fd = f != NULL ? fileno(f) : -1, pipes[2];
	char b[8] = "";

	(void)state;
	assert_true(fd >= 0);
	assert_int_equal(write_full(fd, "abcdef", 6), 0);
	assert_int_equal(pwrite_full(fd, "XY", 2, 1), 0);
	assert_int_equal(pread_full(fd, b, 6, 0), 0);
	assert_memory_equal(b, "aXYdef", 6);
	assert_int_equal(pread_full(fd, b, 7, 0), EIO);
	assert_int_equal(pread_full(fd, b, 0, 100), 0);
	fclose(f);
	assert_int_equal(pipe(pipes), 0);
	assert_int_equal(write_full(pipes[0], "x", 1), EBADF);
	close(pipes[0]);
	close(pipes[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip),
		cmocka_unit_test(grows),
		cmocka_unit_test(short_input),
		cmocka_unit_test(too_big),
		cmocka_unit_test(arithmetic),
		cmocka_unit_test(zeros),
		cmocka_unit_test(all_of_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
