/*
 * replace.h - a new trace in an old one's folder, which goes only when the new one has begun.
 */
#ifndef TTD_TRACE_REPLACE_H
#define TTD_TRACE_REPLACE_H

#include <stdbool.h>

#include "util/err.h"

/* A process is writing this log. */
bool trace_locked(const char *log);

/* What is in the folder, whose log that is, goes aside.  -1: *e, and all is as it was. */
int trace_set_aside(const char *dir, const char *log, struct ttd_error *e);
void trace_put_back(const char *dir);   /* nothing came of the new one, and its files are gone */
void trace_drop_aside(const char *dir); /* the new one has begun */

#endif
