/*
 * limit.c - what a log may take, and whether it is still there; see log.h.
 */
#include <string.h>
#include <sys/stat.h>
#include <sys/vfs.h>

#include "event/format.h"

enum { RESERVE_PART = 20 };
#define RESERVE_MAX (UINT64_C(1) << 30)

/* What a file system of this many bytes is left: a twentieth, and 1 GiB at most. */
static uint64_t log_reserve(uint64_t bytes)
{
	return bytes / RESERVE_PART < RESERVE_MAX ? bytes / RESERVE_PART : RESERVE_MAX;
}

const char *log_limit_text(enum log_limit why)
{
	static const char *const text[] = {
		[LOG_NO_LIMIT] = "there is no limit",
		[LOG_BIG] = "the log is as long as --log-limit allows",
		[LOG_ROOM] = "the disk is nearly full where the log is",
		[LOG_GONE] = "it was removed or moved while it was written",
	};

	return text[(unsigned)why < sizeof text / sizeof *text ? why : LOG_NO_LIMIT];
}

bool log_is_gone(int fd, const char *path)
{
	struct stat ours, there;

	if (fstat(fd, &ours) != 0)
		return false;
	return ours.st_nlink == 0 || lstat(path, &there) != 0 || there.st_dev != ours.st_dev ||
		there.st_ino != ours.st_ino;
}

enum log_limit log_room(int fd, const char *path, bool reserve, uint64_t *room)
{
	struct statfs fs;
	uint64_t unit, left, kept;

	*room = UINT32_MAX;
	if (log_is_gone(fd, path))
		return LOG_GONE;
	/* Some file systems do not say how large they are. */
	if (!reserve || fstatfs(fd, &fs) != 0 || fs.f_blocks == 0)
		return LOG_NO_LIMIT;
	unit = (uint64_t)fs.f_bsize;
	left = fs.f_bavail * unit;
	kept = log_reserve(fs.f_blocks * unit);
	*room = left > kept ? left - kept : 0;
	return left < kept ? LOG_ROOM : LOG_NO_LIMIT;
}
