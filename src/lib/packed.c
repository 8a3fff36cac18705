/*
 * packed.c - the cache of unpacked traces, and unpacking where the user says.
 *
 * A pack is unpacked once, into a folder named by what the pack is and which
 * file it is in, and that stays: going to and fro in a trace opens it again and
 * again.  A folder appears by rename, so it is whole.  Those that nobody has used
 * for two weeks go when another one comes.
 */
#include "lib/packed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "lib/pack.h"
#include "lib/packing.h"
#include "lib/trace.h"
#include "lib/vm.h"
#include "util/xxh.h"

enum { KEEP_DAYS = 14, DAY = 24 * 3600 };

bool packed_name(const char *name)
{
	size_t n = strlen(name), m = strlen(PACK_BASE_SUFFIX);

	return strcmp(name, "kernel") == 0 || strcmp(name, "ramdisk") == 0 ||
		(n > m && strcmp(name + n - m, PACK_BASE_SUFFIX) == 0);
}

bool packed_base(const char *log, const char *disk, char path[TTD_PATH_MAX])
{
	const char *slash = strrchr(log, '/');

	return snprintf(path, TTD_PATH_MAX, "%.*s/%s%s", slash != NULL ? (int)(slash - log) : 1,
		slash != NULL ? log : ".", disk, PACK_BASE_SUFFIX) < TTD_PATH_MAX &&
		access(path, F_OK) == 0;
}

/* One of the cache: files only, as unpacking and replaying put them there. */
static void remove_folder(const char *path)
{
	DIR *d = opendir(path);
	struct dirent *ent;

	while (d != NULL && (ent = readdir(d)) != NULL)
		unlinkat(dirfd(d), ent->d_name, 0);
	if (d != NULL)
		closedir(d);
	rmdir(path);
}

static void prune(const char *base)
{
	DIR *d = opendir(base);
	char path[TTD_PATH_MAX];
	struct dirent *ent;
	struct stat st;
	struct err none;

	while (d != NULL && (ent = readdir(d)) != NULL)
		if (ent->d_name[0] != '.' && trace_join(path, base, "/", ent->d_name, &none) == 0 &&
			lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
			st.st_mtime + KEEP_DAYS * DAY < time(NULL))
			remove_folder(path);
	if (d != NULL)
		closedir(d);
}

/* Another one for a changed file, and for another file that claims to be the same pack. */
static int key(const struct pack *p, const char *file, char name[40], struct err *e)
{
	uint64_t what[5];
	struct stat st;

	if (stat(file, &st) != 0)
		return err_set(e, ST_HOST, "%s: %s", file, strerror(errno));
	what[0] = pack_tag(p);
	what[1] = (uint64_t)st.st_dev;
	what[2] = (uint64_t)st.st_ino;
	what[3] = (uint64_t)st.st_size;
	what[4] = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	snprintf(name, 40, "%016llx", (unsigned long long)XXH3_64bits(what, sizeof what));
	return 0;
}

static int unpack_as(struct pack *p, const char *base, const char *dir, struct err *e)
{
	char tmp[TTD_PATH_MAX], last[40];

	prune(base);
	snprintf(last, sizeof last, ".part.%d", (int)getpid());
	if (trace_join(tmp, dir, last, "", e) != 0)
		return -1;
	remove_folder(tmp); /* of a process that died */
	if (pack_unpack(p, tmp, e) != 0)
		return -1;
	if (rename(tmp, dir) == 0)
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY)
		err_set(e, ST_HOST, "cannot rename %s: %s", tmp, strerror(errno));
	else
		e = NULL; /* somebody else was faster */
	remove_folder(tmp);
	return e == NULL ? 0 : -1;
}

int packed_folder(const char *file, char dir[TTD_PATH_MAX], struct err *e)
{
	struct pack *p = pack_open(file, e);
	char base[TTD_PATH_MAX], name[40];
	struct stat st;
	int rc = -1;

	if (p == NULL)
		return -1;
	if (trace_cache(base, "packs", true, e) == 0 && key(p, file, name, e) == 0 &&
		trace_join(dir, base, "/", name, e) == 0) {
		rc = stat(dir, &st) == 0 ? 0 : unpack_as(p, base, dir, e);
		utimensat(AT_FDCWD, dir, NULL, 0); /* used now */
	}
	pack_close(p);
	return rc;
}

/* ---- public ---- */

static int unpack(const char *file, const char *dir, char trace[TTD_PATH_MAX], struct err *e)
{
	struct pack *p = pack_open(file, e);
	char base[TTD_PATH_MAX];
	struct ttd_error te;
	int rc = -1;

	if (p == NULL)
		return -1;
	if (dir == NULL && ttd_trace_root(base, &te) != 0)
		err_set(e, (enum status)te.status, "%s", te.text);
	else if ((dir != NULL ? trace_join(base, dir, "", "", e) : 0) == 0 &&
		trace_make_folders(base, e) == 0 &&
		trace_join(trace, base, "/", pack_trace(p), e) == 0)
		rc = pack_unpack(p, trace, e);
	pack_close(p);
	return rc;
}

int ttd_pack_unpack(const char *file, const char *dir, char trace[TTD_PATH_MAX],
	struct ttd_error *err)
{
	struct err e;

	if (unpack(file, dir, trace, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}

int ttd_pack_each(const char *file, void (*fn)(void *ctx, const struct ttd_packed_file *f),
	void *ctx, struct ttd_error *err)
{
	static const char *const kinds[PACK_KINDS] = {
		[PACK_LOG] = "log", [PACK_KERNEL] = "kernel", [PACK_RAMDISK] = "ramdisk",
		[PACK_CONSOLE] = "console", [PACK_BASE] = "disk", [PACK_CHECKPOINTS] = "checkpoints",
	};
	struct pack *p;
	struct err e;

	if (!pack_is(file))
		return 1;
	p = pack_open(file, &e);
	if (p == NULL) {
		vm_error(err, &e);
		return -1;
	}
	for (unsigned i = 0; i < pack_count(p); i++) {
		const struct pack_file *f = pack_file(p, i);
		struct ttd_packed_file out = {.kind = kinds[f->kind], .size = f->size};

		snprintf(out.name, sizeof out.name, "%s", f->name);
		out.held = f->stored < f->size ? f->stored : f->size;
		for (unsigned b = 0; f->kind != PACK_BASE && b < PACK_DIGEST; b++)
			snprintf(out.digest + 2 * b, 3, "%02x", f->digest[b]);
		fn(ctx, &out);
	}
	pack_close(p);
	return 0;
}
