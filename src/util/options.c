/*
 * options.c - see options.h.
 */
#include "util/options.h"

#include <string.h>

/* No structure grows by that much: its size is none. */
enum { NEWER_MAX = 4096 };

int options_take(void *own, size_t size, const void *theirs, size_t first, const char *init,
	struct ttd_error *e)
{
	size_t given;

	memcpy(&given, theirs, sizeof given);
	if (given < first || given > size + NEWER_MAX)
		return err_set(e, TTD_USAGE, "the structure that %s is for was not initialised", init);
	for (size_t i = size; i < given; i++)
		if (((const unsigned char *)theirs)[i] != 0)
			return err_set(e, TTD_USAGE, "this libttd is older than the program, and does not "
				"know all that it asks for (what %s is for, at byte %zu)", init, i);
	memset(own, 0, size);
	memcpy(own, theirs, given < size ? given : size);
	memcpy(own, &size, sizeof size);
	return 0;
}
