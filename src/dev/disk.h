/*
 * disk.h - the bytes of one disk of a guest: a base and, unless it is written
 * through or read-only, an overlay.  Used by one thread at a time.
 */
#ifndef TTD_DEV_DISK_H
#define TTD_DEV_DISK_H

#include "dev/base.h"
#include "dev/overlay.h"

struct disk;

enum disk_mode {
	DISK_OVERLAY, /* writes go to an overlay */
	DISK_DIRECT,  /* writes go to the base */
	DISK_READONLY,
};

/* name: xvda.  With DISK_OVERLAY, disk_add_overlay() is to follow. */
struct disk *disk_open(const char *name, const char *target, enum disk_mode mode,
	struct ttd_error *e);

/* See overlay_create(); the base's size and date are filled in. */
struct disk_overlay_params {
	const char *path, *dir;
	uint8_t run_id[OVERLAY_RUN_ID];
	bool sync, force;
};
int disk_add_overlay(struct disk *d, const struct disk_overlay_params *p, struct ttd_error *e);

/* Reads through one that is there; takes it over.  NULL: none. */
void disk_use_overlay(struct disk *d, struct overlay *o);
void disk_close(struct disk *d); /* NULL is fine.  What was not flushed is flushed. */

const char *disk_name(const struct disk *d);
const char *disk_target(const struct disk *d);
const struct base_info *disk_info(const struct disk *d);
struct overlay *disk_overlay(struct disk *d); /* NULL: it has none */

/* Multiples of 512 bytes, within the size.  0 or an errno. */
int disk_read(struct disk *d, uint64_t off, void *p, size_t n);
int disk_write(struct disk *d, uint64_t off, const void *p, size_t n);
int disk_discard(struct disk *d, uint64_t off, uint64_t n);
int disk_flush(struct disk *d);

/* Digest of the overlay's content; 0 without one. */
uint64_t disk_content(const struct disk *d);

/*
 * Which clusters of the base were read since it was opened: calls fn for each
 * run of them, in ascending order.
 */
void disk_base_reads(const struct disk *d, void (*fn)(void *ctx, uint64_t cluster, uint64_t n),
	void *ctx);

#endif
