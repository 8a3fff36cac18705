/*
 * options.h - structures of the public interface that grow.
 *
 * They begin with their size, as the program knew them that was compiled with them, and grow
 * at their end only; zero is what a program means that does not know a field.  So a library
 * takes the shorter one of an older program, and the longer one of a newer program as long as
 * that asks for nothing the library does not know.
 */
#ifndef TTD_UTIL_OPTIONS_H
#define TTD_UTIL_OPTIONS_H

#include <stddef.h>

#include "util/err.h"

/*
 * Fills *own from what a caller gave.  `last`: the last member of the structure's first
 * release, without which it was not initialised; `init`: what does that.  -1: *e.
 */
#define OPTIONS_TAKE(own, theirs, last, init, e) \
	((void)sizeof((own) == (theirs)) /* both point to the same type */, \
		options_take((own), sizeof *(own), (theirs), \
			offsetof(__typeof__(*(own)), last) + sizeof (own)->last, (init), (e)))

int options_take(void *own, size_t size, const void *theirs, size_t first, const char *init,
	struct ttd_error *e);

#endif
