/*
 * packed.c - the cache of unpacked traces, and unpacking where the user says.
 *
 * A pack is unpacked once, into a folder named by what the pack is and which
 * file it is in, and that stays: going to and fro in a trace opens it again and
 * again.  A folder appears by rename, so it is whole.  Those that nobody has used
 * for two weeks go when another one comes.
 */
#include "trace/packed.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "sandbox/reader.h"
#include "trace/pack.h"
#include "trace/trace.h"
#include "util/child.h"
#include "util/text.h"
#include "util/xxh.h"

enum { KEEP_DAYS = 14, DAY = 24 * 3600, FOLDER_NAME = 16 };

bool packed_name(const char *name)
{
	size_t n = strlen(name), m = strlen(PACK_BASE_SUFFIX);

	return strcmp(name, "kernel") == 0 || strcmp(name, "ramdisk") == 0 ||
		(n > m && strcmp(name + n - m, PACK_BASE_SUFFIX) == 0);
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
	struct ttd_error none;

	while (d != NULL && (ent = readdir(d)) != NULL)
		if (ent->d_name[0] != '.' && path_join(path, base, "/", ent->d_name, &none) == 0 &&
			lstat(path, &st) == 0 && S_ISDIR(st.st_mode) &&
			st.st_mtime + KEEP_DAYS * DAY < time(NULL))
			remove_folder(path);
	if (d != NULL)
		closedir(d);
}

/* Another one for a changed file, and for another file that claims to be the same pack. */
static int key(const struct pack *p, const char *file, char name[FOLDER_NAME + 1],
	struct ttd_error *e)
{
	uint64_t what[5];
	struct stat st;

	if (stat(file, &st) != 0)
		return err_set(e, TTD_HOST, "%s: %s", file, strerror(errno));
	what[0] = pack_tag(p);
	what[1] = (uint64_t)st.st_dev;
	what[2] = (uint64_t)st.st_ino;
	what[3] = (uint64_t)st.st_size;
	what[4] = (uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec;
	snprintf(name, FOLDER_NAME + 1, "%016llx", (unsigned long long)XXH3_64bits(what, sizeof what));
	return 0;
}

/* ---- by a confined child: nothing but it reads the pack ---- */

struct told {
	char name[FOLDER_NAME + 1]; /* of the folder */
	bool unpacked;           /* it was not there: what is in the other one is it */
	struct ttd_error error;        /* when there is no name */
};

/* Where it is, or is to be.  -1: *e. */
static int find(struct pack *p, const char *file, const char *base, struct told *t,
	char dir[TTD_PATH_MAX], bool *there, struct ttd_error *e)
{
	struct stat st;

	if (key(p, file, t->name, e) != 0 || path_join(dir, base, "/", t->name, e) != 0)
		return -1;
	*there = stat(dir, &st) == 0;
	return 0;
}

struct work {
	const char *file, *base, *tmp;
};

static void unpack_here(void *ctx, void *answer)
{
	const struct work *w = ctx;
	struct reader c = {.inputs = &w->file, .ninputs = 1, .into = w->base};
	struct told *t = answer;
	char dir[TTD_PATH_MAX];
	bool there = false;
	struct pack *p;

	/* A kernel that cannot confine us is no reason not to. */
	sandbox_reader(&c, NULL);
	t->error = (struct ttd_error)TTD_ERROR_INIT;
	p = pack_open(w->file, &t->error);
	if (p == NULL || find(p, w->file, w->base, t, dir, &there, &t->error) != 0 ||
		(!there && pack_unpack(p, w->tmp, 0, &t->error) != 0))
		t->name[0] = '\0';
	t->unpacked = !there;
}

/* What it told may be an attacker's. */
static int believe(struct told *t, struct ttd_error *e)
{
	t->error.text[sizeof t->error.text - 1] = '\0';
	text_clean(t->error.text);
	if (t->name[FOLDER_NAME] == '\0' && strlen(t->name) == FOLDER_NAME &&
		strspn(t->name, "0123456789abcdef") == FOLDER_NAME)
		return 0;
	return err_set(e, t->error.status == TTD_HOST ? TTD_HOST : TTD_DAMAGED, "%s", t->error.text);
}

static int ask(const char *file, const char *base, const char *tmp, struct told *t,
	struct ttd_error *e)
{
	struct work w = {file, base, tmp};
	int rc = child_answer(unpack_here, &w, t, sizeof *t);

	if (rc == 0)
		return believe(t, e);
	return rc == ECHILD
		? err_set(e, TTD_HOST, "%.300s: the process that unpacks it has died", file)
		: err_set(e, TTD_HOST, "%.300s: the process that unpacks it cannot be started: %s", file,
			strerror(rc));
}

static int put_in_place(const char *tmp, const char *dir, struct ttd_error *e)
{
	int rc = 0;

	if (rename(tmp, dir) == 0)
		return 0;
	if (errno != EEXIST && errno != ENOTEMPTY) /* somebody else was faster */
		rc = err_set(e, TTD_HOST, "cannot rename %s: %s", tmp, strerror(errno));
	remove_folder(tmp);
	return rc;
}

static int unpack_into_cache(const char *file, const char *base, char dir[TTD_PATH_MAX],
	struct ttd_error *e)
{
	char tmp[TTD_PATH_MAX], last[40];
	struct told t = {0};

	prune(base);
	snprintf(last, sizeof last, "/part.%d", (int)getpid());
	if (path_join(tmp, base, last, "", e) != 0)
		return -1;
	remove_folder(tmp); /* of a process that died */
	if (ask(file, base, tmp, &t, e) != 0) {
		remove_folder(tmp);
		return -1;
	}
	if (path_join(dir, base, "/", t.name, e) != 0)
		return -1;
	if (t.unpacked && put_in_place(tmp, dir, e) != 0)
		return -1;
	utimensat(AT_FDCWD, dir, NULL, 0); /* used now */
	return 0;
}

/* Confined ourselves: it is there by now. */
static int find_in_cache(const char *file, const char *base, char dir[TTD_PATH_MAX],
	struct ttd_error *e)
{
	struct pack *p = pack_open(file, e);
	bool there = false;
	struct told t;
	int rc;

	if (p == NULL)
		return -1;
	rc = find(p, file, base, &t, dir, &there, e);
	if (rc == 0 && !there)
		rc = err_set(e, TTD_HOST, "%.300s is not unpacked, and cannot be any more", file);
	pack_close(p);
	return rc;
}

int packed_folder(const char *file, char dir[TTD_PATH_MAX], struct ttd_error *e)
{
	char base[TTD_PATH_MAX];
	bool confined = sandbox_in_force();

	if (path_cache(base, "packs", !confined, e) != 0)
		return -1;
	return confined ? find_in_cache(file, base, dir, e)
		: unpack_into_cache(file, base, dir, e);
}

/* ---- public ---- */

static int unpack(const char *file, const char *dir, uint64_t max, char trace[TTD_PATH_MAX],
	struct ttd_error *e)
{
	struct pack *p = pack_open(file, e);
	char base[TTD_PATH_MAX];
	int rc = -1;

	if (p == NULL)
		return -1;
	if ((dir != NULL ? path_join(base, dir, "", "", e) : ttd_trace_root(base, e)) == 0 &&
		path_make_folders(base, e) == 0 &&
		path_join(trace, base, "/", pack_trace(p), e) == 0)
		rc = pack_unpack(p, trace, max, e);
	pack_close(p);
	return rc;
}

int ttd_pack_unpack(const char *file, const char *dir, uint64_t max, char trace[TTD_PATH_MAX],
	struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return unpack(file, dir, max, trace, e);
}

int ttd_pack_each(const char *file, void (*fn)(void *ctx, const struct ttd_packed_file *f),
	void *ctx, struct ttd_error *err)
{
	static const char *const kinds[PACK_KINDS] = {
		[PACK_LOG] = "log", [PACK_KERNEL] = "kernel", [PACK_RAMDISK] = "ramdisk",
		[PACK_CONSOLE] = "console", [PACK_BASE] = "disk", [PACK_CHECKPOINTS] = "checkpoints",
	};
	struct pack *p;
	struct ttd_error spare, *e = err_begin(err, &spare);

	if (!pack_is(file))
		return 1;
	p = pack_open(file, e);
	if (p == NULL)
		return -1;
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
