/*
 * diskfiles.c - the disks of a trace when nothing runs: what they are, their
 * overlays merged into their bases or written out as whole images.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/disks.h"
#include "lib/trace.h"
#include "lib/vm.h"

enum { PIECE = 1 << 20, CLUSTER = OVERLAY_CLUSTER };

struct opened {
	struct log_reader *log;
	char dir[TTD_PATH_MAX], path[TTD_PATH_MAX];
	const struct ttd_disk_job *job;
};

static int open_log(const char *trace, struct opened *o, struct err *e)
{
	if (trace_find(trace, o->dir, o->path, e) != 0)
		return -1;
	o->log = log_open(o->path, e);
	return o->log != NULL ? 0 : -1;
}

/* The overlay of a disk: of this trace, for a base of that size. */
static struct overlay *open_overlay(const struct opened *o, const struct log_disk *d,
	char path[TTD_PATH_MAX], struct err *e)
{
	struct overlay *ov;

	if (disks_overlay_path(o->path, d->name, path, e) != 0)
		return NULL;
	ov = overlay_open(path, e);
	if (ov == NULL)
		return NULL;
	if (memcmp(overlay_info(ov)->session, log_session(o->log), OVERLAY_SESSION) == 0 &&
		strcmp(overlay_info(ov)->disk, d->name) == 0 && overlay_info(ov)->size == d->size)
		return ov;
	overlay_close(ov);
	err_set(e, ST_HOST, "%s belongs to another trace", path);
	return NULL;
}

static const char *base_path(const struct opened *o, const struct log_disk *d)
{
	for (unsigned i = 0; i < o->job->nbases; i++)
		if (strcmp(o->job->bases[i].name, d->name) == 0)
			return o->job->bases[i].target;
	return d->target;
}

static const struct log_disk *find(const struct opened *o, const char *name, struct err *e)
{
	const struct log_meta *m = log_meta(o->log);

	for (uint32_t i = 0; name != NULL && i < m->ndisks; i++)
		if (strcmp(m->disk[i].name, name) == 0)
			return &m->disk[i];
	err_set(e, ST_USAGE, "the trace has no disk %.40s; ttd info shows which it has",
		name != NULL ? name : "of that name");
	return NULL;
}

static void tell(const struct opened *o, uint64_t done, uint64_t total)
{
	if (o->job->progress != NULL)
		o->job->progress(o->job->progress_ctx, done, total);
}

/* ---- commit ---- */

/* Beside the overlay while its base is neither the old nor the new one. */
#define UNDER_WAY ".commit"

static int check_base(const struct opened *o, const struct log_disk *d, struct base *base,
	bool resumed, struct err *e)
{
	const struct base_info *info = base_info(base);

	(void)o;
	if (info->size != d->size || (info->mtime_ns != d->mtime && !resumed))
		return err_set(e, ST_HOST, "disk %s: %s is not as it was when this was recorded%s; "
			"nothing was written", d->name, base_target(base), info->size != d->size
			? ": its size differs" : ": it has been changed since, perhaps by a commit");
	return 0;
}

static int copy_clusters(const struct opened *o, struct overlay *ov, struct base *base)
{
	uint64_t c = 0, done = 0, size = base_info(base)->size;
	uint8_t *buf = malloc(PIECE);
	int rc = buf != NULL ? 0 : ENOMEM;

	while (rc == 0 && (c = overlay_next(ov, c)) != UINT64_MAX) {
		uint64_t n = 1, bytes;

		while (n < PIECE / CLUSTER && overlay_has(ov, c + n))
			n++;
		bytes = n * CLUSTER < size - c * CLUSTER ? n * CLUSTER : size - c * CLUSTER;
		rc = overlay_read(ov, c, n, buf);
		if (rc == 0)
			rc = base_write(base, c * CLUSTER, buf, bytes);
		c += n;
		tell(o, done += n, overlay_clusters(ov));
	}
	free(buf);
	return rc != 0 ? rc : base_flush(base);
}

static int mark(const char *path, struct err *e)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd < 0 || fsync(fd) != 0) {
		err_set(e, ST_HOST, "cannot write %s: %s", path, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

static int commit_one(const struct opened *o, const struct log_disk *d, struct err *e)
{
	char path[TTD_PATH_MAX], under_way[TTD_PATH_MAX];
	struct overlay *ov = open_overlay(o, d, path, e);
	struct base *base = NULL;
	int rc = -1, error;

	if (ov != NULL && trace_join(under_way, path, UNDER_WAY, "", e) == 0 &&
		(base = base_open(d->name, base_path(o, d), BASE_WRITE, e)) != NULL &&
		check_base(o, d, base, access(under_way, F_OK) == 0, e) == 0 &&
		mark(under_way, e) == 0) {
		error = copy_clusters(o, ov, base);
		if (error == 0)
			rc = 0;
		else
			err_set(e, error == EBADMSG ? ST_DAMAGED : ST_HOST, "disk %s: %s: %s; the base is "
				"half-way, commit again", d->name, error == EBADMSG ? path
				: base_target(base), error == EBADMSG ? "is damaged" : strerror(error));
	}
	base_close(base);
	overlay_close(ov);
	if (rc == 0)
		unlink(under_way);
	return rc;
}

static int commit(const struct ttd_disk_job *job, struct err *e)
{
	struct opened o = {.job = job};
	const struct log_disk *d = NULL;
	int rc = open_log(job->trace, &o, e);

	if (rc == 0 && job->disk != NULL) {
		d = find(&o, job->disk, e);
		if (d == NULL)
			rc = -1;
		else if (d->read_only)
			rc = err_set(e, ST_USAGE, "disk %s is read-only: there is nothing to commit",
				d->name);
		else
			rc = commit_one(&o, d, e);
	} else if (rc == 0) {
		const struct log_meta *m = log_meta(o.log);
		unsigned done = 0;

		for (uint32_t i = 0; rc == 0 && i < m->ndisks; i++)
			if (!m->disk[i].read_only && ++done)
				rc = commit_one(&o, &m->disk[i], e);
		if (rc == 0 && done == 0)
			rc = err_set(e, ST_USAGE, "the trace has no disks that were written");
	}
	log_reader_close(o.log);
	return rc;
}

/* ---- export ---- */

static bool all_zero(const uint8_t *p, size_t n)
{
	return p[0] == 0 && memcmp(p, p + 1, n - 1) == 0;
}

/* Writes what is not zero: the file was made empty and is as long as the disk. */
static int put_piece(int fd, uint64_t off, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += CLUSTER) {
		size_t part = n - i < CLUSTER ? n - i : CLUSTER;

		if (!all_zero(p + i, part) && pwrite(fd, p + i, part, (off_t)(off + i)) !=
			(ssize_t)part)
			return errno != 0 ? errno : EIO;
	}
	return 0;
}

static int copy_disk(const struct opened *o, struct disk *disk, int fd, const char *out,
	struct err *e)
{
	uint64_t size = disk_info(disk)->size, off;
	uint8_t *buf = malloc(PIECE);
	int rc = buf != NULL ? 0 : ENOMEM;
	bool reading = true;

	if (rc == 0 && ftruncate(fd, (off_t)size) != 0)
		rc = errno;
	for (off = 0; rc == 0 && off < size; off += PIECE) {
		size_t n = size - off < PIECE ? (size_t)(size - off) : PIECE;

		reading = true;
		rc = disk_read(disk, off, buf, n);
		if (rc == 0) {
			reading = false;
			errno = 0;
			rc = put_piece(fd, off, buf, n);
		}
		tell(o, (off + n) / PIECE, size / PIECE);
	}
	free(buf);
	if (rc == 0 && fsync(fd) != 0) {
		reading = false;
		rc = errno;
	}
	if (rc == 0)
		return 0;
	return err_set(e, rc == EBADMSG ? ST_DAMAGED : ST_HOST, "disk %s: cannot %s %s: %s",
		disk_name(disk), reading ? "read" : "write", reading ? disk_target(disk) : out,
		rc == EBADMSG ? "the overlay is damaged" : strerror(rc));
}

static int write_out(const struct opened *o, struct disk *disk, struct err *e)
{
	const char *out = o->job->out;
	int fd = open(out, O_RDWR | O_CREAT | O_CLOEXEC | (o->job->force ? 0 : O_EXCL), 0666), rc;

	if (fd < 0)
		return err_set(e, ST_HOST, "cannot create %s: %s%s", out, strerror(errno),
			errno == EEXIST ? "; --force replaces it" : "");
	rc = ftruncate(fd, 0) == 0 ? copy_disk(o, disk, fd, out, e)
		: err_set(e, ST_HOST, "%s: is not a file that can be written", out);
	close(fd);
	if (rc != 0)
		unlink(out);
	return rc;
}

static int export(const struct ttd_disk_job *job, struct err *e)
{
	struct opened o = {.job = job};
	char path[TTD_PATH_MAX];
	const struct log_disk *d;
	struct disk *disk = NULL;
	struct overlay *ov = NULL;
	int rc = -1;

	if (job->out == NULL || *job->out == '\0')
		return err_set(e, ST_USAGE, "export: name the file to write");
	if (open_log(job->trace, &o, e) == 0 && (d = find(&o, job->disk, e)) != NULL &&
		(d->read_only || (ov = open_overlay(&o, d, path, e)) != NULL) &&
		(disk = disk_open(d->name, base_path(&o, d), DISK_READONLY, e)) != NULL) {
		disk_use_overlay(disk, ov);
		ov = NULL;
		rc = disk_info(disk)->size == d->size ? write_out(&o, disk, e)
			: err_set(e, ST_HOST, "disk %s: %s is not the base that was recorded: its size "
				"differs", d->name, disk_target(disk));
	}
	overlay_close(ov);
	disk_close(disk);
	log_reader_close(o.log);
	return rc;
}

/* ---- public ---- */

static int job(const struct ttd_disk_job *j, int (*fn)(const struct ttd_disk_job *j,
	struct err *e), struct ttd_error *err)
{
	struct err e;

	if (j->size != sizeof *j)
		err_set(&e, ST_USAGE, "struct ttd_disk_job is not initialised; use TTD_DISK_JOB_INIT");
	else if (fn(j, &e) == 0)
		return 0;
	vm_error(err, &e);
	return -1;
}

int ttd_disk_commit(const struct ttd_disk_job *j, struct ttd_error *err)
{
	return job(j, commit, err);
}

int ttd_disk_export(const struct ttd_disk_job *j, struct ttd_error *err)
{
	return job(j, export, err);
}

static void fill(const struct opened *o, const struct log_disk *d, struct ttd_trace_disk *out)
{
	struct overlay *ov;
	struct err none;

	*out = (struct ttd_trace_disk){.bytes = d->size, .mtime_ns = d->mtime,
		.read_only = d->read_only, .cdrom = d->cdrom, .sector = d->sector};
	snprintf(out->name, sizeof out->name, "%s", d->name);
	snprintf(out->target, sizeof out->target, "%s", d->target);
	if (d->read_only)
		return;
	ov = open_overlay(o, d, out->overlay, &none);
	out->has_overlay = ov != NULL;
	if (ov != NULL) {
		out->written = overlay_clusters(ov) * CLUSTER;
		out->content = overlay_content(ov);
	}
	overlay_close(ov);
}

int ttd_trace_disk(const char *trace, unsigned i, struct ttd_trace_disk *disk,
	struct ttd_error *err)
{
	struct opened o = {0};
	struct err e;
	int rc;

	if (open_log(trace, &o, &e) != 0) {
		vm_error(err, &e);
		return -1;
	}
	rc = i < log_meta(o.log)->ndisks;
	if (rc == 1)
		fill(&o, &log_meta(o.log)->disk[i], disk);
	log_reader_close(o.log);
	return rc;
}
