/*
 * salvage.c - see salvage.h.
 */
#include "trace/salvage.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "event/drain.h"
#include "util/runtime.h"

#define RING_SUFFIX ".ring"
enum { DEAD_MAX = 256, DEAD_KEPT = 8 };

static int ring_path(char path[RUNTIME_PATH], const uint8_t run_id[RUN_ID],
	struct ttd_error *e)
{
	char name[2 * RUN_ID + 1];

	for (unsigned i = 0; i < RUN_ID; i++)
		snprintf(name + 2 * i, 3, "%02x", run_id[i]);
	return runtime_path(path, name, RING_SUFFIX, e);
}

struct dead {
	char path[RUNTIME_PATH];
	time_t used;
};

static int newer_first(const void *a, const void *b)
{
	const struct dead *x = a, *y = b;

	return (x->used < y->used) - (x->used > y->used);
}

static bool is_dead(const char *path, time_t *used)
{
	int fd = open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	struct stat st;
	bool dead = fd >= 0 && fstat(fd, &st) == 0 && S_ISREG(st.st_mode) &&
		flock(fd, LOCK_EX | LOCK_NB) == 0;

	if (dead)
		*used = st.st_mtime;
	if (fd >= 0)
		close(fd);
	return dead;
}

/* What was killed and never looked at is not kept for ever: each is a megabyte, often of memory. */
static void sweep(void)
{
	struct dead list[DEAD_MAX];
	char dir[RUNTIME_PATH];
	struct dirent *ent;
	size_t n = 0, k;
	struct ttd_error none;
	DIR *d;

	if (runtime_dir(dir, &none) != 0 || (d = opendir(dir)) == NULL)
		return;
	while (n < DEAD_MAX && (ent = readdir(d)) != NULL) {
		k = strlen(ent->d_name);
		if (k < sizeof RING_SUFFIX || strcmp(ent->d_name + k + 1 - sizeof RING_SUFFIX, RING_SUFFIX) != 0 ||
			snprintf(list[n].path, RUNTIME_PATH, "%s/%s", dir, ent->d_name) >= RUNTIME_PATH)
			continue;
		n += is_dead(list[n].path, &list[n].used);
	}
	closedir(d);
	qsort(list, n, sizeof *list, newer_first);
	while (n > DEAD_KEPT)
		unlink(list[--n].path);
}

struct ring *salvage_ring(struct ring_size size, const uint8_t run_id[RUN_ID],
	const char *log, struct ttd_error *e)
{
	char path[RUNTIME_PATH];
	struct ring *r = NULL;
	struct stat st;
	struct ttd_error none;

	sweep();
	if (stat(log, &st) == 0 && ring_path(path, run_id, &none) == 0)
		r = ring_create_file(size, run_id, path, &none);
	if (r == NULL)
		return ring_create(size, run_id, e);
	ring_set_log(r, st.st_dev, st.st_ino);
	return r;
}

/* -1: some of it is still to be written. */
static int append(const char *log, struct ring *r)
{
	struct log_writer *w;
	struct drain *d = NULL;
	uint64_t stream;
	struct ttd_error none;
	int rc = -1;

	w = log_append_open(log, ring_run_id(r), false, &stream, &none);
	if (w != NULL)
		d = drain_create(r, w, stream, &none);
	if (d != NULL && drain_last(d, &none) == DRAIN_DONE)
		rc = 0;
	drain_free(d);
	log_writer_close(w);
	return rc;
}

static bool run_id_of(const char *log, uint8_t run_id[RUN_ID])
{
	struct ttd_error none;
	struct log_reader *r = log_open(log, &none);

	if (r == NULL)
		return false;
	memcpy(run_id, log_run_id(r), RUN_ID);
	log_reader_close(r);
	return true;
}

/*
 * Is a dead ring of this user's the log's?  Asked before the log is read: most logs have none,
 * strangers' above all, and reading is what an attack would wait for.
 */
static bool has_ring(const char *log)
{
	char dir[RUNTIME_PATH], path[RUNTIME_PATH + 256];
	struct dirent *ent;
	bool found = false;
	struct stat st;
	struct ttd_error none;
	struct ring *r;
	size_t k;
	DIR *d;

	if (stat(log, &st) != 0 || runtime_dir(dir, &none) != 0 || (d = opendir(dir)) == NULL)
		return false;
	while (!found && (ent = readdir(d)) != NULL) {
		k = strlen(ent->d_name);
		if (k < sizeof RING_SUFFIX ||
			strcmp(ent->d_name + k + 1 - sizeof RING_SUFFIX, RING_SUFFIX) != 0)
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, ent->d_name);
		r = ring_find(path, &none);
		found = r != NULL && ring_is_of(r, st.st_dev, st.st_ino);
		ring_free(r);
	}
	closedir(d);
	return found;
}

void salvage_log(const char *log)
{
	uint8_t run_id[RUN_ID];
	char path[RUNTIME_PATH];
	struct ttd_error none;
	struct ring *r;
	struct stat st;

	/* A stranger's log may have taken the run id of one of ours: the ring knows its file. */
	if (!has_ring(log) || !run_id_of(log, run_id) || ring_path(path, run_id, NULL) != 0 ||
		access(path, F_OK) != 0 || (r = ring_find(path, &none)) == NULL)
		return;
	if (memcmp(ring_run_id(r), run_id, RUN_ID) == 0 && stat(log, &st) == 0 &&
		ring_is_of(r, st.st_dev, st.st_ino) &&
		(log_finished(log, run_id) || append(log, r) == 0))
		unlink(path);
	ring_free(r);
}
