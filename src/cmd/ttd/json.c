/*
 * json.c - writing JSON; see json.h.
 */
#include "cmd/ttd/json.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* Length of the UTF-8 character at s[0..n); 0: it is none (RFC 3629). */
static size_t utf8(const unsigned char *s, size_t n)
{
	size_t len = s[0] < 0x80 ? 1 : s[0] >= 0xc2 && s[0] < 0xe0 ? 2
		: s[0] >= 0xe0 && s[0] < 0xf0 ? 3 : s[0] >= 0xf0 && s[0] < 0xf5 ? 4 : 0;

	if (len == 0 || len > n)
		return 0;
	for (size_t i = 1; i < len; i++)
		if ((s[i] & 0xc0) != 0x80)
			return 0;
	if ((s[0] == 0xe0 && s[1] < 0xa0) || (s[0] == 0xed && s[1] >= 0xa0) ||
		(s[0] == 0xf0 && s[1] < 0x90) || (s[0] == 0xf4 && s[1] >= 0x90))
		return 0;
	return len;
}

static void string(const char *text, size_t n)
{
	const unsigned char *s = (const unsigned char *)text;

	putchar('"');
	while (n > 0) {
		size_t len = utf8(s, n);

		if (*s == '"' || *s == '\\')
			printf("\\%c", *s);
		else if (len == 0 || *s < ' ' || *s == 0x7f)
			printf("\\u%04x", *s);
		else
			fwrite(s, 1, len, stdout);
		len = len != 0 ? len : 1;
		s += len;
		n -= len;
	}
	putchar('"');
}

static void key_of(struct json *j, const char *key)
{
	if (j->comma)
		putchar(',');
	j->comma = true;
	if (key != NULL)
		printf("\"%s\":", key);
}

void json_open(struct json *j, const char *key, char bracket)
{
	key_of(j, key);
	putchar(bracket);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	putchar(bracket);
	j->comma = true;
}

void json_bytes(struct json *j, const char *key, const char *s, size_t n)
{
	key_of(j, key);
	string(s, n);
}

void json_text(struct json *j, const char *key, const char *s)
{
	json_bytes(j, key, s, strlen(s));
}

void json_number(struct json *j, const char *key, int64_t n)
{
	key_of(j, key);
	printf("%" PRId64, n);
}

void json_bool(struct json *j, const char *key, bool b)
{
	key_of(j, key);
	fputs(b ? "true" : "false", stdout);
}

void json_hex(struct json *j, const char *key, uint64_t n)
{
	key_of(j, key);
	printf("\"0x%" PRIx64 "\"", n);
}
