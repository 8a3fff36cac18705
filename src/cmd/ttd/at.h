/*
 * at.h - ttd replay --at: goes to places of a recording and says where that is.
 */
#ifndef TTD_CMD_TTD_AT_H
#define TTD_CMD_TTD_AT_H

#include <stdbool.h>

#include <ttd/ttd.h>

#include "util/diag.h"

struct at_options {
	const char *trace;
	const char **positions; /* gone to one after the other */
	unsigned n;
	struct ttd_files files;
	bool json, digest, no_checkpoints, no_sandbox;
};

/* The exit status. */
int at_run(const struct at_options *o, struct diag *diag);

#endif
