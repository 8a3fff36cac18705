/*
 * reader.h - for commands that read traces and execute no guest: a trace is a stranger's
 * perhaps, so the process gives up what it does not need before it reads one.
 */
#ifndef TTD_CMD_TTD_READER_H
#define TTD_CMD_TTD_READER_H

#include <ttd/ttd.h>

#include <stdbool.h>

#include "cmd/ttd/command.h"

/* A row that each such command's table has, for field `to`, a bool. */
#define READER_ROW(type, to) \
	{"no-sandbox", NULL, "do not confine the process; for debugging ttd", TAKE_BOOL(type, to)}

/* ttd_confine(), unless the user said no; TTD_OK, or how to leave. */
int reader_confine(const struct ttd_confinement *c, bool no_sandbox, struct diag *diag);

/* The same for one trace (NULL: the latest), and a file to be written (NULL: none). */
int reader_confine_to(const char *trace, const char *output, unsigned flags, bool no_sandbox,
	struct diag *diag);

#endif
