/*
 * names.c - see names.h.
 */
#include "util/names.h"

#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

static names_fn *_Atomic asked;

void names_by(names_fn *fn)
{
	atomic_store(&asked, fn);
}

bool names_asked(void)
{
	return atomic_load(&asked) != NULL;
}

int names_ask(enum name_verb verb, int flags, const char *path, const char *other)
{
	names_fn *fn = atomic_load(&asked);

	if (fn != NULL)
		return fn(verb, flags, path, other);
	errno = EPERM;
	return -1;
}

static enum name_verb verb_of(int flags)
{
	if ((flags & O_TMPFILE) == O_TMPFILE)
		return NAME_TMPFILE;
	return flags & O_CREAT ? NAME_CREATE : NAME_OPEN;
}

int names_open(const char *path, int flags)
{
	return names_asked() ? names_ask(verb_of(flags), flags, path, "")
		: open(path, flags | O_CLOEXEC, 0600);
}

int names_read(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);

	return fd < 0 && errno == EACCES && names_asked()
		? names_ask(NAME_READ, O_RDONLY | O_NONBLOCK, path, "") : fd;
}

int names_remove(const char *path)
{
	return names_asked() ? names_ask(NAME_REMOVE, 0, path, "") : unlink(path);
}

int names_rename(const char *from, const char *to)
{
	return names_asked() ? names_ask(NAME_RENAME, 0, from, to) : rename(from, to);
}

int names_folder(const char *path)
{
	return names_asked() ? names_ask(NAME_FOLDER, 0, path, "") : mkdir(path, 0700);
}

int names_rmdir(const char *path)
{
	return names_asked() ? names_ask(NAME_RMDIR, 0, path, "") : rmdir(path);
}

int names_link(const char *target, const char *path)
{
	return names_asked() ? names_ask(NAME_LINK, 0, path, target) : symlink(target, path);
}
