/*
 * reserve.h - taking addresses that nothing is mapped at.
 */
#ifndef TTD_UTIL_RESERVE_H
#define TTD_UTIL_RESERVE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

uint64_t reserve_random(void);
/* [at, at + n), both multiples of a page, without access; false: something is there. */
bool reserve(uint64_t at, size_t n);

#endif
