/*
 * blk.h - the PV block backend: a disk of the guest (xen/io/blkif.h).
 */
#ifndef TTD_DEV_BLK_H
#define TTD_DEV_BLK_H

#include "dev/bus.h"
#include "dev/disk.h"

/* How it looks to the guest. */
struct blk_params {
	uint32_t id;       /* its number: 51712 */
	bool read_only, cdrom, discard;
	uint64_t size;     /* in bytes */
	uint32_t sector, physical; /* 512 to 4096 */
	/* One line about trouble on the host; on any thread.  May be NULL. */
	void (*note)(void *ctx, const char *line);
	void *note_ctx;
};

struct blk;

/* Takes `disk` over, also when it fails. */
struct blk *blk_create(struct disk *disk, const struct blk_params *p, struct ttd_error *e);
void blk_destroy(struct blk *b); /* after the domain; NULL is fine */

struct dev *blk_dev(struct blk *b);
/* For others than its own thread: all that was asked for is done first. */
struct disk *blk_disk(struct blk *b);

struct blk_stats {
	uint64_t reads, writes, flushes, discards, errors;
	uint64_t read_bytes, written_bytes;
};
void blk_get_stats(struct blk *b, struct blk_stats *s);

/* "xvda", "sdb2", "hdc", "d1p2", "51712" as the number that a guest knows it by.  -1: none such. */
int blk_number(const char *name, uint32_t *number);

#endif
