/*
 * stats.h - what --stats prints when a run has ended.
 */
#ifndef TTD_CMD_TTD_STATS_H
#define TTD_CMD_TTD_STATS_H

#include <ttd/ttd.h>

#include <stdbool.h>
#include <stdio.h>

/* As "name value" lines, or as one line of JSON. */
void stats_print(struct ttd_vm *vm, enum ttd_end end, double seconds, bool json, FILE *to);

#endif
