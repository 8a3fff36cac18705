/*
 * Structures that grow: an older program's, a newer one's, and one that nobody initialised.
 */
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <setjmp.h>

#include <cmocka.h>

#include "util/options.h"

/* Of the first release; of this library, which has grown; of a program that is newer. */
struct first {
	size_t size;
	uint32_t a;
	const char *b;
};
struct ours {
	size_t size;
	uint32_t a;
	const char *b;
	uint64_t c;
};
struct newer {
	size_t size;
	uint32_t a;
	const char *b;
	uint64_t c;
	uint32_t d[3];
};

static int take(struct ours *o, const void *theirs, struct ttd_error *e)
{
	memset(o, 0xff, sizeof *o);
	return OPTIONS_TAKE(o, (const struct ours *)theirs, b, "TTD_X_INIT", e);
}

static void same_size(void **state)
{
	struct ours o, t = {sizeof t, 1, "two", 3};

	(void)state;
	assert_int_equal(take(&o, &t, NULL), 0);
	assert_memory_equal(&o, &t, sizeof o);
}

static void older(void **state)
{
	struct first *t = malloc(sizeof *t); /* a sanitizer sees who reads beyond it */
	struct ours o;

	(void)state;
	*t = (struct first){sizeof *t, 1, "two"};
	assert_int_equal(take(&o, t, NULL), 0);
	assert_int_equal(o.size, sizeof o);
	assert_int_equal(o.a, 1);
	assert_string_equal(o.b, "two");
	assert_int_equal(o.c, 0);
	free(t);
}

static void newer(void **state)
{
	struct newer t = {sizeof t, 1, "two", 3, {0}};
	struct ttd_error e = TTD_ERROR_INIT;
	struct ours o;

	(void)state;
	assert_int_equal(take(&o, &t, &e), 0);
	assert_int_equal(o.size, sizeof o);
	assert_int_equal(o.c, 3);
	t.d[2] = 1;
	assert_int_equal(take(&o, &t, &e), -1);
	assert_int_equal(e.status, TTD_USAGE);
	assert_non_null(strstr(e.text, "older than the program"));
}

static void not_initialised(void **state)
{
	static const size_t wrong[] = {0, 8, offsetof(struct ours, b), sizeof(struct first) - 1,
		SIZE_MAX, (size_t)1 << 40};
	struct ours o, t = {0, 1, "two", 3};
	struct ttd_error e;

	(void)state;
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++) {
		e = (struct ttd_error)TTD_ERROR_INIT;
		t.size = wrong[i];
		assert_int_equal(take(&o, &t, &e), -1);
		assert_int_equal(e.status, TTD_USAGE);
		assert_non_null(strstr(e.text, "TTD_X_INIT"));
		assert_non_null(strstr(e.text, "was not initialised"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(same_size), cmocka_unit_test(older), cmocka_unit_test(newer),
		cmocka_unit_test(not_initialised),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
