/*
 * disk.c - base and overlay together.
 *
 * Requests are cut into runs of clusters that are all in the overlay or all
 * not.  A write that covers a cluster in part reads the rest of it first.
 */
#include "dev/disk.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "util/checked.h"

enum { CLUSTER = OVERLAY_CLUSTER };

struct disk {
	char *name;
	struct base *base;
	struct overlay *overlay;
	bool read_only;
	uint64_t clusters;
	uint8_t *was_read; /* a bit for each cluster of the base */
};

/* ---- life ---- */

int disk_add_overlay(struct disk *d, const struct disk_overlay_params *p, struct ttd_error *e)
{
	const struct base_info *base = base_info(d->base);
	struct overlay_info info = {.size = base->size, .base_mtime = base->mtime_ns};

	memcpy(info.run_id, p->run_id, sizeof info.run_id);
	if (strlen(d->name) >= sizeof info.disk)
		return err_set(e, TTD_USAGE, "disk %s: the name is too long", d->name);
	strcpy(info.disk, d->name);
	d->overlay = overlay_create(p->path, p->dir, &info, p->sync, p->force, e);
	return d->overlay != NULL ? 0 : -1;
}

static int open_base(struct disk *d, const char *target, enum disk_mode mode, struct ttd_error *e)
{
	d->base = base_open(d->name, target, mode == DISK_DIRECT ? BASE_WRITE : BASE_READ, e);
	if (d->base == NULL)
		return -1;
	if (base_info(d->base)->size < base_info(d->base)->sector)
		return err_set(e, TTD_USAGE, "disk %s: %s is empty", d->name, target);
	d->clusters = (base_info(d->base)->size + CLUSTER - 1) / CLUSTER;
	d->was_read = calloc(1, (size_t)(d->clusters / 8 + 1));
	return d->was_read != NULL ? 0 : err_set(e, TTD_HOST, "disk %s: out of memory", d->name);
}

struct disk *disk_open(const char *name, const char *target, enum disk_mode mode,
	struct ttd_error *e)
{
	struct disk *d = calloc(1, sizeof *d);

	if (d == NULL || (d->name = strdup(name)) == NULL) {
		free(d);
		err_set(e, TTD_HOST, "disk %s: out of memory", name);
		return NULL;
	}
	d->read_only = mode == DISK_READONLY;
	if (open_base(d, target, mode, e) == 0)
		return d;
	disk_close(d);
	return NULL;
}

void disk_use_overlay(struct disk *d, struct overlay *o)
{
	d->overlay = o;
}

void disk_close(struct disk *d)
{
	if (d == NULL)
		return;
	if (d->base != NULL && !d->read_only)
		disk_flush(d);
	overlay_close(d->overlay);
	base_close(d->base);
	free(d->was_read);
	free(d->name);
	free(d);
}

const char *disk_name(const struct disk *d)
{
	return d->name;
}

const char *disk_target(const struct disk *d)
{
	return base_target(d->base);
}

const struct base_info *disk_info(const struct disk *d)
{
	return base_info(d->base);
}

struct overlay *disk_overlay(struct disk *d)
{
	return d->overlay;
}

uint64_t disk_content(const struct disk *d)
{
	return d->overlay != NULL ? overlay_content(d->overlay) : 0;
}

/* ---- the base ---- */

static int read_base(struct disk *d, uint64_t off, void *p, size_t n)
{
	for (uint64_t c = off / CLUSTER; c * CLUSTER < off + n; c++)
		d->was_read[c / 8] |= (uint8_t)(1 << (c % 8));
	return base_read(d->base, off, p, n);
}

static bool base_bit(const struct disk *d, uint64_t c)
{
	return c < d->clusters && (d->was_read[c / 8] >> (c % 8) & 1);
}

void disk_base_reads(const struct disk *d, void (*fn)(void *ctx, uint64_t cluster, uint64_t n),
	void *ctx)
{
	for (uint64_t c = 0; c < d->clusters; c++) {
		uint64_t first = c;

		while (base_bit(d, c))
			c++;
		if (c > first)
			fn(ctx, first, c - first);
	}
}

/* ---- requests ---- */

/* Part of one cluster. */
static int read_part(struct disk *d, uint64_t off, void *p, size_t n)
{
	uint8_t whole[CLUSTER];
	int rc;

	if (!overlay_has(d->overlay, off / CLUSTER))
		return read_base(d, off, p, n);
	rc = overlay_read(d->overlay, off / CLUSTER, 1, whole);
	memcpy(p, whole + off % CLUSTER, n);
	return rc;
}

/* Whole clusters, as many as are in the same place. */
static int read_run(struct disk *d, uint64_t off, void *p, size_t n, size_t *done)
{
	uint64_t c = off / CLUSTER;
	bool in = overlay_has(d->overlay, c);
	size_t run = 1, max = n / CLUSTER;

	while (run < max && overlay_has(d->overlay, c + run) == in)
		run++;
	*done = run * CLUSTER;
	return in ? overlay_read(d->overlay, c, run, p) : read_base(d, off, p, *done);
}

/* How much of [off, off + n) lies in its first cluster, if that is not covered. */
static size_t part_of(uint64_t off, size_t n)
{
	size_t room = CLUSTER - off % CLUSTER;

	if (off % CLUSTER == 0 && n >= CLUSTER)
		return 0;
	return n < room ? n : room;
}

int disk_read(struct disk *d, uint64_t off, void *p, size_t n)
{
	uint8_t *b = p;
	int rc = 0;

	if (!range_ok(off, n, base_info(d->base)->size))
		return EINVAL;
	if (d->overlay == NULL)
		return read_base(d, off, p, n);
	while (rc == 0 && n > 0) {
		size_t done = part_of(off, n);

		if (done != 0)
			rc = read_part(d, off, b, done);
		else
			rc = read_run(d, off, b, n, &done);
		off += done;
		b += done;
		n -= done;
	}
	return rc;
}

static int write_part(struct disk *d, uint64_t off, const void *p, size_t n)
{
	uint8_t whole[CLUSTER];
	uint64_t start = off / CLUSTER * CLUSTER;
	int rc = overlay_has(d->overlay, off / CLUSTER)
		? overlay_read(d->overlay, off / CLUSTER, 1, whole)
		: read_base(d, start, whole, CLUSTER);

	if (rc != 0)
		return rc;
	memcpy(whole + off % CLUSTER, p, n);
	return overlay_write(d->overlay, off / CLUSTER, 1, whole);
}

int disk_write(struct disk *d, uint64_t off, const void *p, size_t n)
{
	const uint8_t *b = p;
	int rc = 0;

	if (d->read_only)
		return EROFS;
	if (!range_ok(off, n, base_info(d->base)->size))
		return EINVAL;
	if (d->overlay == NULL)
		return base_write(d->base, off, p, n);
	while (rc == 0 && n > 0) {
		size_t done = part_of(off, n);

		if (done != 0) {
			rc = write_part(d, off, b, done);
		} else {
			done = n / CLUSTER * CLUSTER;
			rc = overlay_write(d->overlay, off / CLUSTER, n / CLUSTER, b);
		}
		off += done;
		b += done;
		n -= done;
	}
	return rc;
}

/* Clusters that are covered in part keep their bytes. */
int disk_discard(struct disk *d, uint64_t off, uint64_t n)
{
	uint64_t first = (off + CLUSTER - 1) / CLUSTER, end;

	if (d->read_only)
		return EROFS;
	if (!range_ok(off, n, base_info(d->base)->size))
		return EINVAL;
	if (d->overlay == NULL)
		return base_discard(d->base, off, n);
	/* The last cluster may be shorter than others. */
	end = off + n == base_info(d->base)->size ? d->clusters : (off + n) / CLUSTER;
	return end > first ? overlay_zero(d->overlay, first, end - first) : 0;
}

int disk_flush(struct disk *d)
{
	if (d->overlay != NULL)
		return overlay_commit(d->overlay);
	return d->read_only ? 0 : base_flush(d->base);
}
