/*
 * trace.c - where traces are, what they are called and what is in them.
 */
#include "lib/trace.h"
#include "lib/checkpoints.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/pack.h"
#include "lib/packed.h"
#include "lib/salvage.h"
#include "lib/vm.h"
#include "util/parse.h"
#include "util/xxh.h"

#define LOG_PREFIX "ttd.log."
#define LATEST "latest"

enum { NAMES_MAX = 100000, BLOCK = 1 << 20 };

int trace_join(char out[TTD_PATH_MAX], const char *a, const char *b, const char *c,
	struct err *e)
{
	int n = snprintf(out, TTD_PATH_MAX, "%s%s%s", a, b, c);

	if (n < 0 || n >= TTD_PATH_MAX)
		return err_set(e, ST_USAGE, "the path %.60s... is too long", a);
	return 0;
}

int trace_make_folders(const char *path, struct err *e)
{
	char part[TTD_PATH_MAX];

	if (trace_join(part, path, "", "", e) != 0)
		return -1;
	for (char *p = part + 1;; p++) {
		char c = *p;

		if (c != '/' && c != '\0')
			continue;
		*p = '\0';
		if (mkdir(part, 0700) != 0 && errno != EEXIST)
			return err_set(e, ST_HOST, "cannot create the folder %s: %s", part,
				strerror(errno));
		if (c == '\0')
			return 0;
		*p = c;
	}
}

int trace_cache(char path[TTD_PATH_MAX], const char *kind, bool make, struct err *e)
{
	const char *cache = getenv("XDG_CACHE_HOME"), *home = getenv("HOME");
	int rc;

	if (cache != NULL && *cache == '/')
		rc = trace_join(path, cache, "/ttd/", kind, e);
	else if (home != NULL && *home == '/')
		rc = trace_join(path, home, "/.cache/ttd/", kind, e);
	else
		rc = err_set(e, ST_USAGE, "no place for a cache: set XDG_CACHE_HOME or HOME");
	return rc == 0 && make ? trace_make_folders(path, e) : rc;
}

static int root(char path[TTD_PATH_MAX], struct err *e)
{
	const char *dir = getenv("TTD_TRACE_DIR"), *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	if (dir != NULL && *dir != '\0')
		return trace_join(path, dir, "", "", e);
	if (data != NULL && *data == '/')
		return trace_join(path, data, "/ttd", "", e);
	if (home != NULL && *home == '/')
		return trace_join(path, home, "/.local/share/ttd", "", e);
	return err_set(e, ST_USAGE, "no place for traces: set TTD_TRACE_DIR or HOME");
}

/* ttd.log.NAME and nothing behind it: not the log of a replay, an overlay, checkpoints. */
static bool is_log(const char *name)
{
	size_t n = strlen(name), m = strlen(TRACE_OVERLAY);

	return strncmp(name, LOG_PREFIX, strlen(LOG_PREFIX)) == 0 &&
		strstr(name, ".replay.") == NULL && strstr(name, CHECKPOINTS_SUFFIX) == NULL &&
		(n < m || strcmp(name + n - m, TRACE_OVERLAY) != 0);
}

static void unlink_log(const char *log)
{
	char path[TTD_PATH_MAX];
	struct err none;

	unlink(log);
	if (trace_join(path, log, CHECKPOINTS_SUFFIX, "", &none) == 0)
		unlink(path);
}

static int find_log(const char *dir, char log[TTD_PATH_MAX], struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	int found = 0;

	if (d == NULL)
		return err_set(e, ST_HOST, "trace %s: %s", dir, strerror(errno));
	while ((ent = readdir(d)) != NULL)
		if (is_log(ent->d_name) && found++ == 0 &&
			trace_join(log, dir, "/", ent->d_name, e) != 0)
			found = -1;
	closedir(d);
	if (found < 0)
		return -1;
	if (found != 1)
		return err_set(e, ST_HOST, "%s: %s", dir, found == 0 ? "is no trace: it holds no log"
			: "holds several logs; name one of them");
	return 0;
}

static void parent(const char *path, char dir[TTD_PATH_MAX])
{
	const char *slash = strrchr(path, '/');
	size_t n = slash != NULL ? (size_t)(slash - path) : 0;

	memcpy(dir, path, n);
	dir[n] = '\0';
	if (n == 0)
		strcpy(dir, slash != NULL ? "/" : ".");
}

static int find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct err *e)
{
	char base[TTD_PATH_MAX];
	struct stat st;

	if (trace != NULL && strchr(trace, '/') != NULL) {
		if (trace_join(dir, trace, "", "", e) != 0)
			return -1;
	} else if (root(base, e) != 0 ||
		trace_join(dir, base, "/", trace != NULL ? trace : LATEST, e) != 0) {
		return -1;
	}
	if (stat(dir, &st) != 0) {
		if (trace == NULL && errno == ENOENT)
			return err_set(e, ST_HOST, "there is no trace in %s yet; ttd record makes one",
				base);
		return err_set(e, ST_HOST, "trace %s: %s", dir, strerror(errno));
	}
	if (S_ISREG(st.st_mode) && pack_is(dir)) {
		if (trace_join(base, dir, "", "", e) != 0 || packed_folder(base, dir, e) != 0)
			return -1;
		return find_log(dir, log, e);
	}
	if (S_ISDIR(st.st_mode))
		return find_log(dir, log, e);
	if (trace_join(log, dir, "", "", e) != 0)
		return -1;
	parent(log, dir);
	return 0;
}

int trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct err *e)
{
	if (find(trace, dir, log, e) != 0)
		return -1;
	salvage_log(log);
	return 0;
}

static int named_folder(const char *want, bool force, char dir[TTD_PATH_MAX], struct err *e)
{
	char base[TTD_PATH_MAX], log[TTD_PATH_MAX];
	struct err none;

	if (strchr(want, '/') == NULL) {
		if (root(base, e) != 0 || trace_make_folders(base, e) != 0 ||
			trace_join(dir, base, "/", want, e) != 0)
			return -1;
	} else if (trace_join(dir, want, "", "", e) != 0) {
		return -1;
	}
	if (trace_make_folders(dir, e) != 0)
		return -1;
	if (find_log(dir, log, &none) == 0 && !force)
		return err_set(e, ST_USAGE, "trace %s exists already; give another name or --force",
			dir);
	return 0;
}

/* NAME-0, NAME-1...: the first that is free. */
static int numbered_folder(const char *name, char dir[TTD_PATH_MAX], struct err *e)
{
	char base[TTD_PATH_MAX], last[128];

	if (root(base, e) != 0 || trace_make_folders(base, e) != 0)
		return -1;
	for (int i = 0; i < NAMES_MAX; i++) {
		snprintf(last, sizeof last, "%s-%d", name, i);
		if (trace_join(dir, base, "/", last, e) != 0)
			return -1;
		if (mkdir(dir, 0700) == 0)
			return 0;
		if (errno != EEXIST)
			return err_set(e, ST_HOST, "cannot create the trace %s: %s", dir,
				strerror(errno));
	}
	return err_set(e, ST_HOST, "%s holds too many traces; remove some with ttd rm", base);
}

int trace_create(const char *want, const char *name, bool force, char dir[TTD_PATH_MAX],
	char log[TTD_PATH_MAX], struct err *e)
{
	char found[TTD_PATH_MAX];
	struct err none;

	if (want != NULL && *want == '\0')
		return err_set(e, ST_USAGE, "the name of the trace is empty");
	if (want != NULL ? named_folder(want, force, dir, e) : numbered_folder(name, dir, e))
		return -1;
	/* Replaced is the log that is there, whatever its domain was called. */
	if (force && find_log(dir, found, &none) == 0)
		unlink_log(found);
	if (trace_join(log, dir, "/" LOG_PREFIX, name, e) != 0)
		return -1;
	return 0;
}

void trace_discard(const char *dir, const char *log)
{
	char console[TTD_PATH_MAX];
	struct err none;

	unlink_log(log);
	if (trace_join(console, dir, "/console.txt", "", &none) == 0)
		unlink(console);
	rmdir(dir);
}

void trace_set_latest(const char *dir)
{
	char base[TTD_PATH_MAX], link[TTD_PATH_MAX], tmp[TTD_PATH_MAX], real[PATH_MAX];
	struct err none;

	if (root(base, &none) != 0 || trace_make_folders(base, &none) != 0 ||
		realpath(dir, real) == NULL || trace_join(link, base, "/" LATEST, "", &none) != 0 ||
		trace_join(tmp, link, ".new", "", &none) != 0)
		return;
	unlink(tmp);
	if (symlink(real, tmp) != 0 || rename(tmp, link) != 0)
		unlink(tmp);
}

/* ---- files that a trace names ---- */

static int digest_file(int fd, struct log_file *f)
{
	XXH3_state_t *s = XXH3_createState();
	uint8_t *buf = malloc(BLOCK);
	XXH128_canonical_t c;
	ssize_t n = -1;

	if (s != NULL && buf != NULL) {
		XXH3_128bits_reset(s);
		f->size = 0;
		while ((n = read(fd, buf, BLOCK)) > 0) {
			XXH3_128bits_update(s, buf, (size_t)n);
			f->size += (uint64_t)n;
		}
		XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s));
		memcpy(f->digest, c.digest, sizeof f->digest);
	}
	XXH3_freeState(s);
	free(buf);
	return n == 0 ? 0 : -1;
}

int trace_file(const char *what, const char *path, struct log_file *f, struct err *e)
{
	char real[PATH_MAX];
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK), rc;

	if (fd < 0 || realpath(path, real) == NULL) {
		err_set(e, ST_HOST, "%s %s: %s", what, path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	rc = digest_file(fd, f);
	close(fd);
	if (rc != 0)
		return err_set(e, ST_HOST, "%s %s: cannot be read: %s", what, path, strerror(errno));
	if (strlen(real) >= sizeof f->path)
		return err_set(e, ST_USAGE, "%s: its path is too long", what);
	strcpy(f->path, real);
	return 0;
}

/* ---- the newest of a domain ---- */

int trace_newest(const char *folder, const char *name, char log[TTD_PATH_MAX], struct err *e)
{
	DIR *d = opendir(folder);
	char dir[TTD_PATH_MAX], found[TTD_PATH_MAX];
	size_t n = strlen(name);
	struct dirent *ent;
	uint64_t best = 0, number;
	bool any = false;
	struct err none;

	while (d != NULL && (ent = readdir(d)) != NULL) {
		if (strncmp(ent->d_name, name, n) != 0 || ent->d_name[n] != '-' ||
			parse_u64(ent->d_name + n + 1, 0, INT64_MAX, &number) != 0 ||
			(any && number < best) ||
			trace_join(dir, folder, "/", ent->d_name, &none) != 0 ||
			find_log(dir, found, &none) != 0)
			continue;
		any = true;
		best = number;
		strcpy(log, found);
	}
	if (d != NULL)
		closedir(d);
	return any ? 0 : err_set(e, ST_HOST, "there is no trace of %s in %s yet; "
		"time_travel=\"ttd_flag=1\" makes one", name, folder);
}

/* ---- public ---- */

int ttd_trace_newest(const char *domain, char log[TTD_PATH_MAX], struct ttd_error *err)
{
	char base[TTD_PATH_MAX];
	struct err e;

	if (root(base, &e) == 0 && trace_newest(base, domain, log, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}

int ttd_trace_root(char path[TTD_PATH_MAX], struct ttd_error *err)
{
	struct err e;

	if (root(path, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}

int ttd_trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct ttd_error *err)
{
	struct err e;

	if (trace_find(trace, dir, log, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.' && strcmp(d->d_name, LATEST) != 0;
}

int ttd_trace_each(void (*fn)(void *ctx, const char *name), void *ctx, struct ttd_error *err)
{
	char base[TTD_PATH_MAX], dir[TTD_PATH_MAX], log[TTD_PATH_MAX];
	struct dirent **list;
	struct err e;
	int n;

	if (root(base, &e) != 0) {
		vm_error(err, &e);
		return -1;
	}
	n = scandir(base, &list, visible, versionsort);
	for (int i = 0; i < n; i++) {
		if (trace_join(dir, base, "/", list[i]->d_name, &e) == 0 &&
			find_log(dir, log, &e) == 0)
			fn(ctx, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return 0; /* no folder yet: no traces */
}

/* Only what we put there goes; a folder with anything else in it stays. */
static int remove_trace(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	char path[TTD_PATH_MAX];
	int rc = 0;

	if (d == NULL)
		return err_set(e, ST_HOST, "trace %s: %s", dir, strerror(errno));
	while (rc == 0 && (ent = readdir(d)) != NULL) {
		bool ours = strncmp(ent->d_name, LOG_PREFIX, strlen(LOG_PREFIX)) == 0 ||
			strcmp(ent->d_name, "console.txt") == 0 || packed_name(ent->d_name);

		if (!ours)
			continue;
		rc = trace_join(path, dir, "/", ent->d_name, e);
		if (rc == 0 && unlink(path) != 0)
			rc = err_set(e, ST_HOST, "cannot remove %s: %s", path, strerror(errno));
	}
	closedir(d);
	if (rc == 0 && rmdir(dir) != 0)
		rc = err_set(e, ST_HOST, "cannot remove the folder %s: %s", dir, strerror(errno));
	return rc;
}

static bool same_file(const char *a, const char *b)
{
	struct stat x, y;

	return stat(a, &x) == 0 && stat(b, &y) == 0 && x.st_dev == y.st_dev && x.st_ino == y.st_ino;
}

int ttd_trace_remove(const char *trace, struct ttd_error *err)
{
	char dir[TTD_PATH_MAX], log[TTD_PATH_MAX], base[TTD_PATH_MAX], link[TTD_PATH_MAX];
	char real[PATH_MAX];
	struct err e;
	bool latest;

	if (trace_find(trace, dir, log, &e) != 0 || root(base, &e) != 0 ||
		trace_join(link, base, "/" LATEST, "", &e) != 0) {
		vm_error(err, &e);
		return -1;
	}
	latest = same_file(link, dir);
	if (realpath(dir, real) == NULL || remove_trace(real, &e) != 0) {
		vm_error(err, &e);
		return -1;
	}
	if (latest)
		unlink(link);
	return 0;
}
