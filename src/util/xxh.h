/*
 * xxh.h - XXH3 (libxxhash), as fast as this CPU can.
 *
 * The library's plain functions are made for any x86-64; those that look which CPU it is
 * give the same digests six times as fast, from a kilobyte on.  It has them where it has
 * the header for them.
 */
#ifndef TTD_UTIL_XXH_H
#define TTD_UTIL_XXH_H

#define XXH_STATIC_LINKING_ONLY /* the state on the stack */
#include <xxhash.h>

#if __has_include(<xxh_x86dispatch.h>)
#include <xxh_x86dispatch.h>
#endif

#endif
