/*
 * kept.h - what is kept of a kernel in the user's cache, made before it is needed.
 *
 * Unpacking (xz, gzip, zstd...) and reading symbols are much code that works on a file which
 * may be a stranger's.  So a child does both, which can read that file and make those two
 * files of the cache, and nothing else; whoever builds the machine finds them there.
 */
#ifndef TTD_LIB_KEPT_H
#define TTD_LIB_KEPT_H

#include <stdbool.h>

/* `names`: the symbols too.  What does not work out is done later, by who needs it. */
void kept_prepare(const char *kernel, bool names);

#endif
