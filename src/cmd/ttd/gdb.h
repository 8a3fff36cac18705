/*
 * gdb.h - ttd replay --gdb: a recording under gdb.
 */
#ifndef TTD_CMD_TTD_GDB_H
#define TTD_CMD_TTD_GDB_H

#include <stdbool.h>
#include <ttd/ttd.h>

#include "util/diag.h"

struct gdb_options {
	const char *trace;
	const char **positions; /* gone to first, one after the other */
	unsigned npositions;
	bool no_checkpoints, no_sandbox;
	struct ttd_files files;
	const char *where;      /* a port or a path; NULL: start gdb */
};

/* The exit status. */
int gdb_run(const struct gdb_options *o, struct diag *diag);

#endif
