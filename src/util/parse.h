/*
 * parse.h - numbers as users write them, strictly: the whole text must be the
 * number, in range; nothing is guessed, clipped or ignored.
 */
#ifndef TTD_UTIL_PARSE_H
#define TTD_UTIL_PARSE_H

#include <stdint.h>

/* What a hexadecimal digit stands for; 16: it is none. */
int parse_digit(char c);

/* Decimal, or hexadecimal after 0x.  0, or -1 when it is not a number in [min, max]. */
int parse_u64(const char *text, uint64_t min, uint64_t max, uint64_t *value);

/* Bytes: decimal, with K, M, G or T after it for units of 1024 and its powers. */
int parse_size(const char *text, uint64_t min, uint64_t max, uint64_t *value);

#endif
