/*
 * json.c - writing JSON; see json.h.
 */
#include "util/json.h"

#include <inttypes.h>
#include <stdarg.h>
#include <string.h>

#include "util/text.h"

static void put(struct json *j, const void *p, size_t n)
{
	if (j->to != NULL) {
		fwrite(p, 1, n, j->to);
		return;
	}
	if (n > j->size - j->at)
		n = j->size - j->at;
	memcpy(j->text + j->at, p, n);
	j->at += n;
}

__attribute__((format(printf, 2, 3)))
static void putf(struct json *j, const char *fmt, ...)
{
	char text[64];
	va_list ap;
	int n;

	va_start(ap, fmt);
	n = vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	put(j, text, n < 0 ? 0 : (size_t)n < sizeof text ? (size_t)n : sizeof text - 1);
}

/* What drives a terminal is valid in JSON, but somebody may look at it on one. */
static void string(struct json *j, const void *text, size_t n)
{
	const unsigned char *s = text;

	put(j, "\"", 1);
	while (n > 0) {
		size_t len = text_utf8(s, n);

		if (*s == '"' || *s == '\\')
			putf(j, "\\%c", *s);
		else if (len == 2 && text_printable(s, n) == 0)
			putf(j, "\\u%04x", (s[0] & 0x1f) << 6 | (s[1] & 0x3f));
		else if (len == 3 && text_printable(s, n) == 0)
			putf(j, "\\u%04x", (s[0] & 0xf) << 12 | (s[1] & 0x3f) << 6 | (s[2] & 0x3f));
		else if (len == 0 || *s < ' ' || *s == 0x7f)
			putf(j, "\\u%04x", *s);
		else
			put(j, s, len);
		len = len != 0 ? len : 1;
		s += len;
		n -= len;
	}
	put(j, "\"", 1);
}

static void key_of(struct json *j, const char *key)
{
	if (j->comma)
		put(j, ",", 1);
	j->comma = true;
	if (key != NULL) {
		string(j, key, strlen(key));
		put(j, ":", 1);
	}
}

void json_open(struct json *j, const char *key, char bracket)
{
	key_of(j, key);
	put(j, &bracket, 1);
	j->comma = false;
}

void json_close(struct json *j, char bracket)
{
	put(j, &bracket, 1);
	j->comma = true;
}

void json_bytes(struct json *j, const char *key, const char *s, size_t n)
{
	key_of(j, key);
	string(j, s, n);
}

void json_text(struct json *j, const char *key, const char *s)
{
	json_bytes(j, key, s, strlen(s));
}

void json_latin1(struct json *j, const char *key, const void *p, size_t n)
{
	const unsigned char *b = p;

	key_of(j, key);
	put(j, "\"", 1);
	for (size_t i = 0; i < n; i++) {
		if (b[i] == '"' || b[i] == '\\')
			putf(j, "\\%c", b[i]);
		else if (b[i] == '\n' || b[i] == '\r' || b[i] == '\t')
			putf(j, "%s", b[i] == '\n' ? "\\n" : b[i] == '\r' ? "\\r" : "\\t");
		else if (b[i] < ' ' || b[i] >= 0x7f)
			putf(j, "\\u%04x", b[i]);
		else
			put(j, &b[i], 1);
	}
	put(j, "\"", 1);
}

void json_number(struct json *j, const char *key, int64_t n)
{
	key_of(j, key);
	putf(j, "%" PRId64, n);
}

void json_unsigned(struct json *j, const char *key, uint64_t n)
{
	key_of(j, key);
	putf(j, "%" PRIu64, n);
}

void json_ms(struct json *j, const char *key, double ms)
{
	key_of(j, key);
	putf(j, "%.3f", ms);
}

void json_bool(struct json *j, const char *key, bool b)
{
	key_of(j, key);
	putf(j, "%s", b ? "true" : "false");
}

void json_hex(struct json *j, const char *key, uint64_t n)
{
	key_of(j, key);
	putf(j, "\"0x%" PRIx64 "\"", n);
}

void json_digest(struct json *j, const char *key, uint64_t n)
{
	key_of(j, key);
	putf(j, "\"%016" PRIx64 "\"", n);
}

void json_hexdump(struct json *j, const char *key, const void *p, size_t n)
{
	const unsigned char *b = p;

	key_of(j, key);
	put(j, "\"", 1);
	for (size_t i = 0; i < n; i++)
		putf(j, "%02x", b[i]);
	put(j, "\"", 1);
}

void json_end(struct json *j)
{
	put(j, "\n", 1);
	j->comma = false;
}
