/*
 * parse.c - strict numbers.  strtoull() would accept blanks, signs, octal and
 * trailing text, each of which turns a typing error into a wrong number.
 */
#include "util/parse.h"

#include <string.h>

#include "util/checked.h"

int parse_digit(char c)
{
	if (c >= '0' && c <= '9')
		return c - '0';
	if (c >= 'a' && c <= 'f')
		return c - 'a' + 10;
	if (c >= 'A' && c <= 'F')
		return c - 'A' + 10;
	return 16;
}

int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	uint64_t v = 0;
	int base = 10;

	if (text[0] == '0' && (text[1] == 'x' || text[1] == 'X')) {
		base = 16;
		text += 2;
	}
	if (*text == '\0')
		return -1;
	for (; *text != '\0'; text++) {
		int n = parse_digit(*text);

		if (n >= base || !mul_u64(v, (uint64_t)base, &v) ||
			!add_u64(v, (uint64_t)n, &v))
			return -1;
	}
	if (v < min || v > max)
		return -1;
	*value = v;
	return 0;
}

int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *value)
{
	static const char units[] = "KMGT";
	size_t n = strlen(text);
	const char *unit = n > 1 && n < 24 ? strchr(units, text[n - 1]) : NULL;
	char number[24];
	uint64_t v;

	if (n >= sizeof number || strchr(text, 'x') != NULL || strchr(text, 'X') != NULL)
		return -1;
	memcpy(number, text, n + 1);
	if (unit != NULL)
		number[n - 1] = '\0';
	if (parse_u64(number, 0, UINT64_MAX, &v) != 0 ||
		!mul_u64(v, UINT64_C(1) << (unit != NULL ? 10 * (unit - units + 1) : 0), &v) ||
		v < min || v > max)
		return -1;
	*value = v;
	return 0;
}
