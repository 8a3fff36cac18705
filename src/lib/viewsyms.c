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
#include "lib/trace.h"
#include "lib/view.h"
#include "lib/vm.h"

/* Whole or not at all; where it cannot be renamed to (a device, a pipe), straight. */
static int write_file(const char *path, const struct wbuf *w, struct err *e)
{
	char tmp[TTD_PATH_MAX], pid[32];
	struct stat st;
	bool whole = stat(path, &st) != 0 || S_ISREG(st.st_mode);
	FILE *f;
	int fd;

	snprintf(pid, sizeof pid, ".%ld", (long)getpid());
	if (whole && trace_join(tmp, path, pid, "", e) != 0)
		return -1;
	fd = whole ? open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0666)
		: open(path, O_WRONLY | O_CLOEXEC);
	f = fd >= 0 ? fdopen(fd, "w") : NULL;
	if (f != NULL) {
		bool good = fwrite(w->p, 1, w->len, f) == w->len;

		if (fclose(f) == 0 && good && (!whole || rename(tmp, path) == 0))
			return 0;
	}
	err_set(e, ST_HOST, "cannot write %s: %s", path, strerror(errno));
	if (whole && fd >= 0)
		unlink(tmp);
	return -1;
}

int ttd_view_write_symbols(const struct ttd_view *view, const char *path, struct ttd_error *err)
{
	struct wbuf w;
	struct err e;
	int rc = -1;

	if (view->guest.symbols == NULL) {
		vm_error(err, &view->no_symbols);
		return -1;
	}
	if (symfile_make(&view->guest, &w, &e) == 0)
		rc = write_file(path, &w, &e);
	wbuf_free(&w);
	if (rc != 0)
		vm_error(err, &e);
	return rc;
}
