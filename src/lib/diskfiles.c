/*
 * diskfiles.c - the disks of a trace when nothing runs: what they are, their
 * overlays merged into their bases or written out as whole images.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/disks.h"
#include "lib/recorded.h"
#include "trace/origin.h"
#include "trace/packedlog.h"
#include "trace/trace.h"
#include "util/bytes.h"
#include "util/fullio.h"
#include "util/names.h"
#include "util/options.h"
#include "util/regular.h"
#include "util/zero.h"

enum { PIECE = 1 << 20, CLUSTER = OVERLAY_CLUSTER };

/* One disk of a job: what it is made of is open before the process is confined. */
struct chosen {
	struct log_disk d;
	char target[TTD_PATH_MAX], overlay[TTD_PATH_MAX], mark[TTD_PATH_MAX];
	uint8_t mac[LOG_SEAL]; /* see mark_of() */
	struct base *base;     /* of a commit */
	struct disk *disk;     /* of an export */
};

struct opened {
	struct recorded rec;
	const struct ttd_disk_job *job;
	unsigned n;
	struct chosen one[LOG_DISKS];
	int folder; /* the log's, or -1 */
};

static struct opened *open_trace(const char *trace, const struct ttd_disk_job *job,
	struct ttd_error *e)
{
	struct opened *o = calloc(1, sizeof *o);

	if (o == NULL) {
		err_set(e, TTD_HOST, "out of memory");
		return NULL;
	}
	o->job = job;
	o->folder = -1;
	if ((job != NULL && job->confine ? recorded_look : recorded_open)(&o->rec, trace, false, e) == 0)
		return o;
	free(o);
	return NULL;
}

static void close_trace(struct opened *o)
{
	for (unsigned i = 0; o != NULL && i < o->n; i++) {
		base_close(o->one[i].base);
		disk_close(o->one[i].disk);
	}
	if (o != NULL && o->folder >= 0)
		close(o->folder);
	if (o != NULL)
		recorded_close(&o->rec);
	free(o);
}

static const struct log_meta *meta(const struct opened *o)
{
	return o->rec.meta;
}

/* The overlay of a disk: of this trace, for a base of that size. */
static struct overlay *open_overlay(const struct opened *o, const struct log_disk *d,
	char path[TTD_PATH_MAX], struct ttd_error *e)
{
	struct overlay *ov;

	if (disks_overlay_path(o->rec.path, d->name, path, e) != 0)
		return NULL;
	ov = overlay_open(path, e);
	if (ov == NULL)
		return NULL;
	if (memcmp(overlay_info(ov)->run_id, log_run_id(o->rec.log), OVERLAY_RUN_ID) == 0 &&
		strcmp(overlay_info(ov)->disk, d->name) == 0 && overlay_info(ov)->size == d->size)
		return ov;
	overlay_close(ov);
	err_set(e, TTD_HOST, "%s belongs to another trace", path);
	return NULL;
}

/* NULL: it is none, or a link, which in a stranger's folder leads to whatever he likes. */
static const char *file_here(const char *path)
{
	struct stat st;

	return lstat(path, &st) == 0 && S_ISREG(st.st_mode) ? path : NULL;
}

/* Afterwards the log and the overlays can be read, and what is to be written is written. */
static int settle(struct opened *o, struct ttd_error *e)
{
	struct ttd_confinement c = TTD_CONFINEMENT_INIT;
	const char *inputs[2 * LOG_DISKS + 1], *outputs[LOG_DISKS];

	if (!o->job->confine)
		return 0;
	c.inputs = inputs;
	c.outputs = outputs;
	inputs[c.ninputs++] = o->rec.path;
	for (unsigned i = 0; i < o->n; i++) {
		inputs[c.ninputs++] = file_here(o->one[i].overlay);
		inputs[c.ninputs++] = file_here(o->one[i].mark); /* of a commit before */
		outputs[c.noutputs++] = o->job->out != NULL ? o->job->out : o->one[i].mark;
	}
	if (ttd_confine(&c, e) != 0)
		return -1;
	return recorded_open_same(&o->rec, e);
}

static int base_path(const struct opened *o, const struct log_disk *d, char path[TTD_PATH_MAX],
	struct ttd_error *e)
{
	const struct ttd_files *f = &o->job->files;

	return recorded_base(&o->rec, d, f->bases, f->nbases, path, e);
}

static const struct log_disk *find(const struct opened *o, const char *name, struct ttd_error *e)
{
	const struct log_meta *m = meta(o);

	for (uint32_t i = 0; name != NULL && i < m->ndisks; i++)
		if (strcmp(m->disk[i].name, name) == 0)
			return &m->disk[i];
	err_set(e, TTD_USAGE, "the trace has no disk %.40s; ttd info shows which it has",
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

static int check_base(const struct chosen *c, bool resumed, struct ttd_error *e)
{
	const struct base_info *info = base_info(c->base);

	if (info->size != c->d.size || (info->mtime_ns != c->d.mtime && !resumed))
		return err_set(e, TTD_HOST, "disk %s: %s is not as it was when this was recorded%s; "
			"nothing was written", c->d.name, base_target(c->base), info->size != c->d.size
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

/*
 * What the mark holds: that this user has begun to write this disk of this trace there.  The
 * seal of a trace is in every copy of it, so anybody may put a mark beside it.
 */
static int mark_of(const struct opened *o, struct chosen *c, struct ttd_error *e)
{
	struct wbuf w = {0};
	int rc;

	wbuf_put(&w, o->rec.run_id, RUN_ID);
	wbuf_put(&w, c->d.name, strlen(c->d.name) + 1);
	wbuf_put(&w, c->target, strlen(c->target) + 1);
	rc = w.bad ? -1 : origin_sign(w.p, w.len, c->mac);
	wbuf_free(&w);
	return rc == 0 ? 0 : err_set(e, TTD_HOST,
		"disk %s: cannot make a key in your state folder; a "
		"commit needs one", c->d.name);
}

static bool is_marked(const char *path, const uint8_t mac[LOG_SEAL])
{
	uint8_t found[LOG_SEAL], differs = 0;
	uint64_t size;
	int fd = regular_open(path, REGULAR_NOFOLLOW, &size);
	bool whole = fd >= 0 && size == sizeof found && pread(fd, found, sizeof found, 0) ==
		sizeof found;

	if (fd >= 0)
		close(fd);
	for (unsigned i = 0; whole && i < sizeof found; i++)
		differs |= found[i] ^ mac[i];
	return whole && differs == 0;
}

static int mark(const struct opened *o, const struct chosen *c, struct ttd_error *e)
{
	int fd = regular_create(c->mark, true);

	if (fd < 0 || ftruncate(fd, 0) != 0 || pwrite_full(fd, c->mac, LOG_SEAL, 0) != 0 ||
		fsync(fd) != 0 || (fsync(o->folder) != 0 && errno != EINVAL)) {
		err_set(e, TTD_HOST, "cannot write %s: %s", c->mark, strerror(errno));
		if (fd >= 0)
			close(fd);
		return -1;
	}
	close(fd);
	return 0;
}

/* Whose base is written is never a packed trace's choice, nor is it there to be changed. */
static int may_commit(const struct opened *o, const struct log_disk *d, struct ttd_error *e)
{
	const struct ttd_files *f = &o->job->files;

	for (unsigned i = 0; i < f->nbases; i++)
		if (strcmp(f->bases[i].name, d->name) == 0)
			return 0;
	if (o->rec.ours)
		return 0;
	return err_set(e, TTD_USAGE, "disk %s: this trace does not carry your seal, so it does not "
		"say what is written to; it names %.200s: if that is meant, give --disk-base %s=PATH",
		d->name, d->target, d->name);
}

/* Before the process is confined. */
static int prepare(struct opened *o, const struct log_disk *d, struct ttd_error *e)
{
	struct chosen *c = &o->one[o->n++];
	bool out = o->job->out != NULL;

	c->d = *d;
	if ((!out && may_commit(o, d, e) != 0) || base_path(o, d, c->target, e) != 0 ||
		disks_overlay_path(o->rec.path, d->name, c->overlay, e) != 0 ||
		path_join(c->mark, c->overlay, UNDER_WAY, "", e) != 0)
		return -1;
	if (out) {
		c->disk = disk_open(c->d.name, c->target, DISK_READONLY, e);
		return c->disk != NULL ? 0 : -1;
	}
	if (mark_of(o, c, e) != 0)
		return -1;
	c->base = base_open(c->d.name, c->target, BASE_WRITE, e);
	return c->base != NULL ? 0 : -1;
}

static int commit_one(const struct opened *o, const struct chosen *c, struct ttd_error *e)
{
	char path[TTD_PATH_MAX];
	struct overlay *ov = open_overlay(o, &c->d, path, e);
	int rc = -1, error;

	if (ov != NULL && check_base(c, is_marked(c->mark, c->mac), e) == 0 && mark(o, c, e) == 0) {
		if (o->job->writes != NULL)
			o->job->writes(o->job->progress_ctx, c->d.name, c->target);
		error = copy_clusters(o, ov, c->base);
		if (error == 0)
			rc = 0;
		else
			err_set(e, error == EBADMSG ? TTD_DAMAGED : TTD_HOST, "disk %s: %s: %s; the base is "
				"half-way, commit again", c->d.name, error == EBADMSG ? path
				: base_target(c->base), error == EBADMSG ? "is damaged" : strerror(error));
	}
	overlay_close(ov);
	if (rc == 0)
		names_remove(c->mark);
	return rc;
}

/* All that were written, or the one that was named. */
static int choose(struct opened *o, struct ttd_error *e)
{
	const struct log_meta *m = meta(o);
	const struct log_disk *d;

	if (o->job->disk != NULL) {
		d = find(o, o->job->disk, e);
		if (d != NULL && d->read_only && o->job->out == NULL)
			return err_set(e, TTD_USAGE, "disk %s is read-only: there is nothing to commit",
				d->name);
		return d != NULL ? prepare(o, d, e) : -1;
	}
	for (uint32_t i = 0; i < m->ndisks; i++)
		if (!m->disk[i].read_only && prepare(o, &m->disk[i], e) != 0)
			return -1;
	return o->n != 0 ? 0 : err_set(e, TTD_USAGE, "the trace has no disks that were written");
}

static int commit_all(struct opened *o, struct ttd_error *e)
{
	if (origin_packed(o->rec.path))
		return err_set(e, TTD_USAGE, "%.200s is a packed trace: there is nothing in it to commit",
			o->job->trace);
	if (choose(o, e) != 0)
		return -1;
	o->folder = open(o->rec.dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (o->folder < 0)
		return err_set(e, TTD_HOST, "%s: %s", o->rec.dir, strerror(errno));
	if (settle(o, e) != 0)
		return -1;
	for (unsigned i = 0; i < o->n; i++)
		if (commit_one(o, &o->one[i], e) != 0)
			return -1;
	return 0;
}

static int commit(const struct ttd_disk_job *job, struct ttd_error *e)
{
	struct opened *o = open_trace(job->trace, job, e);
	int rc = o != NULL ? commit_all(o, e) : -1;

	close_trace(o);
	return rc;
}

/* ---- export ---- */

/* Writes what is not zero: the file was made empty and is as long as the disk. */
static int put_piece(int fd, uint64_t off, const uint8_t *p, size_t n)
{
	for (size_t i = 0; i < n; i += CLUSTER) {
		size_t part = n - i < CLUSTER ? n - i : CLUSTER;

		int error = is_zero(p + i, part) ? 0 : pwrite_full(fd, p + i, part, off + i);

		if (error != 0)
			return error;
	}
	return 0;
}

static int copy_disk(const struct opened *o, struct disk *disk, int fd, const char *out,
	struct ttd_error *e)
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
	return err_set(e, rc == EBADMSG ? TTD_DAMAGED : TTD_HOST, "disk %s: cannot %s %s: %s",
		disk_name(disk), reading ? "read" : "write", reading ? disk_target(disk) : out,
		rc == EBADMSG ? "the overlay is damaged" : strerror(rc));
}

static int write_out(const struct opened *o, struct disk *disk, struct ttd_error *e)
{
	const char *out = o->job->out;
	int fd = names_open(out, O_RDWR | O_CREAT | O_EXCL), rc;

	if (fd < 0 && errno == EEXIST && o->job->force)
		fd = names_open(out, O_RDWR);
	if (fd < 0)
		return err_set(e, TTD_HOST, "cannot create %s: %s%s", out, strerror(errno),
			errno == EEXIST ? "; --force replaces it" : "");
	rc = ftruncate(fd, 0) == 0 ? copy_disk(o, disk, fd, out, e)
		: err_set(e, TTD_HOST, "%s: is not a file that can be written", out);
	close(fd);
	if (rc != 0)
		names_remove(out);
	return rc;
}

static int export_one(struct opened *o, struct chosen *c, struct ttd_error *e)
{
	char path[TTD_PATH_MAX];
	struct overlay *ov = NULL;

	if (!c->d.read_only && (ov = open_overlay(o, &c->d, path, e)) == NULL)
		return -1;
	disk_use_overlay(c->disk, ov);
	return disk_info(c->disk)->size == c->d.size ? write_out(o, c->disk, e)
		: err_set(e, TTD_HOST, "disk %s: %s is not the base that was recorded: its size "
			"differs", c->d.name, disk_target(c->disk));
}

static int export(const struct ttd_disk_job *job, struct ttd_error *e)
{
	struct opened *o;
	int rc = -1;

	if (job->out == NULL || *job->out == '\0')
		return err_set(e, TTD_USAGE, "export: name the file to write");
	if (job->disk == NULL)
		return err_set(e, TTD_USAGE, "export: name the disk; ttd info shows which there are");
	o = open_trace(job->trace, job, e);
	if (o != NULL && choose(o, e) == 0 && settle(o, e) == 0)
		rc = export_one(o, &o->one[0], e);
	close_trace(o);
	return rc;
}

/* ---- public ---- */

static int job(const struct ttd_disk_job *j, int (*fn)(const struct ttd_disk_job *j,
	struct ttd_error *e), struct ttd_error *err)
{
	struct ttd_disk_job own;
	struct ttd_error spare, *e = err_begin(err, &spare);

	return OPTIONS_TAKE(&own, j, progress_ctx, "TTD_DISK_JOB_INIT", e) == 0 ? fn(&own, e) : -1;
}

int ttd_disk_commit(const struct ttd_disk_job *j, struct ttd_error *err)
{
	return job(j, commit, err);
}

int ttd_disk_export(const struct ttd_disk_job *j, struct ttd_error *err)
{
	return job(j, export, err);
}

static void fill(const struct log_disk *d, struct ttd_trace_disk *out)
{
	*out = (struct ttd_trace_disk){.bytes = d->size, .mtime_ns = d->mtime,
		.read_only = d->read_only, .cdrom = d->cdrom, .sector = d->sector};
	snprintf(out->name, sizeof out->name, "%s", d->name);
	snprintf(out->target, sizeof out->target, "%s", d->target);
}

static void fill_overlay(const struct opened *o, const struct log_disk *d,
	struct ttd_trace_disk *out)
{
	struct overlay *ov;
	struct ttd_error none;

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

/* There are no overlays in a pack. */
static int packed_disk(const char *file, unsigned i, struct ttd_trace_disk *disk,
	struct ttd_error *e)
{
	struct packed_log *l = malloc(sizeof *l);
	int rc = l != NULL ? packed_log_open(l, file, e) : err_set(e, TTD_HOST, "out of memory");

	if (rc == 0) {
		rc = i < log_meta(l->log)->ndisks;
		if (rc == 1)
			fill(&log_meta(l->log)->disk[i], disk);
		packed_log_close(l);
	}
	free(l);
	return rc;
}

static int trace_disk(const char *trace, unsigned i, struct ttd_trace_disk *disk,
	struct ttd_error *e)
{
	char file[TTD_PATH_MAX];
	struct opened *o;
	int rc;

	if (trace_packed(trace, file))
		return packed_disk(file, i, disk, e);
	o = open_trace(trace, NULL, e);
	if (o == NULL)
		return -1;
	rc = i < meta(o)->ndisks;
	if (rc == 1) {
		fill(&meta(o)->disk[i], disk);
		fill_overlay(o, &meta(o)->disk[i], disk);
	}
	close_trace(o);
	return rc;
}

int ttd_trace_disk(const char *trace, unsigned i, struct ttd_trace_disk *disk,
	struct ttd_error *err)
{
	struct ttd_error spare, *e = err_begin(err, &spare);

	return trace_disk(trace, i, disk, e);
}
