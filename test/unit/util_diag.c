/* util_diag.c - tests of errors, messages and numbers from users. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util/diag.h"
#include "util/parse.h"

static void error_text(void **state)
{
	struct ttd_error e;
	char big[1000];

	(void)state;
	assert_int_equal(err_set(&e, TTD_USAGE, "%s: no such key", "disk"), -1);
	assert_int_equal(e.status, TTD_USAGE);
	assert_string_equal(e.text, "disk: no such key");
	assert_int_equal(err_set(NULL, TTD_HOST, "ignored"), -1);
	memset(big, 'x', sizeof big - 1);
	big[sizeof big - 1] = '\0';
	err_set(&e, TTD_HOST, "%s", big);
	assert_int_equal(strlen(e.text), sizeof e.text - 1);
	err_set(&e, TTD_HOST, "a\nb\033[31m");
	assert_string_equal(e.text, "a?b?[31m");
}

static void sizes(void **state)
{
	static const struct {
		const char *text;
		uint64_t value; /* 0: refused */
	} table[] = {
		{"1", 1}, {"65536", 65536}, {"64K", 64 << 10}, {"500M", UINT64_C(500) << 20},
		{"20G", UINT64_C(20) << 30}, {"3T", UINT64_C(3) << 40}, {"K", 0}, {"", 0}, {"1k", 0},
		{"1KB", 0}, {"-1", 0}, {"0x10", 0}, {"1.5G", 0}, {"99999999999999999999999G", 0},
		{"18446744073709551615K", 0}, {"0", 0},
	};
	uint64_t v;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof *table; i++) {
		v = 0;
		assert_int_equal(parse_size(table[i].text, 1, UINT64_MAX, &v),
			table[i].value != 0 ? 0 : -1);
		assert_true(v == table[i].value);
	}
}

/* Who returned -1 without err_set() still made an error of it. */
static void error_unnamed(void **state)
{
	struct ttd_error e = TTD_ERROR_INIT, zero = {0};

	(void)state;
	assert_int_equal(e.status, TTD_HOST);
	assert_non_null(strstr(e.text, "did not say why"));
	err_complete(&zero);
	assert_int_equal(zero.status, TTD_HOST);
	assert_string_equal(zero.text, e.text);
	err_set(&e, TTD_USAGE, "named");
	err_complete(&e);
	assert_int_equal(e.status, TTD_USAGE);
	assert_string_equal(e.text, "named");
}

static void plain_when_not_terminal(void **state)
{
	struct diag d;
	struct ttd_error e;
	char buf[200] = "";
	FILE *f = tmpfile();

	(void)state;
	assert_non_null(f);
	diag_init(&d, f, "ttd");
	assert_false(d.colour);
	diag_progress(&d, "loading", 1, 2, "MB");
	diag_print(&d, DIAG_WARNING, "%d things", 3);
	err_set(&e, TTD_HOST, "no memory");
	assert_int_equal(diag_err(&d, &e), 1);
	d.raw = true;
	diag_print(&d, DIAG_NOTE, "raw");
	rewind(f);
	assert_true(fread(buf, 1, sizeof buf - 1, f) > 0);
	assert_string_equal(buf, "ttd: warning: 3 things\nttd: no memory\nttd: raw\r\n");
	fclose(f);
}

static void progress_line(void **state)
{
	struct diag d;
	char buf[300] = "";
	FILE *f = tmpfile();

	(void)state;
	diag_init(&d, f, "ttd");
	d.terminal = true;
	diag_progress(&d, "seek", 1, 4, "s");
	diag_progress(&d, "seek", UINT64_MAX, 4, "s");
	diag_progress(&d, "seek", 9, 0, "s");
	diag_print(&d, DIAG_NOTE, "done");
	diag_progress_end(&d);
	rewind(f);
	assert_true(fread(buf, 1, sizeof buf - 1, f) > 0);
	assert_non_null(strstr(buf, "seek: 25% (1 of 4 s)"));
	assert_non_null(strstr(buf, "seek: 100%"));
	assert_non_null(strstr(buf, "seek: 9 s\r\033[Kttd: done\n"));
	fclose(f);
}

/* What is longer than the terminal is wide would make new lines of old ones. */
static void narrow_terminal(void **state)
{
	struct winsize size = {.ws_row = 5, .ws_col = 20};
	int pty = posix_openpt(O_RDWR | O_NOCTTY);
	struct diag d;
	char buf[300] = "";
	FILE *f;

	(void)state;
	if (pty < 0 || grantpt(pty) != 0 || unlockpt(pty) != 0)
		skip();
	f = fopen(ptsname(pty), "we");
	if (f == NULL || ioctl(fileno(f), TIOCSWINSZ, &size) != 0)
		skip();
	diag_init(&d, f, "ttd");
	d.terminal = true;
	diag_progress(&d, "seeking backwards", 1, 4, "s");
	assert_true(read(pty, buf, sizeof buf - 1) > 0);
	assert_string_equal(buf, "\r\033[Kseeking backwards: ");
	fclose(f);
	close(pty);
}

static void numbers(void **state)
{
	static const char *const wrong[] = {"", "0x", "abc", "-1", "+1", " 1", "1 ", "1k", "0x1g",
		"18446744073709551616", "99", "4"};
	uint64_t v = 0;

	(void)state;
	assert_int_equal(parse_u64("42", 5, 98, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(parse_u64("0x2A", 5, 98, &v), 0);
	assert_int_equal(v, 42);
	assert_int_equal(parse_u64("010", 5, 98, &v), 0);
	assert_int_equal(v, 10);
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(parse_u64(wrong[i], 5, 98, &v), -1);
	assert_int_equal(v, 10);
	assert_int_equal(parse_u64("18446744073709551615", 0, UINT64_MAX, &v), 0);
	assert_true(v == UINT64_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(error_text),
		cmocka_unit_test(error_unnamed),
		cmocka_unit_test(sizes),
		cmocka_unit_test(plain_when_not_terminal),
		cmocka_unit_test(progress_line),
		cmocka_unit_test(narrow_terminal),
		cmocka_unit_test(numbers),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
