/*
 * replace.c - a new trace in an old one's folder (--force).
 *
 * The old one is only moved aside, into a folder inside of its own, until the new one
 * has really begun: a recording that cannot start has replaced nothing.  Who is killed in
 * between leaves the old one aside; whoever comes next puts it back.
 */
#include "trace/replace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/trace.h"

#define ASIDE "/.replaced"

bool trace_locked(const char *log)
{
	int fd = open(log, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	bool locked = fd >= 0 && flock(fd, LOCK_EX | LOCK_NB) != 0 && errno == EWOULDBLOCK;

	if (fd >= 0)
		close(fd);
	return locked;
}

/* A folder may be a stranger's: what lies there in its place, a link, leads anywhere. */
static int open_folder(const char *path, bool follow)
{
	return open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | (follow ? 0 : O_NOFOLLOW));
}

/* All of a trace's files from one folder to another.  A name gone by the way does not matter. */
static int move_all(int from, int to, const char *path, struct ttd_error *e)
{
	int fd = openat(from, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd >= 0 ? fdopendir(fd) : NULL;
	struct dirent *ent;
	int rc = 0;

	if (d == NULL) {
		if (fd >= 0)
			close(fd);
		return err_set(e, TTD_HOST, "trace %s: %s", path, strerror(errno));
	}
	while (rc == 0 && (ent = readdir(d)) != NULL)
		if (trace_owns(ent->d_name) && renameat(from, ent->d_name, to, ent->d_name) != 0)
			rc = err_set(e, TTD_HOST, "cannot move %s/%s aside: %s", path, ent->d_name,
				strerror(errno));
	closedir(d);
	return rc;
}

/* The folder and the one inside of it; -1: one of them is not there, or is none. */
static int open_both(const char *dir, const char *aside, int fd[2])
{
	int error;

	fd[0] = open_folder(dir, true);
	fd[1] = fd[0] >= 0 ? open_folder(aside, false) : -1;
	if (fd[1] >= 0)
		return 0;
	error = errno;
	if (fd[0] >= 0)
		close(fd[0]);
	errno = error;
	return -1;
}

static void close_both(const int fd[2])
{
	close(fd[0]);
	close(fd[1]);
}

int trace_set_aside(const char *dir, const char *log, struct ttd_error *e)
{
	char aside[TTD_PATH_MAX];
	struct ttd_error none;
	int fd[2], rc;

	if (trace_locked(log))
		return err_set(e, TTD_HOST, "trace %s is being recorded; end that first, or give "
			"another name", dir);
	if (path_join(aside, dir, ASIDE, "", e) != 0)
		return -1;
	if ((mkdir(aside, 0700) != 0 && errno != EEXIST) || open_both(dir, aside, fd) != 0)
		return err_set(e, TTD_HOST, "cannot create the folder %s: %s", aside, strerror(errno));
	rc = move_all(fd[0], fd[1], dir, e);
	if (rc != 0) {
		move_all(fd[1], fd[0], aside, &none);
		rmdir(aside);
	}
	close_both(fd);
	return rc;
}

void trace_put_back(const char *dir)
{
	char aside[TTD_PATH_MAX];
	struct ttd_error none;
	int fd[2];

	if (path_join(aside, dir, ASIDE, "", &none) != 0 || open_both(dir, aside, fd) != 0)
		return;
	if (move_all(fd[1], fd[0], aside, &none) == 0)
		rmdir(aside);
	close_both(fd);
}

void trace_drop_aside(const char *dir)
{
	char aside[TTD_PATH_MAX];
	struct dirent *ent;
	struct ttd_error none;
	DIR *d;
	int fd;

	if (path_join(aside, dir, ASIDE, "", &none) != 0 || (fd = open_folder(aside, false)) < 0)
		return;
	d = fdopendir(fd);
	if (d == NULL) {
		close(fd);
		return;
	}
	while ((ent = readdir(d)) != NULL)
		if (trace_owns(ent->d_name))
			unlinkat(fd, ent->d_name, 0);
	closedir(d);
	rmdir(aside);
}
