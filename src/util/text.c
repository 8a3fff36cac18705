/*
 * text.c - what may be shown on a terminal; see text.h.
 */
#include "util/text.h"

#include <string.h>

size_t text_utf8(const void *text, size_t n)
{
	const unsigned char *s = text;
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

/* U+200E, U+200F, U+202A to U+202E, U+2066 to U+2069; lines that end: U+2028, U+2029. */
static bool turns(const unsigned char *s)
{
	return s[0] == 0xe2 && ((s[1] == 0x80 && (s[2] == 0x8e || s[2] == 0x8f ||
		(s[2] >= 0xa8 && s[2] <= 0xae))) || (s[1] == 0x81 && s[2] >= 0xa6 && s[2] <= 0xa9));
}

size_t text_printable(const void *text, size_t n)
{
	const unsigned char *s = text;
	size_t len = text_utf8(text, n);

	if ((len == 1 && (s[0] < ' ' || s[0] == 0x7f)) || (len == 2 && s[0] == 0xc2 && s[1] < 0xa0) ||
		(len == 3 && turns(s)))
		return 0;
	return len;
}

void text_print(FILE *to, const void *text, size_t n)
{
	const unsigned char *s = text;

	while (n > 0) {
		size_t len = text_printable(s, n);

		if (len == 0 && *s != '\t')
			fprintf(to, "\\x%02x", *s);
		else if (len == 0)
			putc('\t', to);
		else
			fwrite(s, 1, len, to);
		len = len != 0 ? len : 1;
		s += len;
		n -= len;
	}
}

const char *text_shown(char *out, size_t size, const char *s)
{
	size_t n = strlen(s), at = 0;

	while (n > 0) {
		size_t len = text_printable(s, n), need = len != 0 ? len : 4;

		if (size - at <= need)
			break;
		if (len == 0)
			snprintf(out + at, size - at, "\\x%02x", (unsigned char)*s);
		else
			memcpy(out + at, s, len);
		at += need;
		len = len != 0 ? len : 1;
		s += len;
		n -= len;
	}
	out[at] = '\0';
	return out;
}

void text_clean(char *s)
{
	size_t n = strlen(s);

	while (n > 0) {
		size_t len = text_printable(s, n);

		if (len == 0)
			*s = '?';
		len = len != 0 ? len : 1;
		s += len;
		n -= len;
	}
}

bool text_plain(const char *s)
{
	size_t n = strlen(s), len;

	for (; n > 0; s += len, n -= len)
		if ((len = text_printable(s, n)) == 0)
			return false;
	return true;
}

bool text_is_name(const char *s)
{
	static const char allowed[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
				      "0123456789._+-~";

	return *s != '\0' && *s != '-' && *s != '.' && *s != '~' && strlen(s) <= 64 &&
		strspn(s, allowed) == strlen(s);
}
