/*
 * trace.c - where traces are, what they are called and what is in them.
 */
#include "trace/trace.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "trace/pack.h"
#include "trace/packed.h"
#include "trace/replace.h"
#include "trace/salvage.h"
#include "util/interrupt.h"
#include "util/names.h"
#include "util/parse.h"
#include "util/regular.h"
#include "util/text.h"
#include "util/xxh.h"

#define LOG_PREFIX "ttd.log."
#define LATEST "latest"

enum { NAMES_MAX = 100000, BLOCK = 1 << 20 };

static int root(char path[TTD_PATH_MAX], struct ttd_error *e)
{
	const char *dir = getenv("TTD_TRACE_DIR"), *data = getenv("XDG_DATA_HOME");
	const char *home = getenv("HOME");

	if (dir != NULL && *dir != '\0')
		return path_join(path, dir, "", "", e);
	if (data != NULL && *data == '/')
		return path_join(path, data, "/ttd", "", e);
	if (home != NULL && *home == '/')
		return path_join(path, home, "/.local/share/ttd", "", e);
	return err_set(e, TTD_USAGE, "no place for traces: set TTD_TRACE_DIR or HOME");
}

static bool ends(const char *name, const char *with)
{
	size_t n = strlen(name), m = strlen(with);

	return n >= m && strcmp(name + n - m, with) == 0;
}

/*
 * ttd.log.NAME and nothing after it: not the log of a replay, checkpoints, an overlay, or
 * what says that it is being committed.
 */
static bool is_log(const char *name)
{
	return strncmp(name, LOG_PREFIX, strlen(LOG_PREFIX)) == 0 &&
		strstr(name, ".replay.") == NULL && strstr(name, CHECKPOINTS_SUFFIX) == NULL &&
		!ends(name, TRACE_OVERLAY) && !ends(name, TRACE_OVERLAY ".commit");
}

static void unlink_log(const char *log)
{
	char path[TTD_PATH_MAX];
	struct ttd_error none;

	names_remove(log);
	if (path_join(path, log, CHECKPOINTS_SUFFIX, "", &none) == 0)
		names_remove(path);
}

/* Not a link: in a stranger's folder it leads to whatever he likes to be opened. */
static bool is_file(DIR *d, const char *name)
{
	struct stat st;

	return fstatat(dirfd(d), name, &st, AT_SYMLINK_NOFOLLOW) == 0 && S_ISREG(st.st_mode);
}

static int find_log(const char *dir, char log[TTD_PATH_MAX], struct ttd_error *e)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	int found = 0;

	if (d == NULL)
		return err_set(e, TTD_HOST, "trace %s: %s", dir, strerror(errno));
	while ((ent = readdir(d)) != NULL)
		if (is_log(ent->d_name) && is_file(d, ent->d_name) && found++ == 0 &&
			path_join(log, dir, "/", ent->d_name, e) != 0)
			found = -1;
	closedir(d);
	if (found < 0)
		return -1;
	if (found != 1)
		return err_set(e, TTD_HOST, "%s: %s", dir, found == 0 ? "is no trace: it holds no log"
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

/* What the user called it, as a path; `base` becomes the traces' folder if that was needed. */
static int named(const char *trace, char base[TTD_PATH_MAX], char path[TTD_PATH_MAX],
	struct ttd_error *e)
{
	/* Here and above are folders, not names of traces. */
	if (trace != NULL && (strchr(trace, '/') != NULL || strcmp(trace, ".") == 0 ||
		strcmp(trace, "..") == 0))
		return path_join(path, trace, "", "", e);
	return root(base, e) != 0 ? -1
		: path_join(path, base, "/", trace != NULL ? trace : LATEST, e);
}

bool trace_packed(const char *trace, char file[TTD_PATH_MAX])
{
	char base[TTD_PATH_MAX];
	struct stat st;
	struct ttd_error none;

	return named(trace, base, file, &none) == 0 && stat(file, &st) == 0 &&
		S_ISREG(st.st_mode) && pack_is(file);
}

static int find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct ttd_error *e)
{
	char base[TTD_PATH_MAX];
	struct stat st;

	if (named(trace, base, dir, e) != 0)
		return -1;
	if (stat(dir, &st) != 0) {
		if (trace == NULL && errno == ENOENT)
			return err_set(e, TTD_HOST, "there is no trace in %s yet; ttd record makes one",
				base);
		return err_set(e, TTD_HOST, "trace %s: %s", dir, strerror(errno));
	}
	if (S_ISREG(st.st_mode) && pack_is(dir)) {
		if (path_join(base, dir, "", "", e) != 0 || packed_folder(base, dir, e) != 0)
			return -1;
		return find_log(dir, log, e);
	}
	if (S_ISDIR(st.st_mode))
		return find_log(dir, log, e);
	if (path_join(log, dir, "", "", e) != 0)
		return -1;
	parent(log, dir);
	return 0;
}

int trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct ttd_error *e)
{
	if (find(trace, dir, log, e) != 0)
		return -1;
	salvage_log(log);
	return 0;
}

static int named_folder(const char *want, bool force, char dir[TTD_PATH_MAX], struct ttd_error *e)
{
	char base[TTD_PATH_MAX], log[TTD_PATH_MAX];
	struct ttd_error none;

	if (strchr(want, '/') == NULL) {
		if (root(base, e) != 0 || path_make_folders(base, e) != 0 ||
			path_join(dir, base, "/", want, e) != 0)
			return -1;
	} else if (path_join(dir, want, "", "", e) != 0) {
		return -1;
	}
	if (path_make_folders(dir, e) != 0)
		return -1;
	trace_put_back(dir); /* what a killed recording left aside */
	if (find_log(dir, log, &none) == 0 && !force)
		return err_set(e, TTD_USAGE, "trace %s exists already; give another name or --force",
			dir);
	return 0;
}

/* NAME-0, NAME-1...: the first that is free. */
static int numbered_folder(const char *name, char dir[TTD_PATH_MAX], struct ttd_error *e)
{
	char base[TTD_PATH_MAX], last[128];

	if (root(base, e) != 0 || path_make_folders(base, e) != 0)
		return -1;
	for (int i = 0; i < NAMES_MAX; i++) {
		snprintf(last, sizeof last, "%s-%d", name, i);
		if (path_join(dir, base, "/", last, e) != 0)
			return -1;
		if (names_folder(dir) == 0)
			return 0;
		if (errno != EEXIST)
			return err_set(e, TTD_HOST, "cannot create the trace %s: %s", dir,
				strerror(errno));
	}
	return err_set(e, TTD_HOST, "%s holds too many traces; remove some with ttd rm", base);
}

int trace_create(const char *want, const char *name, bool force, char dir[TTD_PATH_MAX],
	char log[TTD_PATH_MAX], struct ttd_error *e)
{
	char found[TTD_PATH_MAX];
	struct ttd_error none;

	if (want != NULL && *want == '\0')
		return err_set(e, TTD_USAGE, "the name of the trace is empty");
	if (want != NULL && strchr(want, '/') == NULL && (*want == '.' || strcmp(want, LATEST) == 0 ||
		!text_plain(want)))
		return err_set(e, TTD_USAGE,
		"'%.200s' cannot be the name of a trace: give a word that does "
			"not begin with a dot and is not '" LATEST "', or a path with a '/'", want);
	if (want != NULL ? named_folder(want, force, dir, e) : numbered_folder(name, dir, e))
		return -1;
	/* Replaced is the log that is there, whatever its domain was called. */
	if (force && find_log(dir, found, &none) == 0 && trace_set_aside(dir, found, e) != 0)
		return -1;
	if (path_join(log, dir, "/" LOG_PREFIX, name, e) != 0)
		return -1;
	return 0;
}

void trace_discard(const char *dir, const char *log)
{
	char console[TTD_PATH_MAX];
	struct ttd_error none;

	unlink_log(log);
	if (path_join(console, dir, "/console.txt", "", &none) == 0)
		names_remove(console);
	names_rmdir(dir);
}

void trace_set_latest(const char *dir)
{
	char base[TTD_PATH_MAX], link[TTD_PATH_MAX], tmp[TTD_PATH_MAX], real[PATH_MAX];
	struct ttd_error none;

	if (root(base, &none) != 0 || path_make_folders(base, &none) != 0 ||
		realpath(dir, real) == NULL || path_join(link, base, "/" LATEST, "", &none) != 0 ||
		path_join(tmp, link, ".new", "", &none) != 0)
		return;
	names_remove(tmp);
	if (names_link(real, tmp) != 0 || names_rename(tmp, link) != 0)
		names_remove(tmp);
}

/* ---- files that a trace names ---- */

int trace_digest(int fd, uint64_t max, struct log_file *f)
{
	XXH3_state_t *s = XXH3_createState();
	uint8_t *buf = malloc(BLOCK);
	XXH128_canonical_t c;
	ssize_t n = -1;

	if (s != NULL && buf != NULL) {
		XXH3_128bits_reset(s);
		f->size = 0;
		while (f->size <= max && (n = read(fd, buf, BLOCK)) > 0) {
			if (interrupt_pending()) {
				errno = EINTR;
				n = -1;
				break;
			}
			XXH3_128bits_update(s, buf, (size_t)n);
			f->size += (uint64_t)n;
		}
		XXH128_canonicalFromHash(&c, XXH3_128bits_digest(s));
		memcpy(f->digest, c.digest, sizeof f->digest);
	}
	XXH3_freeState(s);
	free(buf);
	return n >= 0 ? 0 : -1;
}

int trace_file(const char *what, const char *path, struct log_file *f, struct ttd_error *e)
{
	char real[PATH_MAX];
	int fd = regular_open(path, REGULAR_FOLLOW, NULL), rc;

	if (fd < 0 || realpath(path, real) == NULL) {
		err_set(e, TTD_HOST, "%s %s: %s", what, path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	rc = trace_digest(fd, UINT64_MAX, f);
	close(fd);
	if (rc != 0)
		return err_set(e, TTD_HOST, "%s %s: cannot be read: %s", what, path, strerror(errno));
	if (strlen(real) >= sizeof f->path)
		return err_set(e, TTD_USAGE, "%s: its path is too long", what);
	strcpy(f->path, real);
	return 0;
}

/* ---- the newest of a domain ---- */

int trace_newest(const char *folder, const char *name, char log[TTD_PATH_MAX],
	struct ttd_error *e)
{
	DIR *d = opendir(folder);
	char dir[TTD_PATH_MAX], found[TTD_PATH_MAX];
	size_t n = strlen(name);
	struct dirent *ent;
	uint64_t best = 0, number;
	bool any = false;
	struct ttd_error none;

	while (d != NULL && (ent = readdir(d)) != NULL) {
		if (strncmp(ent->d_name, name, n) != 0 || ent->d_name[n] != '-' ||
			parse_u64(ent->d_name + n + 1, 0, INT64_MAX, &number) != 0 ||
			(any && number < best) ||
			path_join(dir, folder, "/", ent->d_name, &none) != 0 ||
			find_log(dir, found, &none) != 0)
			continue;
		any = true;
		best = number;
		strcpy(log, found);
	}
	if (d != NULL)
		closedir(d);
	return any ? 0 : err_set(e, TTD_HOST, "there is no trace of %s in %s yet; "
		"time_travel=\"ttd_flag=1\" makes one", name, folder);
}

/* ---- public ---- */

int ttd_trace_newest(const char *domain, char log[TTD_PATH_MAX], struct ttd_error *err)
{
	char base[TTD_PATH_MAX];
	struct ttd_error spare, *e = err_begin(err, &spare);

	return root(base, e) == 0 && trace_newest(base, domain, log, e) == 0 ? 0 : -1;
}

int ttd_trace_root(char path[TTD_PATH_MAX], struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return root(path, e);
}

int ttd_trace_find(const char *trace, char dir[TTD_PATH_MAX], char log[TTD_PATH_MAX],
	struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return trace_find(trace, dir, log, e);
}

static int visible(const struct dirent *d)
{
	return d->d_name[0] != '.' && strcmp(d->d_name, LATEST) != 0;
}

int ttd_trace_each(void (*fn)(void *ctx, const char *name), void *ctx, struct ttd_error *err)
{
	char base[TTD_PATH_MAX], dir[TTD_PATH_MAX], log[TTD_PATH_MAX];
	struct dirent **list;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int n;

	if (root(base, e) != 0)
		return -1;
	n = scandir(base, &list, visible, versionsort);
	for (int i = 0; i < n; i++) {
		if (path_join(dir, base, "/", list[i]->d_name, e) == 0 &&
			find_log(dir, log, e) == 0)
			fn(ctx, list[i]->d_name);
		free(list[i]);
	}
	if (n >= 0)
		free(list);
	return 0; /* no folder yet: no traces */
}

bool trace_owns(const char *name)
{
	return strncmp(name, LOG_PREFIX, strlen(LOG_PREFIX)) == 0 ||
		strcmp(name, "console.txt") == 0 || packed_name(name);
}

/* Only what we put there goes; a folder with anything else in it stays. */
static int remove_trace(const char *dir, struct ttd_error *e)
{
	DIR *d = opendir(dir);
	struct dirent *ent;
	char path[TTD_PATH_MAX];
	int rc = 0;

	if (d == NULL)
		return err_set(e, TTD_HOST, "trace %s: %s", dir, strerror(errno));
	while (rc == 0 && (ent = readdir(d)) != NULL) {
		if (!trace_owns(ent->d_name))
			continue;
		rc = path_join(path, dir, "/", ent->d_name, e);
		if (rc == 0 && unlink(path) != 0)
			rc = err_set(e, TTD_HOST, "cannot remove %s: %s", path, strerror(errno));
	}
	closedir(d);
	if (rc == 0 && rmdir(dir) != 0)
		rc = err_set(e, TTD_HOST, "cannot remove the folder %s: %s", dir, strerror(errno));
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
	struct ttd_error spare, *e = err_begin(err, &spare);
	bool latest;

	if (trace_packed(trace, base))
		return err_set(e, TTD_USAGE, "%.300s is a packed trace, one file: remove that", base);
	/* Nothing of it is read: it may be a stranger's, and what is missing in it is too late. */
	if (find(trace, dir, log, e) != 0 || root(base, e) != 0 ||
		path_join(link, base, "/" LATEST, "", e) != 0)
		return -1;
	if (trace_locked(log)) {
		return err_set(e, TTD_HOST, "trace %s is being recorded; end that first", dir);
	}
	latest = same_file(link, dir);
	if (realpath(dir, real) == NULL || remove_trace(real, e) != 0)
		return -1;
	if (latest)
		unlink(link);
	return 0;
}
