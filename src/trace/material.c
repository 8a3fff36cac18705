/*
 * material.c - which file a trace is replayed with; see material.h.
 *
 * Beside the log nothing is reached through a link: the folder may be a
 * stranger's.  A size that differs is found before anything is read, so that
 * what is read is never longer than META says.
 */
#include "trace/material.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "trace/pack.h"
#include "trace/trace.h"
#include "util/regular.h"

static const struct rule {
	const char *what;   /* in messages */
	const char *option; /* how the user names it, before the disk and the path */
	const char *beside; /* what it is called beside the log, after the disk's name */
	bool own_name;      /* or as it was called where it was recorded */
	bool digest;        /* it must be the very file that was recorded, and */
	uint64_t max;       /* not be longer: no such file can be used */
} rules[MATERIALS] = {
	[MATERIAL_KERNEL] = {"kernel", "--kernel ", "kernel", true, true, UINT64_C(1) << 36},
	[MATERIAL_RAMDISK] = {"ramdisk", "--ramdisk ", "ramdisk", true, true,
		UINT64_C(1) << 36},
	[MATERIAL_BASE] = {"disk ", "--disk-base ", PACK_BASE_SUFFIX, false, false, 0},
};

/* 0: it can be taken. */
static int check(const struct material_ask *a, const char *path, enum regular_how how,
	struct ttd_error *e)
{
	const struct rule *r = &rules[a->kind];
	struct log_file now = {0};
	uint64_t size;
	int fd = regular_open(path, how, &size), rc = r->digest ? -1 : 0;

	if (fd < 0)
		return err_set(e, TTD_HOST, "%s%s %s: %s", r->what, a->disk, path,
			errno == ENODEV ? "is not a regular file" : strerror(errno));
	errno = 0;
	if (r->digest && size == a->file->size && size <= r->max)
		rc = trace_digest(fd, size, &now);
	close(fd);
	if (rc == 0 && (!r->digest || (now.size == a->file->size &&
		memcmp(now.digest, a->file->digest, sizeof now.digest) == 0)))
		return 0;
	if (rc != 0 && errno == EINTR)
		return err_set(e, TTD_HOST, "%s %s: interrupted while it was read", r->what, path);
	return err_set(e, TTD_HOST, "%s%s %s is not the one that was recorded: it has changed since",
		r->what, a->disk, path);
}

static int beside(const char *log, const char *a, const char *b, char path[TTD_PATH_MAX])
{
	const char *slash = strrchr(log, '/');
	int n = snprintf(path, TTD_PATH_MAX, "%.*s/%s%s", slash != NULL ? (int)(slash - log) : 1,
		slash != NULL ? log : ".", a, b);

	return n > 0 && n < TTD_PATH_MAX ? 0 : -1;
}

static int refuse(const struct material_ask *a, const char *recorded, struct ttd_error *e)
{
	const struct rule *r = &rules[a->kind];

	return err_set(e, TTD_HOST, "%s%s: %.200s is not opened, because this trace does not carry "
		"your seal: it was recorded elsewhere, or by an older ttd; name the file by %s%s%sPATH, "
		"or put it beside the log as %s%s", r->what, a->disk, recorded, r->option, a->disk,
		*a->disk != '\0' ? "=" : "", a->disk, r->beside);
}

/* In the log's folder. */
static bool find_beside(const struct material_ask *a, const char *recorded,
	char path[TTD_PATH_MAX])
{
	const struct rule *r = &rules[a->kind];
	const char *slash = strrchr(recorded, '/');
	struct ttd_error none;

	if (*a->log == '\0')
		return false;
	if (r->own_name && beside(a->log, slash != NULL ? slash + 1 : recorded, "", path) == 0 &&
		check(a, path, REGULAR_NOFOLLOW, &none) == 0)
		return true;
	return beside(a->log, a->disk, r->beside, path) == 0 &&
		check(a, path, REGULAR_NOFOLLOW, &none) == 0;
}

int material_find(const struct material_ask *a, char path[TTD_PATH_MAX], struct ttd_error *e)
{
	const char *recorded = a->file != NULL ? a->file->path : a->target;

	if (a->named == NULL && find_beside(a, recorded, path))
		return 0;
	if (a->named == NULL && !a->ours)
		return refuse(a, recorded, e);
	if (path_join(path, a->named != NULL ? a->named : recorded, "", "", e) != 0)
		return -1;
	return rules[a->kind].digest ? check(a, path, REGULAR_FOLLOW, e) : 0;
}
