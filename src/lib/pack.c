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
#include "lib/pack.h"
#include "lib/packing.h"
#include "lib/packed.h"
#include "lib/recorded.h"
#include "lib/trace.h"
#include "lib/vm.h"

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
	bool wanted, struct err *e)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW), rc;
	struct stat st;

	if (fd < 0 && errno == ENOENT && !wanted)
		return 0;
	if (fd < 0 || fstat(fd, &st) != 0 || !S_ISREG(st.st_mode)) {
		rc = err_set(e, ST_HOST, "cannot pack %s: %s", path, fd < 0 ? strerror(errno)
			: "not a file");
	} else {
		rc = pack_add(k->out, name, kind, fd, e);
		k->done += (uint64_t)st.st_size;
	}
	if (fd >= 0)
		close(fd);
	return rc;
}

static int add_files(struct packing *k, struct err *e)
{
	const struct log_meta *m = log_meta(k->rec.log);
	char console[TTD_PATH_MAX], points[TTD_PATH_MAX];

	if (trace_join(console, k->rec.dir, "/console.txt", "", e) != 0 ||
		trace_join(points, k->rec.path, CHECKPOINTS_SUFFIX, "", e) != 0 ||
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
	return packing_disks(k->opt, m, k->out, &k->done, e);
}

static int out_path(struct packing *k, struct err *e)
{
	if (k->opt->out != NULL)
		return trace_join(k->path, k->opt->out, "", "", e);
	return trace_join(k->path, k->name, ".ttd", "", e);
}

static int make(struct packing *k, struct ttd_pack_info *info, struct err *e)
{
	uint64_t bytes = 0;
	int rc = -1;

	if (recorded_check(&k->rec, false, e) != 0)
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
	struct err e;
	int rc = -1;

	if (k == NULL)
		err_set(&e, ST_HOST, "out of memory");
	else if (opt->size != sizeof *opt)
		err_set(&e, ST_USAGE, "struct ttd_pack is not initialised; use TTD_PACK_INIT");
	else if (recorded_open(&k->rec, opt->trace, false, &e) == 0) {
		k->opt = opt;
		rc = make(k, info, &e);
		recorded_close(&k->rec);
	}
	free(k);
	if (rc != 0)
		vm_error(err, &e);
	return rc;
}

/* ---- what is needed otherwise ---- */

static void need(const char *log, const char *what, const struct log_file *f,
	void (*fn)(void *ctx, const struct ttd_need *need), void *ctx)
{
	struct ttd_need n = {0};
	struct err e = {0};

	snprintf(n.what, sizeof n.what, "%s", what);
	n.found = recorded_file(log, what, f, n.path, &e) == 0;
	if (!n.found) {
		snprintf(n.path, sizeof n.path, "%s", f->path);
		snprintf(n.why, sizeof n.why, "%s", e.text);
	}
	fn(ctx, &n);
}

static void need_disk(const char *log, const struct log_disk *d,
	void (*fn)(void *ctx, const struct ttd_need *need), void *ctx)
{
	struct ttd_need n = {0};
	struct stat st;

	snprintf(n.what, sizeof n.what, "%s", d->name);
	if (packed_base(log, d->name, n.path)) {
		n.found = 1;
	} else {
		snprintf(n.path, sizeof n.path, "%s", d->target);
		if (base_is_nbd(d->target))
			snprintf(n.why, sizeof n.why, "a server; whether it is there shows when it is "
				"used");
		else if (stat(d->target, &st) != 0)
			snprintf(n.why, sizeof n.why, "%s", strerror(errno));
		else if (S_ISREG(st.st_mode) && ((uint64_t)st.st_size != d->size || d->mtime !=
			(uint64_t)st.st_mtim.tv_sec * 1000000000 + (uint64_t)st.st_mtim.tv_nsec))
			snprintf(n.why, sizeof n.why, "it has changed since");
		else
			n.found = 1;
	}
	fn(ctx, &n);
}

int ttd_trace_needs(const char *trace, void (*fn)(void *ctx, const struct ttd_need *need),
	void *ctx, struct ttd_error *err)
{
	struct recorded *r = malloc(sizeof *r);
	struct err e;
	int rc = r != NULL ? recorded_open(r, trace, false, &e)
		: err_set(&e, ST_HOST, "out of memory");

	if (rc == 0) {
		const struct log_meta *m = log_meta(r->log);

		need(r->path, "kernel", &m->kernel, fn, ctx);
		if (m->ramdisk.path[0] != '\0')
			need(r->path, "ramdisk", &m->ramdisk, fn, ctx);
		for (unsigned i = 0; i < m->ndisks; i++)
			need_disk(r->path, &m->disk[i], fn, ctx);
		recorded_close(r);
	} else {
		vm_error(err, &e);
	}
	free(r);
	return rc;
}
