/*
 * util_text.c - whatever bytes a name has, nothing of it drives a terminal, and
 * JSON with it in it is valid; opening files that are not what they seem.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"
#include "util/interrupt.h"
#include "util/json.h"
#include "util/regular.h"
#include "util/text.h"

enum { ROUNDS = 20000 };

/* Of our own: RFC 3629 by its table, C0, C1 and what turns or ends lines. */
static bool harmless(const unsigned char *s, size_t n)
{
	while (n > 0) {
		uint32_t c = s[0];
		size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

		if (len == 0 || len > n)
			return false;
		c = len == 1 ? c : c & (0x7fu >> len);
		for (size_t i = 1; i < len; i++) {
			if ((s[i] & 0xc0) != 0x80)
				return false;
			c = c << 6 | (s[i] & 0x3f);
		}
		if ((len == 3 && c < 0x800) || (len == 4 && c < 0x10000) || c > 0x10ffff ||
			(c >= 0xd800 && c < 0xe000) || c < ' ' || (c >= 0x7f && c < 0xa0))
			return false;
		if ((c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) ||
			(c >= 0x2066 && c <= 0x2069)))
			return false;
		s += len;
		n -= len;
	}
	return true;
}

/* A JSON text: quoted, with the escapes that there are. */
static bool json_ok(const char *s, size_t n)
{
	if (n < 2 || s[0] != '"' || s[n - 1] != '"' || !harmless((const void *)s, n))
		return false;
	for (size_t i = 1; i < n - 1; i++) {
		if (s[i] == '"')
			return false;
		if (s[i] != '\\')
			continue;
		if (++i >= n - 1 || strchr("\"\\nrtu", s[i]) == NULL)
			return false;
		if (s[i] == 'u') {
			if (i + 4 >= n - 1 || strspn(s + i + 1, "0123456789abcdef") < 4)
				return false;
			i += 4;
		}
	}
	return true;
}

static size_t any_bytes(unsigned *seed, unsigned char *p, size_t max)
{
	static const char *const likely[] = {"\033]0;x\007", "\xc2\x9b", "\xe2\x80\xae", "\xed\xa0\x80",
		"\xf4\x90\x80\x80", "\xc0\x80", "\xe4\xbd\xa0", "\"\\", "\n", "\x7f"};
	size_t n = 0;

	while (n + 8 < max && (*seed = *seed * 1664525 + 1013904223) >> 28 != 0) {
		unsigned k = *seed >> 20 & 31;

		if (k < 10) {
			memcpy(p + n, likely[k], strlen(likely[k]));
			n += strlen(likely[k]);
		} else {
			p[n++] = (unsigned char)(*seed >> 12 | (k < 12 ? 0x80 : 0));
		}
	}
	for (size_t i = 0; i < n; i++)
		if (p[i] == 0)
			p[i] = 1;
	p[n] = '\0';
	return n;
}

static void every_name(void **state)
{
	char out[TEXT_ROOM(200)], small[24], clean[200];
	unsigned char name[200];
	unsigned seed = 3;

	(void)state;
	for (unsigned i = 0; i < ROUNDS; i++) {
		size_t n = any_bytes(&seed, name, sizeof name);
		char json[2000];
		struct json j = {.text = json, .size = sizeof json};

		text_shown(out, sizeof out, (char *)name);
		assert_true(harmless((void *)out, strlen(out)));
		text_shown(small, sizeof small, (char *)name);
		assert_true(harmless((void *)small, strlen(small)));
		assert_true(strncmp(small, out, strlen(small)) == 0);
		memcpy(clean, name, n + 1);
		text_clean(clean);
		assert_int_equal(strlen(clean), n);
		assert_true(harmless((void *)clean, n));
		assert_true(text_plain((char *)name) == (strcmp(clean, (char *)name) == 0));
		json_text(&j, NULL, (char *)name);
		assert_true(json_ok(json, j.at));
		j.at = 0;
		j.comma = false;
		json_latin1(&j, NULL, name, n);
		assert_true(json_ok(json, j.at));
	}
	text_shown(out, sizeof out, "\xe4\xbd\xa0 plain");
	assert_string_equal(out, "\xe4\xbd\xa0 plain");
	text_shown(out, sizeof out, "a\nb\033[31m");
	assert_string_equal(out, "a\\x0ab\\x1b[31m");
}

static void one_document(void **state)
{
	char text[300];
	struct json j = {.text = text, .size = sizeof text};

	(void)state;
	json_open(&j, NULL, '{');
	json_text(&j, "a", "x");
	json_open(&j, "b", '[');
	json_open(&j, NULL, '{');
	json_close(&j, '}');
	json_unsigned(&j, NULL, UINT64_MAX);
	json_close(&j, ']');
	json_bool(&j, "c", false);
	json_hex(&j, "d", 0x1f);
	json_digest(&j, "e", 0x1f);
	json_hexdump(&j, "f", "\x01\xff", 2);
	json_ms(&j, "g", 1.5);
	json_number(&j, "h", -3);
	json_close(&j, '}');
	text[j.at] = '\0';
	assert_string_equal(text, "{\"a\":\"x\",\"b\":[{},18446744073709551615],\"c\":false,"
		"\"d\":\"0x1f\",\"e\":\"000000000000001f\",\"f\":\"01ff\",\"g\":1.500,\"h\":-3}");
	/* What does not fit is lost, and nothing else. */
	j = (struct json){.text = text, .size = 5};
	memset(text, 'z', sizeof text);
	json_text(&j, NULL, "abcdefgh");
	assert_int_equal(j.at, 5);
	assert_memory_equal(text, "\"abcdz", 6);
}

static void error_texts(void **state)
{
	unsigned char name[200];
	unsigned seed = 5;
	struct ttd_error e;

	(void)state;
	for (unsigned i = 0; i < 5000; i++) {
		any_bytes(&seed, name, sizeof name);
		err_set(&e, TTD_HOST, "%s %s %s", (char *)name, (char *)name, (char *)name);
		assert_true(harmless((void *)e.text, strlen(e.text)));
	}
}

static void files(void **state)
{
	char dir[] = "/tmp/ttd-text.XXXXXX", file[60], link_[60], fifo[60];
	uint64_t size;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/file", dir);
	snprintf(link_, sizeof link_, "%s/link", dir);
	snprintf(fifo, sizeof fifo, "%s/fifo", dir);
	alarm(20); /* opening a FIFO would wait */
	assert_int_equal(mkfifo(fifo, 0600), 0);
	fd = regular_create(file, false);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "12345", 5), 5);
	close(fd);
	assert_int_equal(symlink(file, link_), 0);
	assert_int_equal(regular_open(fifo, REGULAR_FOLLOW, NULL), -1);
	assert_int_equal(regular_open("/dev/zero", REGULAR_FOLLOW, NULL), -1);
	assert_int_equal(errno, ENODEV);
	assert_int_equal(regular_open(dir, REGULAR_FOLLOW, NULL), -1);
	assert_int_equal(regular_open(link_, REGULAR_NOFOLLOW, NULL), -1);
	assert_int_equal(errno, ELOOP);
	fd = regular_open(link_, REGULAR_FOLLOW, &size);
	assert_true(fd >= 0 && size == 5);
	close(fd);
	/* Never through a link, nor into a file that has another name. */
	assert_int_equal(regular_create(link_, true), -1);
	assert_int_equal(regular_update(link_), -1);
	assert_int_equal(regular_create(fifo, true), -1);
	assert_int_equal(regular_create(file, false), -1);
	fd = regular_create(file, true);
	assert_true(fd >= 0);
	close(fd);
	unlink(link_);
	assert_int_equal(link(file, link_), 0);
	assert_int_equal(regular_create(link_, true), -1);
	assert_int_equal(errno, EMLINK);
	assert_int_equal(regular_sync_folder(file), 0);
	alarm(0);
	unlink(file);
	unlink(link_);
	unlink(fifo);
	rmdir(dir);
}

static void interrupted(void **state)
{
	sigset_t s;
	int sig;

	(void)state;
	sigemptyset(&s);
	sigaddset(&s, SIGTERM);
	sigprocmask(SIG_BLOCK, &s, NULL);
	assert_false(interrupt_pending());
	raise(SIGTERM);
	assert_true(interrupt_pending());
	assert_int_equal(sigwait(&s, &sig), 0);
	assert_false(interrupt_pending());
	sigprocmask(SIG_UNBLOCK, &s, NULL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_name), cmocka_unit_test(one_document),
		cmocka_unit_test(error_texts), cmocka_unit_test(files), cmocka_unit_test(interrupted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
