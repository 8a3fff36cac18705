/*
 * diskspec.h - xl disk specifications: "phy:/dev/x,xvda,w", "file:/x,xvda,r",
 * "/x,raw,xvda,rw", "vdev=xvda,access=ro,target=/x".
 *
 * The grammar is libxlutil's (xl-disk-configuration(5)).  Targets that are NBD
 * servers' addresses are ours.
 */
#ifndef TTD_CMD_DISKSPEC_H
#define TTD_CMD_DISKSPEC_H

#include <ttd/ttd.h>

#include "util/err.h"

/* Owns the strings of its disks. */
struct disk_list {
	struct ttd_disk disk[TTD_DISKS_MAX];
	unsigned n;
};

/* -1: *e, which begins with `from`. */
int disk_list_add(struct disk_list *l, const char *from, const char *spec, struct ttd_error *e);
/* "xvda=/path" for replay's --disk-base. */
int disk_list_add_base(struct disk_list *l, const char *from, const char *word,
	struct ttd_error *e);
void disk_list_free(struct disk_list *l);

#endif
