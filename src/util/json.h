/*
 * json.h - writing JSON, one value after the other: the only writer of it.
 * Whatever bytes a text has, what comes out is valid: what is not UTF-8 and
 * control characters are escaped (a stray byte as U+00XX).  Addresses and
 * digests are texts, because many readers round large numbers.
 *
 *	struct json j = {.to = stdout};
 *	json_open(&j, NULL, '{');
 *	json_text(&j, "name", name);
 *	json_close(&j, '}');
 */
#ifndef TTD_UTIL_JSON_H
#define TTD_UTIL_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

struct json {
	FILE *to;    /* NULL: into `text`, which has `size` bytes, `at` of them used */
	char *text;  /* what does not fit is lost; no zero is put after it */
	size_t size, at;
	bool comma;  /* something stands before the next value */
};

/* `key` is NULL in lists and outermost. */
void json_open(struct json *j, const char *key, char bracket); /* '{' or '[' */
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *s);
void json_bytes(struct json *j, const char *key, const char *s, size_t n);
void json_latin1(struct json *j, const char *key, const void *p, size_t n); /* each byte U+00XX */
void json_number(struct json *j, const char *key, int64_t n);
void json_unsigned(struct json *j, const char *key, uint64_t n);
void json_ms(struct json *j, const char *key, double ms); /* with three decimals */
void json_bool(struct json *j, const char *key, bool b);
void json_hex(struct json *j, const char *key, uint64_t n);    /* "0x1f" */
void json_digest(struct json *j, const char *key, uint64_t n); /* "000000000000001f" */
void json_hexdump(struct json *j, const char *key, const void *p, size_t n); /* "00ff..." */
void json_end(struct json *j); /* the line's end; another value may follow */

#endif
