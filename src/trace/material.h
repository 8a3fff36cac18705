/*
 * material.h - the one place that decides which file a trace is replayed with,
 * for whatever command: what the user names, else what lies beside the log, else
 * what META names, and that only when the trace is this user's own (origin.h).
 * The table of kinds is in material.c; whoever adds a kind of file that a trace can
 * name adds a row there.
 */
#ifndef TTD_TRACE_MATERIAL_H
#define TTD_TRACE_MATERIAL_H

#include <stdbool.h>
#include <ttd/ttd.h>

#include "event/log.h"
#include "util/err.h"

enum material { MATERIAL_KERNEL, MATERIAL_RAMDISK, MATERIAL_BASE, MATERIALS };

struct material_ask {
	enum material kind;
	const char *log;   /* its path; "": inside of a pack */
	bool ours;         /* origin_ours() */
	const char *named; /* by the user; NULL */
	const char *disk;  /* MATERIAL_BASE: its name; else "" */
	const struct log_file *file; /* kernel and ramdisk: path, size and digest in META */
	const char *target;          /* a base: its path or address in META */
};

/*
 * Where it is: for a kernel or ramdisk a regular file of that size and digest; for a
 * base what is to be opened, an NBD address too.  -1: *e says what to do.
 */
int material_find(const struct material_ask *a, char path[TTD_PATH_MAX], struct ttd_error *e);

#endif
