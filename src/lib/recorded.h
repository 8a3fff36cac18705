/*
 * recorded.h - a trace from which the recorded machine can be built anew: its
 * log, and the files that the machine was made of.
 */
#ifndef TTD_LIB_RECORDED_H
#define TTD_LIB_RECORDED_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "lib/vm.h"

struct recorded {
	char dir[TTD_PATH_MAX], path[TTD_PATH_MAX]; /* the trace's folder, its log */
	char kernel[TTD_PATH_MAX], ramdisk[TTD_PATH_MAX]; /* where they are now; "": none */
	struct log_reader *log;
	struct log_tail tail;
	const char *vifs[TTD_VIFS_MAX]; /* recorded_config()'s, out of this: */
	char vif_lines[sizeof ((struct log_meta *)0)->vifs];
};

/* Opens a trace by its name; `deviced`: of a domain whose log ttd-deviced has. */
int recorded_open(struct recorded *r, const char *trace, bool deviced, struct err *e);
/* Can this program replay it, and are the files those that were recorded?  any_file: as they are. */
int recorded_check(struct recorded *r, bool any_file, struct err *e);
/*
 * A file that the log was recorded with, `what` being "kernel" or "ramdisk":
 * where it was, or beside the log, by its own name or called `what`.
 */
int recorded_file(const char *log, const char *what, const struct log_file *f,
	char path[TTD_PATH_MAX], struct err *e);
void recorded_close(struct recorded *r);

/* Where the recording ends: its END, or its last record. */
uint64_t recorded_icount(const struct recorded *r);
uint64_t recorded_brctr(const struct recorded *r);

/* Its disks, from the recorded bases or where they are now, with overlays of their own. */
struct disks;
int recorded_disks(const struct recorded *r, const struct ttd_disk *bases, unsigned nbases,
	struct disks **out, struct err *e);

/* Starts the configuration of the machine; the strings are r's. */
void recorded_config(struct recorded *r, struct ttd_config *c);

#endif
