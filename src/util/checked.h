/*
 * checked.h - arithmetic that says when it overflows.  Each returns true and
 * stores the result, or returns false and leaves *r alone.  Meant for sizes
 * and offsets that come from a file, a guest or a command line.
 */
#ifndef TTD_UTIL_CHECKED_H
#define TTD_UTIL_CHECKED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

static inline bool add_u64(uint64_t a, uint64_t b, uint64_t *r)
{
	uint64_t v;

	if (__builtin_add_overflow(a, b, &v))
		return false;
	*r = v;
	return true;
}

static inline bool mul_u64(uint64_t a, uint64_t b, uint64_t *r)
{
	uint64_t v;

	if (__builtin_mul_overflow(a, b, &v))
		return false;
	*r = v;
	return true;
}

static inline bool add_size(size_t a, size_t b, size_t *r)
{
	size_t v;

	if (__builtin_add_overflow(a, b, &v))
		return false;
	*r = v;
	return true;
}

static inline bool mul_size(size_t a, size_t b, size_t *r)
{
	size_t v;

	if (__builtin_mul_overflow(a, b, &v))
		return false;
	*r = v;
	return true;
}

/* [off, off + n) lies within [0, total), whatever the numbers. */
static inline bool range_ok(uint64_t off, uint64_t n, uint64_t total)
{
	return off <= total && n <= total - off;
}

/* Up to the next multiple of a power of two. */
static inline bool round_up_u64(uint64_t v, uint64_t align, uint64_t *r)
{
	uint64_t sum;

	if (!add_u64(v, align - 1, &sum))
		return false;
	*r = sum & ~(align - 1);
	return true;
}

#endif
