/*
 * json.h - writing JSON to standard output, one value after the other.
 * Whatever bytes a text has, what comes out is valid: what is not UTF-8 and
 * control characters are escaped (a stray byte as U+00XX).  Addresses are texts,
 * "0x...", because many readers round large numbers.
 */
#ifndef TTD_CMD_TTD_JSON_H
#define TTD_CMD_TTD_JSON_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct json {
	bool comma; /* something stands before the next value */
};

void json_open(struct json *j, const char *key, char bracket); /* '{' or '['; key may be NULL */
void json_close(struct json *j, char bracket);
void json_text(struct json *j, const char *key, const char *s);
void json_bytes(struct json *j, const char *key, const char *s, size_t n);
void json_number(struct json *j, const char *key, int64_t n);
void json_bool(struct json *j, const char *key, bool b);
void json_hex(struct json *j, const char *key, uint64_t n);

#endif
