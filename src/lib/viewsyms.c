/*
 * viewsyms.c - a view's symbols as a file for other tools.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "inspect/symfile.h"
#include "lib/view.h"
#include "util/names.h"
#include "util/path.h"

/* Whole or not at all; where it cannot be renamed to (a device, a pipe), straight. */
static int write_file(const char *path, const struct wbuf *w, struct ttd_error *e)
{
	char tmp[TTD_PATH_MAX], pid[32];
	struct stat st;
	bool whole = stat(path, &st) != 0 || S_ISREG(st.st_mode);
	FILE *f;
	int fd;

	snprintf(pid, sizeof pid, ".%ld", (long)getpid());
	if (whole && path_join(tmp, path, pid, "", e) != 0)
		return -1;
	fd = whole ? names_open(tmp, O_WRONLY | O_CREAT | O_EXCL) : names_open(path, O_WRONLY);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f != NULL) {
		bool good = fwrite(w->p, 1, w->len, f) == w->len;

		if (fclose(f) == 0 && good && (!whole || names_rename(tmp, path) == 0))
			return 0;
	}
	err_set(e, TTD_HOST, "cannot write %s: %s", path, strerror(errno));
	if (whole && fd >= 0)
		names_remove(tmp);
	return -1;
}

int ttd_view_write_symbols(const struct ttd_view *view, const char *path, struct ttd_error *err)
{
	struct wbuf w;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = -1;

	if (view_need_symbols(view, e) != 0)
		return -1;
	if (symfile_make(&view->guest, &w, e) == 0)
		rc = write_file(path, &w, e);
	wbuf_free(&w);
	return rc;
}
