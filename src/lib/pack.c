/*
 * pack.c - which files a packed trace is made of.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "dev/base.h"
#include "lib/checkpoints.h"
#include "lib/packing.h"
#include "lib/recorded.h"
#include "trace/pack.h"
#include "trace/packed.h"
#include "trace/trace.h"
#include "util/options.h"
#include "util/regular.h"

struct packing {
	const struct ttd_pack *opt;
	struct recorded rec;
	struct pack_writer *out;
	char name[PACK_NAME + 1]; /* of the trace */
	char path[TTD_PATH_MAX];
	uint64_t done; /* bytes of files */
};

static const char *last_of(const char *path)
{
	const char *slash = strrchr(path, '/');

	return slash != NULL ? slash + 1 : path;
}

/* The folder's name, when it can be one in a pack. */
static void name_of(struct packing *k)
{
	char real[PATH_MAX];

	strcpy(k->name, "trace");
	if (realpath(k->rec.dir, real) != NULL && pack_name_ok(last_of(real)))
		strcpy(k->name, last_of(real));
}

static int add(struct packing *k, const char *name, enum pack_kind kind, const char *path,
	bool wanted, struct ttd_error *e)
{
	/* What the user or his own trace names may be a link; what lies about may not. */
	bool named = kind == PACK_KERNEL || kind == PACK_RAMDISK;
	uint64_t size = 0;
	int fd = regular_open(path, named ? REGULAR_FOLLOW : REGULAR_NOFOLLOW, &size), rc;

	if (fd < 0 && errno == ENOENT && !wanted)
		return 0;
	if (fd < 0) {
		rc = err_set(e, TTD_HOST, "cannot pack %s: %s", path, errno == ENODEV ||
			errno == ELOOP ? "not a regular file" : strerror(errno));
	} else {
		rc = pack_add(k->out, name, kind, fd, e);
		k->done += size;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int add_files(struct packing *k, struct ttd_error *e)
{
	const struct log_meta *m = k->rec.meta;
	char console[TTD_PATH_MAX], points[TTD_PATH_MAX];

	if (path_join(console, k->rec.dir, "/console.txt", "", e) != 0 ||
		path_join(points, k->rec.path, CHECKPOINTS_SUFFIX, "", e) != 0 ||
		add(k, last_of(k->rec.path), PACK_LOG, k->rec.path, true, e) != 0 ||
		add(k, "kernel", PACK_KERNEL, k->rec.kernel, true, e) != 0 ||
		(k->rec.ramdisk[0] != '\0' &&
		add(k, "ramdisk", PACK_RAMDISK, k->rec.ramdisk, true, e) != 0))
		return -1;
	if (add(k, "console.txt", PACK_CONSOLE, console, false, e) != 0)
		return -1;
	/* With disks they lead into the recording's overlays, which are not packed. */
	if (k->opt->checkpoints && m->ndisks == 0 &&
		add(k, last_of(points), PACK_CHECKPOINTS, points, false, e) != 0)
		return -1;
	return packing_disks(k->opt, &k->rec, k->out, &k->done, e);
}

static int out_path(struct packing *k, struct ttd_error *e)
{
	if (k->opt->out != NULL)
		return path_join(k->path, k->opt->out, "", "", e);
	return path_join(k->path, k->name, ".ttd", "", e);
}

static int make(struct packing *k, struct ttd_pack_info *info, struct ttd_error *e)
{
	uint64_t bytes = 0;
	int rc = -1;

	if (recorded_check(&k->rec, &k->opt->files, false, e) != 0)
		return -1;
	name_of(k);
	if (out_path(k, e) != 0)
		return -1;
	k->out = pack_create(k->path, k->name, k->opt->force != 0, e);
	if (k->out != NULL && add_files(k, e) == 0)
		rc = pack_finish(k->out, &bytes, e);
	pack_writer_free(k->out);
	if (rc == 0 && info != NULL) {
		memcpy(info->path, k->path, sizeof info->path);
		info->bytes = bytes;
		info->unpacked = k->done;
	}
	return rc;
}

int ttd_pack_write(const struct ttd_pack *opt, struct ttd_pack_info *info, struct ttd_error *err)
{
	struct packing *k = calloc(1, sizeof *k);
	struct ttd_pack own;
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = -1;

	if (k == NULL)
		err_set(e, TTD_HOST, "out of memory");
	else if (OPTIONS_TAKE(&own, opt, progress_ctx, "TTD_PACK_INIT", e) == 0 &&
		recorded_look(&k->rec, own.trace, false, e) == 0) {
		k->opt = &own;
		rc = make(k, info, e);
		recorded_close(&k->rec);
	}
	free(k);
	return rc;
}

/* ---- what is needed otherwise ---- */

static void need(const struct recorded *r, enum material kind, const char *what,
	const struct log_file *f, void (*fn)(void *ctx, const struct ttd_need *need), void *ctx)
{
	struct ttd_need n = {0};
	struct ttd_error e = TTD_ERROR_INIT;

	snprintf(n.what, sizeof n.what, "%s", what);
	n.found = recorded_file(r, kind, NULL, n.path, &e) == 0;
	if (!n.found) {
		snprintf(n.path, sizeof n.path, "%s", f->path);
		snprintf(n.why, sizeof n.why, "%s", e.text);
	}
	fn(ctx, &n);
}

/* Nothing is opened for it. */
static void look_at_base(const char *path, const struct log_disk *d, struct ttd_need *n)
{
	struct stat st;

	if (base_is_nbd(path))
		snprintf(n->why, sizeof n->why, "a server; whether it is there shows when it is used");
	else if (stat(path, &st) != 0)
		snprintf(n->why, sizeof n->why, "%s", strerror(errno));
	else if (S_ISREG(st.st_mode) && ((uint64_t)st.st_size != d->size || d->mtime !=
		(uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec))
		snprintf(n->why, sizeof n->why, "it has changed since");
	else
		n->found = 1;
}

static void need_disk(const struct recorded *r, const struct log_disk *d,
	void (*fn)(void *ctx, const struct ttd_need *need), void *ctx)
{
	struct ttd_need n = {0};
	struct ttd_error e = TTD_ERROR_INIT;

	snprintf(n.what, sizeof n.what, "%s", d->name);
	if (recorded_base(r, d, NULL, 0, n.path, &e) == 0) {
		look_at_base(n.path, d, &n);
	} else {
		snprintf(n.path, sizeof n.path, "%s", d->target);
		snprintf(n.why, sizeof n.why, "%s", e.text);
	}
	fn(ctx, &n);
}

int ttd_trace_needs(const char *trace, void (*fn)(void *ctx, const struct ttd_need *need),
	void *ctx, struct ttd_error *err)
{
	struct recorded *r = malloc(sizeof *r);
	struct ttd_error spare, *e = err_begin(err, &spare);
	int rc = r != NULL ? recorded_open(r, trace, false, e)
		: err_set(e, TTD_HOST, "out of memory");

	if (rc == 0) {
		const struct log_meta *m = log_meta(r->log);

		need(r, MATERIAL_KERNEL, "kernel", &m->kernel, fn, ctx);
		if (m->ramdisk.path[0] != '\0')
			need(r, MATERIAL_RAMDISK, "ramdisk", &m->ramdisk, fn, ctx);
		for (unsigned i = 0; i < m->ndisks; i++)
			need_disk(r, &m->disk[i], fn, ctx);
		recorded_close(r);
	}
	free(r);
	return rc;
}
