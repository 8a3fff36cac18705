/*
 * disks.h - the disks of a machine: opened from a configuration or from a
 * log's META, handed to the domain as devices.
 */
#ifndef TTD_LIB_DISKS_H
#define TTD_LIB_DISKS_H

#include <ttd/ttd.h>

#include "dev/blk.h"
#include "event/log.h"
#include "util/err.h"

struct disks;

/*
 * All bases, checked and locked.  No overlays yet.  `record`: writing through
 * to a base is refused.
 */
int disks_open(const struct ttd_disk *list, unsigned n, bool record, struct disks **out,
	struct err *e);
/* Those of a log; `moved` says where bases are that are elsewhere now. */
int disks_open_recorded(const struct log_meta *m, const struct ttd_disk *moved, unsigned nmoved,
	struct disks **out, struct err *e);
void disks_free(struct disks *s); /* after the domain; NULL is fine */

void disks_to_meta(const struct disks *s, struct log_meta *m);

/* LOG.DISK.overlay for each; log NULL: nameless ones. */
int disks_overlays(struct disks *s, const char *log, const uint8_t *session, bool sync,
	bool force, struct err *e);
/* Nameless ones that can also load the recording's checkpoints, as far as its overlays are there. */
int disks_replay_overlays(struct disks *s, const char *log, const uint8_t *session,
	struct err *e);
void disks_discard_overlays(const struct log_meta *m, const char *log); /* nothing came of it */
/* The path of a disk's overlay beside a log. */
int disks_overlay_path(const char *log, const char *disk, char path[TTD_PATH_MAX], struct err *e);

/* Makes the devices.  `note` is called on any thread; NULL: nobody listens. */
int disks_devices(struct disks *s, void (*note)(void *ctx, const char *line), void *ctx,
	struct err *e);
/* What opening them once more, with nameless overlays, will take. */
struct sandbox;
void disks_need_again(const struct disks *s, struct sandbox *box);
unsigned disks_count(const struct disks *s); /* NULL: 0 */
struct dev *disks_dev(struct disks *s, unsigned i);
struct blk *disks_blk(struct disks *s, unsigned i);

#endif
