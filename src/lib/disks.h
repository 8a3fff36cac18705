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
	struct ttd_error *e);
/* Those of a log; base[i]: where that of m->disk[i] is, as recorded_base() found it. */
int disks_open_recorded(const struct log_meta *m, char (*base)[TTD_PATH_MAX],
	struct disks **out, struct ttd_error *e);
void disks_free(struct disks *s); /* after the domain; NULL is fine */

void disks_to_meta(const struct disks *s, struct log_meta *m);

/* LOG.DISK.overlay for each; log NULL: nameless ones. */
int disks_overlays(struct disks *s, const char *log, const uint8_t *run_id, bool sync,
	bool force, struct ttd_error *e);
/* Nameless ones that can also load the recording's checkpoints, as far as its overlays are there. */
int disks_replay_overlays(struct disks *s, const char *log, const uint8_t *run_id,
	struct ttd_error *e);
void disks_discard_overlays(const struct log_meta *m, const char *log); /* nothing came of it */
/* The path of a disk's overlay beside a log. */
int disks_overlay_path(const char *log, const char *disk, char path[TTD_PATH_MAX],
	struct ttd_error *e);

/* Makes the devices.  `note` is called on any thread; NULL: nobody listens. */
int disks_devices(struct disks *s, void (*note)(void *ctx, const char *line), void *ctx,
	struct ttd_error *e);
/* What opening them once more will take; borrowed.  false: there are none. */
struct disks_again {
	bool nbd; /* some are on servers */
	unsigned nbase, ndirect;
	const char *base[LOG_DISKS], *direct[LOG_DISKS]; /* to read; to write */
	const char *temp; /* the folder of nameless overlays, or NULL */
};
bool disks_again(const struct disks *s, struct disks_again *a);
unsigned disks_count(const struct disks *s); /* NULL: 0 */
struct dev *disks_dev(struct disks *s, unsigned i);
struct blk *disks_blk(struct disks *s, unsigned i);

#endif
