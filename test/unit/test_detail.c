/*
 * test_detail.c - details of digests: through records and back, groups, what
 * is found to differ, and nonsense out of a log.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "event/codec.h"
#include "event/detail.h"

static struct detail a, b;
static unsigned records;

static void to_b(void *ctx, const struct log_record *r)
{
	(void)ctx;
	assert_true(log_record_valid(r));
	assert_int_equal(r->pos.icount, 7);
	detail_take(&b, r);
	records++;
}

/* What is in `a`, as a log would give it back. */
static void through_a_log(void)
{
	struct source_pos pos = { .icount = 7 };

	detail_clear(&b);
	records = 0;
	detail_records(&a, &pos, to_b, NULL);
}

static void same(void)
{
	assert_int_equal(a.have_pages, b.have_pages);
	assert_int_equal(a.shift, b.shift);
	assert_int_equal(a.n, b.n);
	for (uint32_t i = 0; i < a.n; i++) {
		assert_int_equal(a.page[i].group, b.page[i].group);
		assert_int_equal(a.page[i].check, b.page[i].check);
	}
}

static void round_trip(void **state)
{
	(void)state;
	detail_clear(&a);
	through_a_log();
	assert_int_equal(records, 0);
	same();

	a.have_pages = a.have_registers = true; /* no page at all is known too */
	for (unsigned i = 0; i < DETAIL_REGISTERS; i++)
		a.registers[i] = (uint8_t)i;
	through_a_log();
	assert_int_equal(records, 2);
	same();
	assert_true(b.have_registers);
	assert_memory_equal(a.registers, b.registers, DETAIL_REGISTERS);

	for (uint64_t mfn = 0x18000, i = 0; i < DETAIL_PAGES; mfn += 1 + i % 7 * (i % 300), i++)
		detail_add(&a, mfn, mfn * 0x12345);
	assert_int_equal(a.shift, 0);
	assert_int_equal(a.n, DETAIL_PAGES);
	through_a_log();
	same();
}

/* Too many pages become groups, and still say how much their sum changed by. */
static void groups(void **state)
{
	uint16_t sum = 0, got = 0;

	(void)state;
	detail_clear(&a);
	for (uint64_t i = 0; i < 100000; i++) {
		detail_add(&a, 0x18000 + 3 * i, i * i);
		sum = (uint16_t)(sum + i * i);
	}
	assert_true(a.n <= DETAIL_PAGES && a.n > DETAIL_PAGES / 2);
	assert_true(a.shift >= 5 && a.shift <= 7);
	for (uint32_t i = 0; i < a.n; i++)
		got = (uint16_t)(got + a.page[i].check);
	assert_int_equal(sum, got);
	through_a_log();
	same();
}

static void differ(void **state)
{
	struct detail_diff d;

	(void)state;
	detail_clear(&a);
	detail_clear(&b);
	for (uint64_t i = 0; i < 100; i++) {
		if (i != 20)
			detail_add(&a, i, i + 1);
		if (i != 10)
			detail_add(&b, i, i == 30 ? 77 : i + 1);
	}
	detail_compare(&a, &b, &d);
	assert_true(d.have_pages && !d.have_registers);
	assert_int_equal(d.total, 3);
	assert_int_equal(d.n, 3);
	assert_int_equal(d.page[0].mfn, 10);
	assert_int_equal(d.page[0].how, CHANGED_RECORDED);
	assert_int_equal(d.page[1].mfn, 20);
	assert_int_equal(d.page[1].how, CHANGED_REPLAYED);
	assert_int_equal(d.page[2].mfn, 30);
	assert_int_equal(d.page[2].how, CHANGED_OTHERWISE);
	assert_int_equal(d.page[2].frames, 1);
	detail_compare(&a, &a, &d);
	assert_int_equal(d.total, 0);

	/* Nothing is made of what one side does not have. */
	b.have_pages = false;
	detail_compare(&a, &b, &d);
	assert_true(!d.have_pages && d.total == 0);
}

/* One run wrote to so much more that it has groups. */
static void differ_in_groups(void **state)
{
	struct detail_diff d;

	(void)state;
	detail_clear(&a);
	detail_clear(&b);
	for (uint64_t i = 0; i < DETAIL_PAGES; i++) {
		detail_add(&a, i, i + 1);
		detail_add(&b, i, i + 1);
	}
	detail_add(&b, 100000, 5);
	assert_true(b.shift > a.shift);
	detail_compare(&a, &b, &d);
	assert_int_equal(d.total, 1);
	assert_int_equal(d.page[0].how, CHANGED_REPLAYED);
	assert_true(d.page[0].mfn <= 100000 && 100000 < d.page[0].mfn + d.page[0].frames);
	/* More than can be named. */
	detail_clear(&b);
	b.have_pages = true;
	detail_compare(&a, &b, &d);
	assert_int_equal(d.total, a.n);
	assert_int_equal(d.n, DETAIL_DIFFS);
}

static void nonsense(void **state)
{
	struct log_record r = { .type = LOG_PAGES };
	struct detail_page p[DETAIL_RECORD];
	uint8_t shift;
	uint32_t n;

	(void)state;
	assert_false(detail_decode("", 0, &shift, p, &n));
	assert_true(detail_decode("\0", 1, &shift, p, &n));
	assert_int_equal(n, 0);
	assert_false(detail_decode("\xff", 1, &shift, p, &n));
	assert_false(detail_decode("\0\1", 2, &shift, p, &n));           /* no check */
	assert_false(detail_decode("\0\1\0\0\0\0\0", 7, &shift, p, &n)); /* a gap of 0 */
	detail_clear(&a);
	srand(1);
	for (unsigned i = 0; i < 200000; i++) {
		r.len = (uint32_t)rand() % (EVENT_DATA_MAX + 1);
		for (unsigned k = 0; k < r.len; k++)
			r.data[k] = (uint8_t)(k == 0 ? (int)(i % 3) : rand() >> 8);
		r.type = i % 100 == 0 ? LOG_REGISTERS : LOG_PAGES;
		detail_take(&a, &r);
		assert_true(a.n <= DETAIL_PAGES);
		for (uint32_t k = 1; k < a.n; k += 97)
			assert_true(a.page[k].group > a.page[k - 1].group);
		if (i % 1000 == 0)
			detail_clear(&a);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(round_trip), cmocka_unit_test(groups), cmocka_unit_test(differ),
		cmocka_unit_test(differ_in_groups), cmocka_unit_test(nonsense),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
