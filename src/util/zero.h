/*
 * zero.h - a page of zeros, and whether bytes are zeros.
 */
#ifndef TTD_UTIL_ZERO_H
#define TTD_UTIL_ZERO_H

#include <stdbool.h>
#include <stdint.h>
#include <string.h>

enum { ZERO_PAGE = 4096 };
extern const uint8_t zero_page[ZERO_PAGE];

static inline bool is_zero(const void *p, size_t n)
{
	const uint8_t *b = p;

	return n == 0 || (b[0] == 0 && memcmp(b, b + 1, n - 1) == 0);
}

#endif
