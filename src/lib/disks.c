/*
 * disks.c - the disks of a machine; see disks.h.
 */
#include "lib/disks.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/vm.h"
#include "trace/trace.h"
#include "util/names.h"

struct one {
	struct log_disk meta; /* as the guest sees it */
	uint32_t number;
	bool direct;
	struct disk *disk;    /* until the device has it */
	struct blk *blk;
};

struct disks {
	unsigned n;
	struct one one[];
};

static struct disks *new_disks(unsigned n, struct ttd_error *e)
{
	struct disks *s = NULL;

	if (n > LOG_DISKS) {
		err_set(e, TTD_USAGE, "there are %u disks; a guest may have %d", n, LOG_DISKS);
		return NULL;
	}
	s = calloc(1, sizeof *s + n * sizeof s->one[0]);
	if (s == NULL)
		err_set(e, TTD_HOST, "out of memory for disks");
	return s;
}

void disks_free(struct disks *s)
{
	for (unsigned i = 0; s != NULL && i < s->n; i++) {
		blk_destroy(s->one[i].blk);
		disk_close(s->one[i].disk);
	}
	free(s);
}

/* ---- opening ---- */

static int set_name(struct disks *s, struct one *o, const char *name, struct ttd_error *e)
{
	if (name == NULL || strlen(name) >= sizeof o->meta.name || blk_number(name, &o->number) != 0)
		return err_set(e, TTD_USAGE, "disk %.40s: no such name of a disk; give xvda, xvdb...",
			name != NULL && *name != '\0' ? name : "without a name");
	strcpy(o->meta.name, name);
	for (unsigned i = 0; i < s->n; i++)
		if (&s->one[i] != o && s->one[i].number == o->number)
			return err_set(e, TTD_USAGE, "disk %s: there are two of that name", name);
	return 0;
}

/* Absolute, so that a replay finds it from anywhere. */
static int set_target(struct one *o, const char *target, struct ttd_error *e)
{
	char real[PATH_MAX];

	if (target == NULL || *target == '\0')
		return err_set(e, TTD_USAGE, "disk %s: no file, device or server is given for it",
			o->meta.name);
	if (!base_is_nbd(target)) {
		if (realpath(target, real) == NULL)
			return err_set(e, TTD_HOST, "disk %s: %s: %s", o->meta.name, target,
				strerror(errno));
		target = real;
	}
	if (strlen(target) >= sizeof o->meta.target)
		return err_set(e, TTD_USAGE, "disk %s: its path is too long", o->meta.name);
	strcpy(o->meta.target, target);
	return 0;
}

static int open_one(struct disks *s, struct one *o, const struct ttd_disk *d, bool record,
	struct ttd_error *e)
{
	enum disk_mode mode = d->read_only || d->cdrom ? DISK_READONLY : d->direct ? DISK_DIRECT
		: DISK_OVERLAY;
	const struct base_info *info;

	if (set_name(s, o, d->name, e) != 0 || set_target(o, d->target, e) != 0)
		return -1;
	if (record && mode == DISK_DIRECT)
		return err_set(e, TTD_USAGE, "disk %s: a recording cannot write through to its base: "
			"the base would not be there for the replay", o->meta.name);
	o->disk = disk_open(o->meta.name, o->meta.target, mode, e);
	if (o->disk == NULL)
		return -1;
	info = disk_info(o->disk);
	o->direct = mode == DISK_DIRECT;
	o->meta.size = info->size;
	o->meta.mtime = info->mtime_ns;
	o->meta.sector = info->sector;
	o->meta.physical = info->physical;
	o->meta.read_only = mode == DISK_READONLY;
	o->meta.cdrom = d->cdrom;
	o->meta.discard = !d->no_discard && mode != DISK_READONLY &&
		(mode == DISK_OVERLAY || info->trim);
	return 0;
}

int disks_open(const struct ttd_disk *list, unsigned n, bool record, struct disks **out,
	struct ttd_error *e)
{
	struct disks *s = new_disks(n, e);

	*out = NULL;
	if (s == NULL)
		return -1;
	for (unsigned i = 0; i < n; i++) {
		s->n = i + 1;
		if (open_one(s, &s->one[i], &list[i], record, e) != 0) {
			disks_free(s);
			return -1;
		}
	}
	*out = s;
	return 0;
}

static int open_recorded(struct disks *s, struct one *o, const struct log_disk *d,
	const char *target, struct ttd_error *e)
{
	if (d->size < d->sector)
		return err_set(e, TTD_DAMAGED, "the log's configuration of disk %.16s makes no sense",
			d->name);
	if (set_name(s, o, d->name, e) != 0 || set_target(o, target, e) != 0)
		return -1;
	o->disk = disk_open(o->meta.name, o->meta.target,
		d->read_only ? DISK_READONLY : DISK_OVERLAY, e);
	if (o->disk == NULL)
		return -1;
	if (disk_info(o->disk)->size != d->size)
		return err_set(e, TTD_HOST, "disk %s: %s is not the base that was recorded: it has %llu "
			"bytes, not %llu; give the right one by --disk-base %s=PATH", d->name,
			o->meta.target, (unsigned long long)disk_info(o->disk)->size,
			(unsigned long long)d->size, d->name);
	o->meta = *d;
	return 0;
}

int disks_open_recorded(const struct log_meta *m, char (*base)[TTD_PATH_MAX],
	struct disks **out, struct ttd_error *e)
{
	struct disks *s = new_disks(m->ndisks, e);

	*out = NULL;
	if (s == NULL)
		return -1;
	for (unsigned i = 0; i < m->ndisks; i++) {
		s->n = i + 1;
		if (open_recorded(s, &s->one[i], &m->disk[i], base[i], e) != 0) {
			disks_free(s);
			return -1;
		}
	}
	*out = s;
	return 0;
}

void disks_to_meta(const struct disks *s, struct log_meta *m)
{
	m->ndisks = disks_count(s);
	for (unsigned i = 0; i < m->ndisks; i++)
		m->disk[i] = s->one[i].meta;
}

/* ---- overlays ---- */

int disks_overlay_path(const char *log, const char *disk, char path[TTD_PATH_MAX],
	struct ttd_error *e)
{
	char last[LOG_DISK_NAME + sizeof TRACE_OVERLAY];

	snprintf(last, sizeof last, "%.15s%s", disk, TRACE_OVERLAY);
	return path_join(path, log, ".", last, e);
}

int disks_overlays(struct disks *s, const char *log, const uint8_t *run_id, bool sync,
	bool force, struct ttd_error *e)
{
	struct disk_overlay_params p = {.sync = sync, .force = force};
	char path[TTD_PATH_MAX];

	if (run_id != NULL)
		memcpy(p.run_id, run_id, sizeof p.run_id);
	for (unsigned i = 0; i < disks_count(s); i++) {
		struct one *o = &s->one[i];

		if (o->meta.read_only || o->direct)
			continue;
		if (log != NULL) {
			if (disks_overlay_path(log, o->meta.name, path, e) != 0)
				return -1;
			p.path = path;
		}
		if (disk_add_overlay(o->disk, &p, e) != 0)
			return -1;
	}
	return 0;
}

int disks_replay_overlays(struct disks *s, const char *log, const uint8_t *run_id,
	struct ttd_error *e)
{
	char path[TTD_PATH_MAX];
	struct ttd_error none;

	if (disks_overlays(s, NULL, run_id, false, false, e) != 0)
		return -1;
	for (unsigned i = 0; i < disks_count(s); i++)
		if (disk_overlay(s->one[i].disk) != NULL &&
			disks_overlay_path(log, s->one[i].meta.name, path, &none) == 0)
			overlay_back(disk_overlay(s->one[i].disk), path, &none);
	return 0;
}

void disks_discard_overlays(const struct log_meta *m, const char *log)
{
	char path[TTD_PATH_MAX];
	struct ttd_error none;

	for (unsigned i = 0; i < m->ndisks; i++)
		if (disks_overlay_path(log, m->disk[i].name, path, &none) == 0)
			names_remove(path);
}

/* ---- devices ---- */

int disks_devices(struct disks *s, void (*note)(void *ctx, const char *line), void *ctx,
	struct ttd_error *e)
{
	for (unsigned i = 0; i < disks_count(s); i++) {
		struct one *o = &s->one[i];
		struct blk_params p = {
			.id = o->number, .read_only = o->meta.read_only, .cdrom = o->meta.cdrom,
			.discard = o->meta.discard, .sector = o->meta.sector,
			.physical = o->meta.physical, .size = o->meta.size / o->meta.sector *
			o->meta.sector, .note = note, .note_ctx = ctx,
		};
		struct disk *disk = o->disk;

		o->disk = NULL;
		o->blk = blk_create(disk, &p, e);
		if (o->blk == NULL)
			return -1;
	}
	return 0;
}

bool disks_again(const struct disks *s, struct disks_again *a)
{
	memset(a, 0, sizeof *a);
	for (unsigned i = 0; i < disks_count(s); i++) {
		const struct one *o = &s->one[i];

		if (base_is_nbd(o->meta.target))
			a->nbd = true;
		else if (o->direct)
			a->direct[a->ndirect++] = o->meta.target;
		else
			a->base[a->nbase++] = o->meta.target;
		if (!o->direct && !o->meta.read_only)
			a->temp = overlay_folder(NULL);
	}
	return disks_count(s) != 0;
}

unsigned disks_count(const struct disks *s)
{
	return s != NULL ? s->n : 0;
}

struct dev *disks_dev(struct disks *s, unsigned i)
{
	return blk_dev(s->one[i].blk);
}

struct reads {
	void (*fn)(void *ctx, uint64_t offset, uint64_t bytes);
	void *ctx;
	uint64_t size;
};

static void tell_read(void *ctx, uint64_t cluster, uint64_t n)
{
	const struct reads *r = ctx;
	uint64_t off = cluster * OVERLAY_CLUSTER, bytes = n * OVERLAY_CLUSTER;

	r->fn(r->ctx, off, bytes < r->size - off ? bytes : r->size - off);
}

int ttd_vm_disk_reads(struct ttd_vm *vm, unsigned i,
	void (*fn)(void *ctx, uint64_t offset, uint64_t bytes), void *ctx)
{
	struct reads r = {.fn = fn, .ctx = ctx};

	if (i >= disks_count(vm->disks))
		return 0;
	r.size = vm->disks->one[i].meta.size;
	disk_base_reads(blk_disk(vm->disks->one[i].blk), tell_read, &r);
	return 1;
}

struct blk *disks_blk(struct disks *s, unsigned i)
{
	return s->one[i].blk;
}
