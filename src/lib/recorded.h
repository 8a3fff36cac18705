/*
 * recorded.h - a trace from which the recorded machine can be built anew: its
 * log, and the files that the machine was made of.
 */
#ifndef TTD_LIB_RECORDED_H
#define TTD_LIB_RECORDED_H

#include <ttd/ttd.h>

#include "event/log.h"
#include "lib/vm.h"
#include "trace/material.h"

struct recorded {
	char dir[TTD_PATH_MAX], path[TTD_PATH_MAX]; /* the trace's folder, its log */
	char kernel[TTD_PATH_MAX], ramdisk[TTD_PATH_MAX]; /* where they are now; "": none */
	bool ours;    /* this user recorded it: origin.h */
	struct log_reader *log; /* NULL until it is opened */
	const struct log_meta *meta; /* the log's, or `scouted` */
	struct log_meta *scouted;
	uint8_t run_id[RUN_ID];
	struct log_tail tail;
	struct disks *disks; /* opened before the process was confined: recorded_disks() gives them */
	const char *vifs[TTD_VIFS_MAX]; /* recorded_config()'s, out of this: */
	char vif_lines[sizeof ((struct log_meta *)0)->vifs];
};

/* Opens a trace by its name; `deviced`: of a domain whose log ttd-deviced has. */
int recorded_open(struct recorded *r, const char *trace, bool deviced, struct ttd_error *e);
/* The same without its log: a confined child reads META, this process nothing. */
int recorded_look(struct recorded *r, const char *trace, bool deviced, struct ttd_error *e);

/* What opens a trace to run it, ROLE_REPLAY or ROLE_SESSION. */
struct recorded_how {
	const char *trace;
	bool deviced, any_file;
	const struct ttd_files *files;
	unsigned role;
	const struct ttd_confinement *confine; /* NULL: the process is not confined */
};
/*
 * Opens and checks it, and confines the process before anything that the trace's maker wrote
 * is read in it: see recorded_confined.c.
 */
int recorded_open_to_run(struct recorded *r, const struct recorded_how *how, struct ttd_error *e);
/* confine.c */
int confine_recorded(const struct recorded *r, const struct recorded_how *how,
	struct ttd_error *e);
/*
 * Can this program replay it, and are the files those that were recorded?  `files`:
 * where the user says they are; NULL: nowhere.  any_file: as they are.
 */
int recorded_check(struct recorded *r, const struct ttd_files *files, bool any_file,
	struct ttd_error *e);
/* recorded_open()'s second half; after recorded_look(), it must have the META that was seen. */
int recorded_open_log(struct recorded *r, struct ttd_error *e);
int recorded_open_same(struct recorded *r, struct ttd_error *e);
/* Where they are now, by material.h. */
int recorded_file(const struct recorded *r, enum material kind, const char *named,
	char path[TTD_PATH_MAX], struct ttd_error *e);
int recorded_base(const struct recorded *r, const struct log_disk *d, const struct ttd_disk *bases,
	unsigned n, char path[TTD_PATH_MAX], struct ttd_error *e);
void recorded_close(struct recorded *r);

/* META of the log of a replay of it, with a seal if it is this user's own. */
void recorded_replay_meta(const struct recorded *r, struct log_meta *m);

/* Where the recording ends: its END, or its last record. */
uint64_t recorded_icount(const struct recorded *r);
uint64_t recorded_brctr(const struct recorded *r);

/* Opens the bases, for recorded_disks(). */
int recorded_bases(struct recorded *r, const struct ttd_files *files, struct ttd_error *e);
/* Its disks, from the recorded bases or where they are now, with overlays of their own. */
struct disks;
int recorded_disks(struct recorded *r, const struct ttd_files *files, struct disks **out,
	struct ttd_error *e);

/* Starts the configuration of the machine; the strings are r's. */
void recorded_config(struct recorded *r, struct ttd_config *c, struct model *model);

#endif
