/*
 * path.c - see path.h.
 */
#include "util/path.h"

#include <errno.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/names.h"

int path_join(char out[TTD_PATH_MAX], const char *a, const char *b, const char *c,
	struct ttd_error *e)
{
	int n = snprintf(out, TTD_PATH_MAX, "%s%s%s", a, b, c);

	if (n < 0 || n >= TTD_PATH_MAX)
		return err_set(e, TTD_USAGE, "the path %.60s... is too long", a);
	return 0;
}

int path_make_folders(const char *path, struct ttd_error *e)
{
	char part[TTD_PATH_MAX];
	struct stat st;

	if (path_join(part, path, "", "", e) != 0)
		return -1;
	for (char *p = part + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (stat(part, &st) != 0 && names_folder(part) != 0 && errno != EEXIST)
			return err_set(e, TTD_HOST, "cannot create the folder %s: %s", part,
				strerror(errno));
		if (c == '\0')
			return 0;
		*p = c;
	}
}

int path_cache(char path[TTD_PATH_MAX], const char *kind, bool make, struct ttd_error *e)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	bool all = *kind == '\0';
	int rc;

	if (cache != NULL && *cache == '/')
		rc = path_join(path, cache, all ? "/ttd" : "/ttd/", kind, e);
	else if (home != NULL && *home == '/')
		rc = path_join(path, home, all ? "/.cache/ttd" : "/.cache/ttd/", kind, e);
	else
		rc = err_set(e, TTD_USAGE, "no place for a cache: set XDG_CACHE_HOME or HOME");
	return rc == 0 && make ? path_make_folders(path, e) : rc;
}

int path_state(char path[TTD_PATH_MAX], const char *name, bool make)
{
	const char *state = getenv("XDG_STATE_HOME"), *home = getenv("HOME");
	char dir[TTD_PATH_MAX];
	struct passwd *pw;
	int rc;

	if (home == NULL || *home != '/')
		home = (pw = getpwuid(getuid())) != NULL ? pw->pw_dir : "";
	if (state != NULL && *state == '/')
		rc = path_join(dir, state, "/ttd", "", NULL);
	else
		rc = *home == '/' ? path_join(dir, home, "/.local/state/ttd", "", NULL) : -1;
	if (rc != 0 || (make && path_make_folders(dir, NULL) != 0))
		return -1;
	return path_join(path, dir, "/", name, NULL);
}
