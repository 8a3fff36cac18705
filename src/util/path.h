/*
 * path.h - paths put together, and this user's folders for what ttd keeps.
 */
#ifndef TTD_UTIL_PATH_H
#define TTD_UTIL_PATH_H

#include <stdbool.h>
#include <ttd/error.h>

#include "util/err.h"

/* a + b + c; -1 and *e when too long. */
int path_join(char out[TTD_PATH_MAX], const char *a, const char *b, const char *c,
	struct ttd_error *e);

/* The folder and those above it, for the user alone. */
int path_make_folders(const char *path, struct ttd_error *e);

/*
 * ~/.cache/ttd/KIND, where what can be made again is kept; "": all of it.  make: also the
 * folder.
 */
int path_cache(char path[TTD_PATH_MAX], const char *kind, bool make, struct ttd_error *e);

/* ~/.local/state/ttd/NAME, where what cannot be made again is; make: also the folder. */
int path_state(char path[TTD_PATH_MAX], const char *name, bool make);

/* Where the key is that seals this user's traces: no confined process may read it. */
#define PATH_KEY "key"

#endif
