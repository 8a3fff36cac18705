/*
 * outfile.c - a file made whole or not at all; see outfile.h.
 */
#include "util/outfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/err.h"
#include "util/fullio.h"
#include "util/names.h"
#include "util/path.h"
#include "util/zero.h"

int outfile_open(struct outfile *f, const char *path, struct ttd_error *e)
{
	char pid[32];
	struct stat st;

	*f = (struct outfile){.path = path};
	f->whole = stat(path, &st) != 0 || S_ISREG(st.st_mode);
	snprintf(pid, sizeof pid, ".%ld", (long)getpid());
	if (f->whole && path_join(f->tmp, path, pid, "", e) != 0)
		return -1;
	f->fd = f->whole ? names_open(f->tmp, O_WRONLY | O_CREAT | O_EXCL)
		: names_open(path, O_WRONLY);
	return f->fd >= 0 ? 0 : err_set(e, TTD_HOST, "cannot write %s: %s", path, strerror(errno));
}

void outfile_put(struct outfile *f, const void *p, size_t n)
{
	if (f->error != 0)
		return;
	f->hole = f->whole && n == ZERO_PAGE && memcmp(p, zero_page, n) == 0;
	if (!f->hole)
		f->error = f->whole ? pwrite_full(f->fd, p, n, f->at) : write_full(f->fd, p, n);
	f->at += n;
}

int outfile_close(struct outfile *f, bool good, struct ttd_error *e)
{
	if (f->error == 0 && f->hole && ftruncate(f->fd, (off_t)f->at) != 0)
		f->error = errno;
	if (close(f->fd) != 0 && f->error == 0)
		f->error = errno;
	if (good && f->error == 0 && f->whole && names_rename(f->tmp, f->path) != 0)
		f->error = errno;
	if (good && f->error == 0)
		return 0;
	if (good)
		err_set(e, TTD_HOST, "cannot write %s: %s", f->path, strerror(f->error));
	if (f->whole)
		names_remove(f->tmp);
	return -1;
}
