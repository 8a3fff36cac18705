/*
 * position.c - the parser of positions; see position.h.
 */
#include "trace/position.h"

#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "util/parse.h"

static int bad(const char *text, struct ttd_error *e)
{
	return err_set(e, TTD_USAGE, "position '%.200s': give an instruction count, brctr:N, N%%, "
		"event:N, time:SECONDS, console:TEXT, panic, before:console:TEXT, before:panic, start "
		"or end", text);
}

static int beyond(const char *text, uint64_t end, struct ttd_error *e)
{
	return err_set(e, TTD_USAGE, "position '%.200s' lies after the end of the trace (%" PRIu64
		")", text, end);
}

/* "12", "12.5": in units of 10^-9; digits and at most one point only. */
static int parse_decimal(const char *s, size_t len, uint64_t max, uint64_t *out)
{
	uint64_t whole = 0, part = 0, unit = 1000000000;
	size_t i = 0;

	if (len == 0 || s[0] == '.')
		return -1;
	for (; i < len && s[i] >= '0' && s[i] <= '9'; i++)
		if ((whole = whole * 10 + (uint64_t)(s[i] - '0')) > max)
			return -1;
	if (i < len && s[i] == '.')
		for (i++; i < len && s[i] >= '0' && s[i] <= '9'; i++) {
			unit /= 10;
			part += (uint64_t)(s[i] - '0') * unit;
		}
	*out = whole * 1000000000 + part;
	return i == len ? 0 : -1;
}

static int parse_percent(const char *text, size_t len, uint64_t icount, struct position *p)
{
	uint64_t n;

	if (parse_decimal(text, len, 100, &n) != 0 || n > UINT64_C(100000000000))
		return -1;
	p->n = (uint64_t)((unsigned __int128)icount * n / UINT64_C(100000000000));
	if (n == UINT64_C(100000000000))
		p->kind = POSITION_END;
	return 0;
}

static int parse_icount(const char *text, struct position *p)
{
	const char *point = strchr(text, '.');
	char number[24];
	uint64_t moment = 0;

	if (point != NULL && (parse_u64(point + 1, 0, UINT32_MAX, &moment) != 0 ||
		point - text >= (long)sizeof number))
		return -1;
	if (point == NULL)
		return parse_u64(text, 0, INT64_MAX, &p->n);
	memcpy(number, text, (size_t)(point - text));
	number[point - text] = '\0';
	p->moment = (uint32_t)moment;
	return parse_u64(number, 0, INT64_MAX, &p->n);
}

/* What is printed; 1: it is none of these, -1: it is nonsense. */
static int parse_printed(const char *text, struct position *p)
{
	p->back = strncmp(text, "before:", 7) == 0;
	if (p->back)
		text += 7;
	if (strcmp(text, "panic") == 0) {
		p->kind = POSITION_PANIC;
		return 0;
	}
	if (strncmp(text, "console:", 8) != 0)
		return p->back ? -1 : 1;
	p->kind = POSITION_CONSOLE;
	p->text = text + 8;
	return *p->text != '\0' ? 0 : -1;
}

int position_parse(const char *text, uint64_t icount, uint64_t brctr, struct position *p,
	struct ttd_error *e)
{
	size_t len = strlen(text);
	int printed;

	*p = (struct position){ .kind = POSITION_ICOUNT };
	if (strcmp(text, "start") == 0)
		return 0;
	if (strcmp(text, "end") == 0) {
		p->kind = POSITION_END;
		return 0;
	}
	printed = parse_printed(text, p);
	if (printed <= 0)
		return printed == 0 ? 0 : bad(text, e);
	if (strncmp(text, "brctr:", 6) == 0) {
		p->kind = POSITION_BRCTR;
		if (parse_u64(text + 6, 1, INT64_MAX, &p->n) != 0)
			return bad(text, e);
		return p->n <= brctr ? 0 : beyond(text, brctr, e);
	}
	if (strncmp(text, "event:", 6) == 0) {
		p->kind = POSITION_EVENT;
		return parse_u64(text + 6, 1, INT64_MAX, &p->n) == 0 ? 0 : bad(text, e);
	}
	if (strncmp(text, "time:", 5) == 0) {
		p->kind = POSITION_TIME;
		return parse_decimal(text + 5, len - 5, 1000000000, &p->n) == 0 ? 0 : bad(text, e);
	}
	if (len > 1 && text[len - 1] == '%')
		return parse_percent(text, len - 1, icount, p) == 0 ? 0 : bad(text, e);
	if (parse_icount(text, p) != 0)
		return bad(text, e);
	return p->n <= icount ? 0 : beyond(text, icount, e);
}
