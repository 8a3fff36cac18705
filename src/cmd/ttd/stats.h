/*
 * stats.h - what `--stats` prints, and options that run, record and replay share.
 */
#ifndef TTD_CMD_TTD_STATS_H
#define TTD_CMD_TTD_STATS_H

#include <ttd/ttd.h>

#include <stdio.h>

#include "cmd/ttd/command.h"

struct stats_options {
	bool print, json; /* json: print too */
};

/* Rows of a command's table, for its structure's field `to`. */
#define STATS_ROWS(type, to) \
	{"stats", NULL, "print position, memory digest and counters at the end", \
		TAKE_BOOL(type, to.print)}, \
	{"json", NULL, "with --stats: as one line of JSON", TAKE_BOOL(type, to.json)}

/* Prints nothing unless it was asked for. */
void stats_print(const struct stats_options *s, struct ttd_vm *vm, enum ttd_end end,
	double seconds, FILE *to);

/* --checkpoint-every, into a struct ttd_checkpointing. */
option_fn take_every;

#endif
