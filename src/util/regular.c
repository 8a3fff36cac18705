/*
 * regular.c - see regular.h.
 */
#include "util/regular.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util/names.h"

enum { COMMON = O_CLOEXEC | O_NONBLOCK | O_NOCTTY };

static int refuse(int fd, int error)
{
	close(fd);
	errno = error;
	return -1;
}

static int opened(int fd, bool alone, uint64_t *size)
{
	struct stat st;

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0)
		return refuse(fd, errno);
	if (!S_ISREG(st.st_mode))
		return refuse(fd, S_ISDIR(st.st_mode) ? EISDIR : ENODEV);
	if (alone && st.st_nlink > 1)
		return refuse(fd, EMLINK);
	if (size != NULL)
		*size = (uint64_t)st.st_size;
	return fd;
}

int regular_open(const char *path, enum regular_how how, uint64_t *size)
{
	int fd = open(path, O_RDONLY | COMMON | (how == REGULAR_NOFOLLOW ? O_NOFOLLOW : 0));

	if (fd < 0 && errno == EACCES && how == REGULAR_NOFOLLOW && names_asked())
		fd = names_ask(NAME_READ, O_RDONLY, path, "");
	return opened(fd, false, size);
}

int regular_create(const char *path, bool replace)
{
	int fd = names_open(path, O_RDWR | O_CREAT | O_EXCL | COMMON);

	if (fd >= 0 || errno != EEXIST || !replace)
		return fd;
	return opened(names_open(path, O_RDWR | O_NOFOLLOW | COMMON), true, NULL);
}

int regular_update(const char *path)
{
	return opened(names_open(path, O_RDWR | O_NOFOLLOW | COMMON), false, NULL);
}

int regular_sync_folder(const char *path)
{
	const char *slash = strrchr(path, '/');
	char dir[4096];
	size_t n = slash != NULL ? (size_t)(slash - path) + 1 : 1;
	int fd, error = 0;

	if (n >= sizeof dir)
		return ENAMETOOLONG;
	memcpy(dir, slash != NULL ? path : ".", n);
	dir[n] = '\0';
	fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0) /* whoever is confined has it made by another */
		return errno == EACCES && names_asked() ? 0 : errno;
	/* A file system that cannot do it for folders says EINVAL. */
	if (fsync(fd) != 0 && errno != EINVAL)
		error = errno;
	close(fd);
	return error;
}
