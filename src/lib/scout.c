/*
 * scout.c - see scout.h.
 */
#include "lib/scout.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "dev/base.h"
#include "lib/kept.h"
#include "sandbox/reader.h"
#include "trace/material.h"
#include "trace/origin.h"
#include "trace/packed.h"
#include "trace/trace.h"
#include "util/child.h"
#include "util/text.h"

static void scout_add(struct scouted *s, const char *path)
{
	if (path != NULL && *path != '\0' && s->n < SCOUT_FILES &&
		(s->file[s->n] = strdup(path)) != NULL)
		s->n++;
}

void scouted_free(struct scouted *s)
{
	while (s->n > 0)
		free(s->file[--s->n]);
}

/* ---- META, by a confined child ---- */

/* What the child says. */
struct seen {
	struct log_meta meta;
	uint8_t run_id[RUN_ID];
	bool good;
	struct ttd_error error; /* else */
};

static void look(void *ctx, void *answer)
{
	const char *log = ctx;
	struct reader c = {.inputs = &log, .ninputs = 1};
	struct seen *s = answer;
	struct log_reader *r;

	/* A kernel that cannot confine us is no reason not to look: --no-sandbox may follow. */
	sandbox_reader(&c, NULL);
	s->error = (struct ttd_error)TTD_ERROR_INIT;
	r = log_open(log, &s->error);
	s->good = r != NULL;
	if (s->good) {
		s->meta = *log_meta(r);
		memcpy(s->run_id, log_run_id(r), RUN_ID);
	}
}

/* Texts end, numbers are in their ranges; what else it says is not believed. */
static bool sane(struct log_meta *m)
{
#define END(a) ((a)[sizeof a - 1] == '\0')
	bool ok = m->ndisks <= LOG_DISKS && END(m->name) && END(m->version) && END(m->vendor) &&
		END(m->kernel.path) && END(m->ramdisk.path) && END(m->cmdline) && END(m->config) &&
		END(m->vifs);

	for (uint32_t i = 0; ok && i < m->ndisks; i++) {
		const struct log_disk *d = &m->disk[i];
		unsigned char flag[3];

		memcpy(flag, &d->read_only, 1);
		memcpy(flag + 1, &d->cdrom, 1);
		memcpy(flag + 2, &d->discard, 1);
		ok = END(d->name) && END(d->target) && flag[0] <= 1 && flag[1] <= 1 && flag[2] <= 1;
	}
	return ok;
}

static int believe(struct seen *s, const char *log, struct ttd_error *e)
{
	unsigned char good;

	memcpy(&good, &s->good, 1);
	if (good == 1 && sane(&s->meta))
		return 0;
	s->error.text[sizeof s->error.text - 1] = '\0';
	text_clean(s->error.text);
	if (good != 0 || s->error.text[0] == '\0')
		return err_set(e, TTD_DAMAGED, "log %.300s: its configuration makes no sense", log);
	return err_set(e, s->error.status == TTD_DAMAGED ? TTD_DAMAGED : TTD_HOST, "%s",
		s->error.text);
}

int scout_meta(const char *log, struct log_meta *m, uint8_t run_id[RUN_ID],
	struct ttd_error *e)
{
	struct seen *s = calloc(1, sizeof *s);
	int rc;

	if (s == NULL)
		return err_set(e, TTD_HOST, "no memory to read a log");
	rc = child_answer(look, (void *)(uintptr_t)log, s, sizeof *s);
	if (rc == 0)
		rc = believe(s, log, e);
	else if (rc == ECHILD)
		rc = err_set(e, TTD_HOST, "log %.300s: the process that looks at it first has died", log);
	else
		rc = err_set(e, TTD_HOST, "log %.300s: the process that looks at it first cannot be "
			"started: %s", log, strerror(rc));
	if (rc == 0) {
		*m = s->meta;
		memcpy(run_id, s->run_id, RUN_ID);
	}
	free(s);
	return rc;
}

/* ---- what belongs to it ---- */

static void beside(struct scouted *s, const char *dir, const char *path)
{
	const char *slash = strrchr(path, '/');
	char file[TTD_PATH_MAX];
	struct stat st;
	struct ttd_error none;

	/* Not through a link: see material.c. */
	if (path_join(file, dir, "/", slash != NULL ? slash + 1 : path, &none) == 0 &&
		lstat(file, &st) == 0 && S_ISREG(st.st_mode))
		scout_add(s, file);
}

/* The log was named, which may lie among anything: what is called like it, and no more. */
static void around(struct scouted *s, const char *dir, const char *log)
{
	const char *slash = strrchr(log, '/'), *name = slash != NULL ? slash + 1 : log;
	struct dirent **list;
	int n = scandir(dir, &list, NULL, versionsort);

	for (int i = n - 1; i >= 0; i--) { /* the newest replay's comes first */
		const char *f = list[i]->d_name;

		if ((strncmp(f, name, strlen(name)) == 0 && f[strlen(name)] == '.') ||
			packed_name(f))
			beside(s, dir, f);
	}
	for (int i = 0; i < n; i++)
		free(list[i]);
	if (n >= 0)
		free(list);
}

/* Its names are made ready when the kernel can be read anyway; see kept.h. */
static void find_kernel(struct scouted *s, const char *log, const struct log_meta *m, bool ours,
	bool names)
{
	struct material_ask a = {.kind = MATERIAL_KERNEL, .log = log, .ours = ours, .disk = "",
		.file = &m->kernel};
	char path[TTD_PATH_MAX];
	struct ttd_error none;

	if (names && m->restored[0] == '\0' && material_find(&a, path, &none) == 0) {
		kept_prepare(path, true);
		scout_add(s, path);
	}
}

static void named_files(struct scouted *s, const char *dir, const char *log, bool names)
{
	struct log_meta *m = malloc(sizeof *m);
	uint8_t run_id[RUN_ID];
	struct ttd_error none;

	if (m != NULL && scout_meta(log, m, run_id, &none) == 0) {
		bool ours = origin_ours(m, log);

		beside(s, dir, m->kernel.path);
		beside(s, dir, m->ramdisk.path);
		scout_add(s, ours ? m->kernel.path : NULL);
		scout_add(s, ours ? m->ramdisk.path : NULL);
		for (uint32_t i = 0; ours && i < m->ndisks; i++)
			scout_add(s, base_is_nbd(m->disk[i].target) ? NULL : m->disk[i].target);
		find_kernel(s, log, m, ours, names);
	}
	free(m);
}

int scout_trace(struct scouted *s, const char *trace, bool unpack, bool names,
	struct ttd_error *e)
{
	char dir[TTD_PATH_MAX], log[TTD_PATH_MAX], file[TTD_PATH_MAX];
	struct stat st;
	bool packed = trace_packed(trace, file);

	if (packed)
		scout_add(s, file);
	if (packed && !unpack)
		return 0;
	if (trace_find(trace, dir, log, e) != 0)
		return -1;
	scout_add(s, log);
	named_files(s, dir, log, names);
	/* A folder that was named is the trace's; and so is that of a pack. */
	if (packed || trace == NULL || stat(trace, &st) != 0 || !S_ISREG(st.st_mode) ||
		strchr(trace, '/') == NULL)
		scout_add(s, dir);
	else
		around(s, dir, log);
	return 0;
}

static void one_of_all(void *ctx, const char *name)
{
	char root[TTD_PATH_MAX], path[TTD_PATH_MAX], dir[TTD_PATH_MAX], log[TTD_PATH_MAX];
	struct stat st;
	struct ttd_error none;

	if (ttd_trace_root(root, NULL) != 0 || path_join(path, root, "/", name, &none) != 0 ||
		trace_find(name, dir, log, &none) != 0)
		return;
	/* Only what is elsewhere needs a rule of its own. */
	if (lstat(path, &st) == 0 && S_ISLNK(st.st_mode))
		scout_add(ctx, path);
}

void scout_traces(struct scouted *s)
{
	char root[TTD_PATH_MAX];

	if (ttd_trace_root(root, NULL) != 0)
		return;
	scout_add(s, root);
	ttd_trace_each(one_of_all, s, NULL);
}
